"""Where the credentials for Karmada come from, and what is said when they are no good."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import pytest
from kubernetes.config import incluster_config

from publisher.demo.routes import answer as answer_of
from publisher.edge.karmada import KarmadaFleet, Timing, from_kubeconfig
from publisher.errors import ApiError, UsageError

NODES = "/api/v1/nodes"
FAR = "2100-01-01T00:00:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def config(world):
    """Change the kubeconfig of a test."""

    def change(**parts):
        content = json.loads(world.kubeconfig.read_text())
        content |= parts
        world.kubeconfig.write_text(json.dumps(content))
        return content

    return change


@pytest.fixture
def refused(world, raises_line):
    """Load what cannot be used: exit code 2, one line, no request."""

    def load(file=world.kubeconfig, context=""):
        path = None if file is None else str(file)
        line = raises_line(UsageError, lambda: from_kubeconfig(path, context, 1, Timing()))
        assert not world.seen
        return line

    return load


@pytest.fixture
def plugin(world, tmp_path):
    """Have an exec plugin run a Python script; the file `runs` has a letter for each run."""

    def write(script, name="plugin", **options):
        path = tmp_path / name
        runs = tmp_path / "runs"
        path.write_text(
            f"#!{sys.executable}\nimport json, os, sys\nfrom pathlib import Path\nruns = Path({str(runs)!r})\n"
            f"count = len(runs.read_text()) if runs.exists() else 0\nruns.write_text('x' * (count + 1))\n"
            f"def give(**status):\n    print(json.dumps({{'apiVersion': 'client.authentication.k8s.io/v1',"
            f" 'kind': 'ExecCredential', 'status': status}}))\n{script}\n"
        )
        path.chmod(0o700)
        command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path)} | options
        world.write_kubeconfig(exec=command)
        return runs

    return write


def works(connection) -> bool:
    """Tell whether the server takes what a connection brings."""
    return b'"NodeList"' in connection.get(NODES, {})


def test_a_file(world):
    assert works(world.connect())


@pytest.mark.parametrize("before", ["", "nosuch:", "{other}:"])
def test_the_variable(world, monkeypatch, tmp_path, before):
    """KUBECONFIG may name several files, of which some need not be there."""
    other = tmp_path / "other"
    other.write_text(json.dumps({"users": [], "clusters": [], "contexts": [{"name": "x", "context": {}}]}))
    monkeypatch.setenv("KUBECONFIG", before.format(other=other) + str(world.kubeconfig))
    assert works(world.connect(file=None))


def test_the_home_folder(world, monkeypatch, tmp_path):
    """Where nothing is said, it is ~/.kube/config."""
    (tmp_path / ".kube").mkdir()
    world.kubeconfig.rename(tmp_path / ".kube" / "config")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG")
    assert works(world.connect(file=None))


def test_a_pipe(world):
    """A file may be a pipe: --kubeconfig <(pass karmada)."""
    read, write = os.pipe()
    os.write(write, world.kubeconfig.read_bytes())
    os.close(write)
    assert works(world.connect(file=f"/dev/fd/{read}"))
    os.close(read)


def test_the_context_that_is_asked_for(world, config):
    content = config()
    contexts = [*content["contexts"], {"name": "host", "context": {"cluster": "host", "user": "nobody"}}]
    clusters = [*content["clusters"], {"name": "host", "cluster": {"server": "https://127.0.0.1:1"}}]
    config(contexts=contexts, clusters=clusters, **{"current-context": "host"})
    assert works(world.connect(context="karmada-apiserver"))
    with pytest.raises(ApiError, match="Karmada: Connection refused"):
        world.connect(Timing(attempts=1)).get(NODES, {})


def test_a_context_that_is_not_there(refused):
    assert "kubeconfig is of no use: Invalid kube-config file. Expected object with name nosuch in it; name" in refused(
        context="nosuch"
    )


def test_no_current_context(config, refused):
    config(**{"current-context": ""})
    assert "Expected object with name in it" in refused()


def test_a_file_that_is_not_there(world, refused, tmp_path):
    line = refused(tmp_path / "nosuch")
    assert line.startswith(f"no credentials for Karmada: {tmp_path}/nosuch is not there; name a kubeconfig with")


def test_nothing_anywhere(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/nosuch")
    line = refused(None)
    assert line.startswith(f"no credentials for Karmada: {tmp_path}/nosuch is not there, nor is a pod's account: ")
    assert "is not there; name" in refused(None, "karmada-apiserver")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: b: c", "is not YAML, see line 1"),
        (b"users:\n- user: {token: hunter2,\n", "is not YAML, see line 3"),
        (b"users:\n- user: {token: *hunter2}\n", "is not YAML, see line 2"),
        (b"\x00\x01", "not laid out as one"),
        (b"\xff\xfe\xff", "not laid out as one"),
        (b"", "file is empty"),
        (b"hunter2", "not laid out as one"),
        (b"[hunter2]", "not laid out as one"),
        (b"{}", "Expected key current-context"),
        (b"current-context: x\nusers: hunter2\n", "Expected key name in it"),
        (b"current-context: x\nusers: [hunter2]\n", "Expected object with name x in it"),
        (b"current-context: x\nusers: [hunter2, hunter2]\n", "Expected key name in it"),
        (b"current-context: x\ncontexts: [{name: x}]\n", "Expected key context"),
    ],
)
def test_a_file_that_is_no_kubeconfig(world, refused, content, says):
    """The line says where to look, and quotes nothing: the file is full of secrets."""
    world.kubeconfig.write_bytes(content)
    line = refused()
    assert says in line
    assert "hunter2" not in line


def test_a_folder(refused, tmp_path):
    assert "Is a directory" in refused(tmp_path)


@pytest.mark.parametrize("user", [{"token": "hunter2hunter2"}, {"user": None, "password": "hunter2hunter2"}])
def test_a_secret_in_the_wrong_place(config, refused, user):
    """A common mistake; the client's own message has the whole entry in it."""
    config(users=[{"name": "karmada-apiserver", **user}])
    line = refused()
    assert "Expected key user in it; name" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(("key", "says"), [("ca", "not base64"), ("file", "File does not exist")])
def test_a_ca_that_cannot_be_read(config, refused, key, says):
    content = config()
    cluster = content["clusters"][0]["cluster"]
    del cluster["certificate-authority-data"]
    cluster |= {"certificate-authority-data": "AAAAA"} if key == "ca" else {"certificate-authority": "/nosuch"}
    config(clusters=content["clusters"])
    assert says in refused()


@pytest.mark.parametrize("end", ["", "\n", " \r\n"])
def test_a_token_file(world, tmp_path, end):
    """Files end with a newline, tokens do not."""
    (tmp_path / "token").write_text(world.server.token + end)
    world.write_kubeconfig(tokenFile=str(tmp_path / "token"))
    assert works(world.connect())


@pytest.mark.parametrize("token", ["hunter2\nhunter2", "hunter2\u20ac"])
def test_a_token_that_cannot_be_sent(world, token):
    world.write_kubeconfig(token=token)
    line = world.fails()
    assert line == "Karmada: its address or the credentials for it are not valid"
    assert not world.seen


def test_no_user(world):
    """Nobody is somebody to an API server, which says no."""
    world.kubeconfig.write_text(json.dumps(json.loads(world.kubeconfig.read_text()) | {"users": []}))
    assert world.fails() == "Karmada: HTTP 401: Unauthorized"


def test_a_client_certificate_that_is_none(world, tmp_path):
    (tmp_path / "cert").write_text("hunter2")
    world.write_kubeconfig(**{"client-certificate": str(tmp_path / "cert"), "client-key": str(tmp_path / "cert")})
    line = world.fails()
    assert line.startswith("Karmada: TLS: ")
    assert not world.seen


def test_a_plugin(world, plugin):
    """It gives the token once, with its arguments and variables, and is not asked again for each request."""
    runs = plugin(
        f"assert sys.argv[1:] == ['--for', 'karmada']\ngive(token=os.environ['PLUGIN_TOKEN'], "
        f"expirationTimestamp={FAR!r})",
        args=["--for", "karmada"],
        env=[{"name": "PLUGIN_TOKEN", "value": world.server.token}],
    )
    assert len(world.read().clusters) == 3
    assert runs.read_text() == "x"


def test_a_plugin_is_asked_again_when_its_token_has_expired(world, plugin):
    runs = plugin(
        f"if count: give(token={world.server.token!r}, expirationTimestamp={FAR!r})\n"
        f"else: give(token='old', expirationTimestamp={LONG_AGO!r})"
    )
    assert len(world.read().clusters) == 3
    assert runs.read_text() == "xx"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sys.exit('not logged in:\\ntoken hunter2hunter2')", "process returned 1. not logged in: token ***"),
        ("print('hello')", "failed to decode process output"),
        ("print('{}')", "missing key 'apiVersion'"),
        ("give()", "missing token or clientCertificateData"),
        ("give(clientCertificateData='x')", "missing clientKeyData"),
    ],
)
def test_a_plugin_that_fails(world, plugin, refused, script, says, capfd):
    """Its failure is the error, not a refusal by the server later on; nothing else is printed."""
    plugin(script)
    line = refused()
    assert line.startswith("no credentials for Karmada: exec: ")
    assert says in line
    assert capfd.readouterr() == ("", "")


def test_a_plugin_that_is_not_there(world, plugin, refused):
    plugin("")
    world.write_kubeconfig(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "nosuch-plugin"})
    assert "No such file or directory: 'nosuch-plugin'" in refused()


def test_a_plugin_that_fails_later(world, plugin, capfd):
    """What it gave has expired, and it gives nothing new."""
    plugin(f"give(token='old', expirationTimestamp={LONG_AGO!r}) if not count else sys.exit('session is over')")
    line = world.fails()
    assert line == "Karmada: the credentials cannot be renewed: exec: process returned 1. session is over"
    assert not world.seen
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def pod(world, monkeypatch, tmp_path):
    """Be in a pod: an account's token and CA, and no kubeconfig."""
    files = {"SERVICE_TOKEN_FILENAME": world.server.token.encode(), "SERVICE_CERT_FILENAME": world.server.ca_pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        monkeypatch.setattr(incluster_config, name, str(tmp_path / name))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", world.server.url.rpartition(":")[2])

    def answer(request):  # the client writes `bearer`, which a real API server takes as well
        if request.headers.get("authorization") == f"bearer {world.server.token}":
            return answer_of(world.fleet.karmada, request.path, request.query)
        return None

    world.answer(answer)
    return tmp_path


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_pod(world, pod, end):
    token = pod / "SERVICE_TOKEN_FILENAME"
    token.write_text(token.read_text() + end)
    connection = world.connect(file=None)
    assert works(connection)


def test_a_pod_whose_token_goes(world, pod):
    """The token is read anew now and then; where that fails there is an error, not a crash."""
    connection = world.connect(file=None)
    (pod / "SERVICE_TOKEN_FILENAME").write_text("")
    loader = connection._configuration.refresh_api_key_hook.__closure__[0].cell_contents
    loader.token_expires_at = loader.token_expires_at.replace(year=2000)
    with pytest.raises(ApiError, match="Karmada: the credentials cannot be renewed: Token file exists but empty"):
        connection.get(NODES, {})
    assert not world.seen


@pytest.mark.parametrize("gone", ["SERVICE_TOKEN_FILENAME", "SERVICE_CERT_FILENAME"])
def test_a_pod_without_an_account(pod, refused, gone):
    (pod / gone).unlink()
    assert "nor is a pod's account: Service " in refused(None)


def test_a_kubeconfig_wins_over_the_pod(world, pod, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(world.kubeconfig))
    assert works(world.connect(file=None))
    assert world.seen[0].headers["authorization"].startswith("Bearer ")


def test_a_broken_kubeconfig_is_not_passed_over_for_the_pod(world, pod, refused, monkeypatch):
    """Its account is one of another cluster, as like as not."""
    monkeypatch.setenv("KUBECONFIG", str(world.kubeconfig))
    world.kubeconfig.write_text("{}")
    assert "current-context" in refused(None)


def test_a_context_is_not_passed_over_for_the_pod(pod, refused):
    assert "is not there; name a kubeconfig" in refused(None, "karmada-apiserver")


def change_cluster(world, **parts):
    """Change how the kubeconfig reaches its server."""
    content = json.loads(world.kubeconfig.read_text())
    cluster = content["clusters"][0]["cluster"] | parts
    content["clusters"][0]["cluster"] = {key: value for key, value in cluster.items() if value is not None}
    world.kubeconfig.write_text(json.dumps(content))


def test_another_ca(world):
    ca = world.fleet.members["member1"].ca.cert_pem.bytes()
    change_cluster(world, **{"certificate-authority-data": base64.b64encode(ca).decode()})
    assert world.fails().startswith("Karmada: TLS: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert not world.seen


def test_no_ca(world):
    """The system's are asked, and do not know it."""
    change_cluster(world, **{"certificate-authority-data": None})
    assert "CERTIFICATE_VERIFY_FAILED" in world.fails()
    assert not world.seen


def test_a_ca_that_is_none(world):
    change_cluster(world, **{"certificate-authority-data": base64.b64encode(b"hunter2").decode()})
    line = world.fails()
    assert line.startswith("Karmada: TLS: ")
    assert "hunter2" not in line


def test_a_certificate_for_another_name(world):
    change_cluster(world, **{"tls-server-name": "karmada.example"})
    assert "Hostname mismatch" in world.fails()
    assert not world.seen


def test_tls_that_nobody_checks(world):
    """The kubeconfig's owner wants it so; that is not said again with every request."""
    change_cluster(world, **{"certificate-authority-data": None, "insecure-skip-tls-verify": True})
    assert len(world.read().clusters) == 3


def test_a_server_that_does_not_speak_tls(world):
    """A connection that is TLS at one end only ends as an error too."""
    change_cluster(world, server=world.server.url.replace("https", "http"))
    assert "onnection" in world.fails()


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("https://127.0.0.1:1", "Karmada: Connection refused"),
        ("https://nosuch.invalid", "Karmada: the host name cannot be resolved"),
        ("https://user:hunter2@127.0.0.1:1", "Karmada: Connection refused"),
        ("https://user:hunter2/x@127.0.0.1", "Karmada: its address or the credentials for it are not valid"),
        ("https://127.0.0.1:999999", "Karmada: its address or the credentials for it are not valid"),
    ],
)
def test_a_server_that_is_not_there(world, server, says):
    change_cluster(world, server=server)
    assert world.fails() == says


def test_another_kind_of_server(world):
    """The context of the host cluster instead of Karmada's: it has no Clusters."""
    world.answer(lambda request: answer_of(world.fleet.members["member1"], request.path, request.query))
    line = world.fails()
    assert line == "Karmada: HTTP 404: no Clusters there; is it the API server of Karmada?"


def test_a_token_that_expires_in_the_middle(world, published, unknown):
    """What was read before stays read, the rest is unknown, and nothing published is lost."""
    world.set_policy(concurrency=1)

    def answer(request):
        if request.plane == "member2" and "continue" in request.query:
            world.fleet.karmada.token = "another"

    world.answer(answer)
    topology = world.read()
    found = unknown(topology)
    assert set(found) == {
        (name, kind) for name in ("member2", "member3") for kind in ("nodes", "services", "endpoints")
    }
    assert set(found.values()) == {"Karmada: HTTP 401: Unauthorized"}
    assert not world.plan(published, topology).plan.files


def test_a_token_that_expires_between_two_pages_of_clusters(world):
    def answer(request):
        if "continue" in request.query:
            world.fleet.karmada.token = "another"

    world.answer(answer)
    assert world.fails() == "Karmada: HTTP 401: Unauthorized"


def test_nothing_is_left_in_the_folder(world, tmp_path, monkeypatch):
    """The kubeconfig stays as it is, and no file is written beside it."""
    monkeypatch.chdir(tmp_path)
    before = world.kubeconfig.read_bytes()
    world.read()
    assert world.kubeconfig.read_bytes() == before
    assert [path.name for path in Path(tmp_path).iterdir()] == ["kubeconfig"]


def test_both_connections_of_a_fleet_are_told_apart(world):
    """An error says who did not answer."""
    world.set_policy(access="direct")
    with pytest.raises(ApiError) as caught:
        world.answer(lambda request: None)
        world.server.stop_member("member1")
        world.server.stop_member("member2")
        world.server.stop_member("member3")
        KarmadaFleet(world.connect(), world.policy, Timing(attempts=1)).read(lambda done, of: None)
    assert "member1: Connection refused; member2: Connection refused" in str(caught.value)
