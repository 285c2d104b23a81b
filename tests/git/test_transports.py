"""Every way to a remote, and every way it can fail: one clear line, no traceback, no secret."""

from __future__ import annotations

import getpass
import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publisher.core.history import Draft
from publisher.edge.git import is_url, run
from publisher.errors import GitError


def environment(repo: Path) -> str:
    """Give the environment that git gets."""
    return run.GitRunner(repo).run("-c", "alias.tell=!env", "tell").decode()


# HTTP and file


def test_a_checkout_of_a_plain_path(world: Any) -> None:
    """A remote may be a path on this machine."""
    repo = world.checkout()
    world.git("remote", "set-url", "origin", str(world.remote), at=repo)
    made = world.publish(repo).commit
    assert made == world.head() == world.head(repo)


def test_a_file_url(world: Any) -> None:
    """--repo file://... is published to without a checkout."""
    made = world.publish(world.remote.as_uri()).commit
    assert made == world.head()
    assert world.changed() == {world.cluster, world.service}


def test_a_folder_with_a_bare_repository_is_told_how(world: Any, typed: Any) -> None:
    """A bare repository has no work tree; as a URL it works."""
    done = typed(world.remote)
    assert done.code == 2
    assert "file:///" in done.line


def test_http(world: Any, http: Any) -> None:
    """Over HTTP: one fetch and one push, then one fetch where there is nothing to do."""
    made = world.publish(http.url).commit
    assert made == world.head()
    assert http.connections() == ["upload-pack", "receive-pack"]
    http.requests.clear()
    assert world.publish(http.url).commit == ""
    assert http.connections() == ["upload-pack"]


def test_http_from_a_checkout(world: Any, http: Any) -> None:
    """A checkout makes no more connections than a URL."""
    repo = world.checkout()
    world.git("remote", "set-url", "origin", http.url, at=repo)
    assert world.publish(repo).commit == world.head()
    assert world.publish(repo).commit == ""
    assert http.connections() == ["upload-pack", "receive-pack", "upload-pack"]


def test_http_large_push(world: Any, http: Any) -> None:
    """A push that git sends in chunks arrives whole."""
    noise = os.urandom(3 << 20)
    repo = world.open(http.url)
    made = repo.publish(Draft("main", repo.newest("main"), {"pipy/large": noise}, "large\n", "A <a@example.com>"))
    assert made == world.head()
    assert subprocess.check_output(["git", "-C", world.remote, "show", "main:pipy/large"]) == noise


@pytest.mark.parametrize("way", ["url", "helper"])
def test_http_basic_auth(world: Any, http: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password comes from the URL, or from a credential helper."""
    http.user = "bot:hunter2"
    url = f"http://bot:hunter2@{http.place}"
    if way == "helper":
        url = http.url
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "credential.helper")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!echo username=bot; echo password=hunter2; :")
    assert world.publish(url).commit == world.head()
    assert world.publish(url).commit == ""


@pytest.mark.parametrize("given", ["", "bot:wrong-hunter2@"])
def test_http_without_the_right_password(world: Any, http: Any, typed: Any, given: str) -> None:
    """Nobody is asked at a prompt; the line says what to do and not the password."""
    http.user = "bot:hunter2"
    done = typed(f"http://{given}{http.place}")
    assert done.code == 1
    assert "git credentials" in done.line
    assert "hunter2" not in done.line


FAULTS = {
    "403": (403, "error: 403", "git credentials"),
    "404": (404, "not found", "check the address"),
    "500": (500, "error: 500", "check the address and the network"),
    "HTML": (200, "not valid: is this a git repository?", "check the address"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("service", ["upload-pack", "receive-pack"])
@pytest.mark.parametrize("kind", ["url", "checkout"])
def test_http_faults(world: Any, http: Any, typed: Any, name: str, service: str, kind: str) -> None:
    """What a server or a proxy may answer to a fetch or a push: one line, exit 1, nothing changed, later it works."""
    status, text, hint = FAULTS[name]
    repo: Any = http.url
    if kind == "checkout":
        repo = world.checkout()
        world.git("remote", "set-url", "origin", http.url, at=repo)
    before = world.head(), kind == "url" or world.state(repo)

    def fault(request: Any) -> bool:
        if f"git-{service}" not in request.path:
            return False
        http.say(request, status, b"<!DOCTYPE html>\n<title>Sign in</title>\n", {"Content-Type": "text/html"})
        return True

    http.fault = fault
    done = typed(repo)
    assert done.code == 1
    assert text in done.line
    assert hint in done.line
    assert (world.head(), kind == "url" or world.state(repo)) == before
    http.fault = lambda request: False
    assert typed(repo).code == 0
    assert world.linear() == ["set up", world.first]


@pytest.mark.parametrize("where", ["info/refs?service=git-upload-pack", "git-upload-pack", "git-receive-pack"])
def test_http_reset_in_the_middle(world: Any, http: Any, typed: Any, where: str) -> None:
    """A connection that breaks while fetching or pushing is one line, and the next run works."""

    def fault(request: Any) -> bool:
        if not request.path.endswith(where):
            return False
        http.reset(request)
        return True

    http.fault = fault
    done = typed(http.url)
    assert done.code == 1
    assert done.line.startswith("publisher: git push: " if "receive" in where else "publisher: git fetch: ")
    http.fault = lambda request: False
    assert typed(http.url).code == 0
    assert world.linear() == ["set up", world.first]


def test_http_reset_after_the_server_took_the_push(world: Any, http: Any, typed: Any) -> None:
    """The answer to a push gets lost: exit 1, and the next run sees that all is done."""

    def fault(request: Any) -> bool:
        if request.command != "POST" or not request.path.endswith("git-receive-pack"):
            return False
        http.say = lambda request, *_: http.reset(request)
        return False

    http.fault = fault
    assert typed(http.url).code == 1
    http.fault = lambda request: False
    del http.say
    done = typed(http.url)
    assert (done.code, "nothing to do" in done.out) == (0, True)
    assert world.linear() == ["set up", world.first]


def test_a_remote_that_hangs_ends(
    world: Any, http: Any, typed: Any, gone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git gives up on a connection that stands still; should it not, we end git."""
    given = dict(line.split("=", 1) for line in environment(world.remote).splitlines() if line.startswith("GIT_HTTP"))
    assert given == {"GIT_HTTP_LOW_SPEED_LIMIT": "100", "GIT_HTTP_LOW_SPEED_TIME": "30"}
    release = threading.Event()
    http.fault = lambda request: release.wait(60)
    monkeypatch.setattr(run, "NETWORK_SECONDS", 0.3)
    done = typed(http.url)
    assert done.code == 1
    assert "no end after" in done.line
    gone(http.place)
    release.set()


def test_nobody_listens(world: Any, typed: Any) -> None:
    """A refused connection is one line."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        port = server.server_address[1]
    done = typed(f"http://127.0.0.1:{port}/x.git")
    assert done.code == 1
    assert "check the address and the network" in done.line


@pytest.mark.parametrize("url", ["file:///nowhere/x.git", "file:///etc"])
def test_nothing_is_there(world: Any, typed: Any, url: str) -> None:
    """A path that is no repository is one line."""
    done = typed(url)
    assert done.code == 1
    assert "check the address" in done.line


# what is no URL


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c touch% pwned",
        "ext::sh",
        "EXT::sh",
        "fd::17",
        "-x",
        "--upload-pack=touch pwned",
        "-oProxyCommand=touch pwned:x",
        "ssh://-oProxyCommand=touch%20pwned/x",
        "git@-oProxyCommand=x:y",
        "ftp://example.com/x",
    ],
)
def test_refused(text: str, typed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remote helpers and what git or ssh would take for an option never reach git."""
    monkeypatch.chdir(tmp_path)
    done = typed(text)
    assert (done.code, done.out) == (2, "")
    assert done.line
    assert not list(tmp_path.glob("**/*pwned*"))


@pytest.mark.parametrize(
    "text", ["https://h/x", "ssh://git@h:22/x", "git@h.example.com:o/x.git", "file:///x", "git://h/x"]
)
def test_urls(text: str) -> None:
    """What git takes for a URL is one."""
    assert is_url(text)


@pytest.mark.parametrize("text", [".", "repo", "/srv/repo", "a:b", "../x y"])
def test_folders(text: str) -> None:
    """All the rest is a folder."""
    assert not is_url(text)


def test_a_checkout_with_an_ext_remote(world: Any, typed: Any, tmp_path: Path) -> None:
    """What the repository's own configuration names does not run either."""
    repo = world.checkout()
    world.git("remote", "set-url", "origin", f"ext::touch {tmp_path}/pwned", at=repo)
    done = typed(repo)
    assert done.code == 1
    assert "use file, https or ssh" in done.line
    assert not (tmp_path / "pwned").exists()


def test_no_git(world: Any, child: Any, tmp_path: Path) -> None:
    """A machine without git is told so."""
    (tmp_path / "bin").mkdir()
    process = child(world.checkout(), PATH=str(tmp_path / "bin"))
    err = process.communicate()[1]
    assert process.returncode == 1
    assert err.startswith("publisher: git ")
    assert err.count("\n") == 1


# SSH


class Ssh:
    """An sshd of one's own: its keys, and what an ssh needs to talk to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def url(self, path: Path) -> str:
        """Give the URL of a repository."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def command(self, key: str = "user", known: str = "known_hosts") -> str:
        """Give the GIT_SSH_COMMAND that uses a key."""
        options = f"-o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={self.folder / known}"
        return f"ssh -F /dev/null -i {self.folder / key} -o StrictHostKeyChecking=yes {options}"


@pytest.fixture
def ssh(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ssh]:
    """Serve SSH on a port of 127.0.0.1: one `sshd -i` for each connection."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")
    if not sshd or not shutil.which("ssh-keygen") or not shutil.which("ssh"):
        pytest.skip("sshd, ssh-keygen or ssh is not installed")
    if not os.geteuid():  # what a package of sshd does at boot
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user", "wrong"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nPidFile none\n"
        "AcceptEnv GIT_PROTOCOL\n"
    )
    log = folder / "log"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with log.open("ab") as told:
                command = [sshd, "-i", "-e", "-f", folder / "sshd_config"]
                subprocess.run(command, stdin=self.request, stdout=self.request, stderr=told, check=False)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        host = (folder / "host.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
        (folder / "unknown_hosts").touch()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        served = Ssh(folder, port)
        probe = subprocess.run(
            [*served.command().split(), "-p", str(port), f"{getpass.getuser()}@127.0.0.1", "true"],
            capture_output=True,
            check=False,
        )
        if not probe.returncode:
            monkeypatch.setenv("GIT_SSH_COMMAND", served.command())
            yield served
        server.shutdown()
        thread.join()
    if probe.returncode:
        pytest.skip(f"this machine's sshd does not serve: {log.read_text().strip() or probe.stderr.decode()}")


def test_ssh(world: Any, ssh: Ssh) -> None:
    """Over SSH, by URL and from a checkout."""
    assert world.publish(ssh.url(world.remote)).commit == world.head()
    repo = world.checkout()
    world.git("remote", "set-url", "origin", ssh.url(world.remote), at=repo)
    assert world.publish(repo, "node1", "node2").commit == world.head() == world.head(repo)


def test_ssh_command_of_the_configuration(world: Any, ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    """core.sshCommand counts, as actions/checkout sets it."""
    monkeypatch.delenv("GIT_SSH_COMMAND")
    repo = world.checkout()
    world.git("remote", "set-url", "origin", ssh.url(world.remote), at=repo)
    world.git("config", "core.sshCommand", ssh.command(), at=repo)
    assert world.publish(repo).commit == world.head()


def test_ssh_never_asks(world: Any, ssh: Ssh, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody says how to call ssh, it asks no questions: an unknown host ends in one line."""
    monkeypatch.delenv("GIT_SSH_COMMAND")
    ask = ssh.folder / "ask"
    ask.write_text(f"#!/bin/sh\ntouch '{ssh.folder}/asked'\n")
    ask.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(ask))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    done = typed(ssh.url(world.remote))
    assert done.code == 1
    assert "Host key verification failed" in done.line
    assert not (ssh.folder / "asked").exists()


def test_ssh_wrong_key(world: Any, ssh: Ssh, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key the server does not know is one line with what to do."""
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh.command("wrong"))
    done = typed(ssh.url(world.remote))
    assert done.code == 1
    assert "Permission denied" in done.line
    assert "check the SSH key" in done.line


def test_ssh_unknown_host(world: Any, ssh: Ssh, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is a host that is not known."""
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh.command(known="unknown_hosts"))
    done = typed(ssh.url(world.remote))
    assert done.code == 1
    assert "known_hosts" in done.line


def test_ssh_no_such_repository(world: Any, ssh: Ssh, typed: Any) -> None:
    """So is a path that is not there."""
    done = typed(ssh.url(world.folder / "nowhere.git"))
    assert done.code == 1
    assert "check the address" in done.line


def test_the_user_configuration_cannot_open_ext(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """url.*.insteadOf leads to no remote helper."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "url.ext::sh -c .insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://rewritten/")
    with pytest.raises(GitError, match="not allowed"):
        world.publish("https://rewritten/x")
