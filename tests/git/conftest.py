"""A config repository with a remote, other writers, and a small fleet to publish: real git, real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from publisher.cli import main
from publisher.commands.ports import Forge
from publisher.commands.publish import Order, Published, Publisher
from publisher.core import snapshot
from publisher.core.history import Draft
from publisher.core.model import Address, Cluster, Endpoints, Node, Port, Service, ServiceKey, Topology
from publisher.edge.files import replace_folder
from publisher.edge.git import Checkout, Clone, is_url

SETTINGS = """\
publisher: edge
services:
  default/flask:
    routes: ["/env/*"]
guards: {removed-targets: false, no-targets: false, empty-cluster: false, deleted-service: false}
"""
MARKS = {"MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "CHERRY_PICK_HEAD", "SQUASH_MSG"}


def no_forge() -> Forge:
    """Stand for a host that is not to be asked."""
    raise AssertionError("nothing is to be asked of a host")


@dataclass
class World:
    """A bare remote that is set up, and whatever works with it."""

    folder: Path
    remote: Path
    settings = SETTINGS
    cluster = "pipy/config/clusters/member1.json"
    service = "pipy/config/services/default.flask.json"
    first = "update member1, default/flask"
    """Subject of the commit that publishes both."""

    def git(self, *arguments: str, at: Path | None = None, stdin: str = "") -> str:
        """Ask git in the remote, or elsewhere."""
        command = ["git", "-C", str(at or self.remote), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.rstrip("\n")

    def bare(self, name: str) -> Path:
        """Make an empty bare repository."""
        self.git("init", "--quiet", "--bare", "--initial-branch=main", name, at=self.folder)
        return self.folder / name

    def checkout(self, name: str = "repo", *options: str) -> Path:
        """Clone the remote, as a user does."""
        self.git("clone", "--quiet", *options, self.remote.as_uri(), name, at=self.folder)
        return self.folder / name

    def commit(self, repo: Path, files: dict[str, str | None], message: str = "a person's change") -> str:
        """Write or remove files of a checkout and commit everything; gives the commit."""
        for path, text in files.items():
            if text is None:
                (repo / path).unlink()
            else:
                (repo / path).parent.mkdir(parents=True, exist_ok=True)
                (repo / path).write_text(text)
        self.git("add", "--all", at=repo)
        self.git("commit", "--quiet", "-m", message, at=repo)
        return self.head(repo)

    def other(self, files: dict[str, str | None], message: str = "the other side's change") -> str:
        """Let somebody else push a commit; gives it."""
        other = self.folder / "other"
        if not other.exists():
            self.checkout("other")
        self.git("pull", "--quiet", "--ff-only", at=other)
        made = self.commit(other, files, message)
        self.git("push", "--quiet", at=other)
        return made

    def head(self, repo: Path | None = None, name: str = "main") -> str:
        """Give the commit of a branch of the remote, or of another repository."""
        return self.git("rev-parse", name, at=repo)

    def linear(self, repo: Path | None = None) -> list[str]:
        """Give the subjects from the first commit on; fails where one has two parents."""
        lines = self.git("log", "--reverse", "--format=%p|%s", "main", at=repo).splitlines()
        assert not [line for line in lines if " " in line.partition("|")[0]], "a merge commit"
        return [line.partition("|")[2] for line in lines]

    def files(self, commit: str = "main", repo: Path | None = None) -> dict[str, str]:
        """Give the files of a commit, by path, each with its blob."""
        lines = filter(None, self.git("ls-tree", "-r", "-z", commit, at=repo).split("\0"))
        return {line.partition("\t")[2]: line.partition("\t")[0] for line in lines}

    def changed(self, commit: str = "main", repo: Path | None = None) -> set[str]:
        """Give the paths that a commit changes."""
        return set(self.git("diff", "--name-only", "--no-renames", f"{commit}~", commit, at=repo).splitlines())

    @staticmethod
    def fleet(*nodes: str) -> Topology:
        """Make a fleet of one member with nodes ``node<number>`` and service default/flask."""
        found = {
            name: Node(name, True, (Address("InternalIP", f"10.1.0.{name.removeprefix('node')}"),)) for name in nodes
        }
        service = Service("default", "flask", "NodePort", (Port("http", 80, 31193, "TCP"),))
        key = ServiceKey("default/flask")
        return Topology({"member1": Cluster("member1", found, {key: service}, {key: Endpoints(True)})})

    @staticmethod
    def open(repo: Path | str) -> Checkout | Clone:
        """Open a repository as the command line does."""
        return Clone(str(repo)) if is_url(str(repo)) else Checkout(Path(repo))

    def publish(self, repo: Path | str | Any, *nodes: str, source: Any = None, dry_run: bool = False) -> Published:
        """Publish a fleet of these nodes (node1) to a checkout, URL or repository, in this process."""
        repository = self.open(repo) if isinstance(repo, Path | str) else repo
        fleet = source or (lambda _: self.fleet(*nodes or ("node1",)))
        return Publisher(repository, fleet, no_forge, time.time).publish(Order(dry_run))

    @staticmethod
    def draft(branch: str, base: str, files: dict[str, bytes | None] | None = None, **more: Any) -> Draft:
        """Make a draft that writes a file of the branch's own name, or these."""
        made = {f"{branch}.txt": f"{base}\n".encode()} if files is None else files
        return Draft(branch, base, made, f"ours on {branch}\n", **{"author": "A <a@example.com>", **more})

    def refs(self, repo: Path | None = None, *patterns: str) -> dict[str, str]:
        """Give all refs of the remote, or of another repository, each with its commit."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", *patterns, at=repo).splitlines()
        return dict(line.split() for line in lines)

    def snapshot(self, *nodes: str) -> Path:
        """Lay down a fleet of these nodes (node1), for the command line."""
        folder = self.folder / "-".join(("snapshot", *nodes))
        replace_folder(folder, snapshot.dump(self.fleet(*nodes or ("node1",))), snapshot.INDEX)
        return folder

    def state(self, repo: Path) -> dict[str, object]:
        """Take down all that a person would see of a checkout."""
        return {
            "branch": self.git("rev-parse", "--symbolic-full-name", "HEAD", at=repo),
            "head": self.head(repo, "HEAD"),
            "refs": self.git("for-each-ref", "refs/heads", "refs/tags", "refs/stash", at=repo),
            "index": self.git("ls-files", "--stage", "-v", at=repo),
            "status": self.git("status", "--porcelain", "--ignored", "--untracked-files=all", at=repo),
            "config": self.git("config", "--list", "--local", at=repo),
            "files": {
                str(path.relative_to(repo)): path.readlink() if path.is_symlink() else path.read_bytes()
                for path in sorted(repo.rglob("*"))
                if ".git" not in path.relative_to(repo).parts and (path.is_symlink() or path.is_file())
            },
        }

    @staticmethod
    def leftovers(folder: Path) -> list[str]:
        """List lock files, temporary files and marks of something half done, in .git too."""
        return sorted(
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.suffix in {".lock", ".tmp", ".new"} or path.name.startswith(("tmp_", ".tmp")) or path.name in MARKS
        )

    def hook(self, repo: Path, name: str, script: str) -> None:
        """Give a bare repository, or a checkout, a hook."""
        hooks = repo / (".git/hooks" if (repo / ".git").exists() else "hooks")
        hooks.mkdir(exist_ok=True)
        (hooks / name).write_text(f"#!/bin/sh\n{script}\n")
        (hooks / name).chmod(0o755)
        self.git("config", "core.hooksPath", str(hooks), at=repo)


@pytest.fixture(scope="session")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set up a bare repository, once for all tests."""
    folder = tmp_path_factory.mktemp("set-up")
    world = World(folder, folder / "remote.git")
    world.bare("remote.git")
    repo = world.checkout()
    people = {
        "publisher.yaml": SETTINGS,
        "README.md": "# people's\n",
        "pipy/main.js": "// people's\n",
        "docs/überblick mit leer.txt": "people's, with a space\n",
        ".gitignore": "*.swp\n",
    }
    world.commit(repo, people, "set up")
    world.git("push", "--quiet", "origin", "main", at=repo)
    return world.remote


@pytest.fixture(scope="session")
def new_world(set_up: Path) -> Callable[[Path], World]:
    """Make a world in a folder."""

    def make(folder: Path) -> World:
        shutil.copytree(set_up, folder / "remote.git")
        return World(folder, folder / "remote.git")

    return make


@pytest.fixture
def world(tmp_path: Path, new_world: Callable[[Path], World], monkeypatch: pytest.MonkeyPatch) -> World:
    """Give every test a world and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return new_world(tmp_path)


@pytest.fixture(params=["checkout", "url"])
def repo(world: World, request: pytest.FixtureRequest) -> Path | str:
    """Publish from a checkout, and by URL."""
    return world.checkout() if request.param == "checkout" else world.remote.as_uri()


@dataclass
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr that tells what went wrong."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("publisher: "), self.err
        return self.err.strip()


@pytest.fixture
def typed(world: World, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run ``publisher publish`` as it is typed, offline."""

    def run(repo: Path | str, *nodes: str) -> Outcome:
        capfd.readouterr()
        code = main(["publish", f"--repo={repo}", "--snapshot", str(world.snapshot(*nodes))])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line as it is typed."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def child(world: World) -> Callable[..., subprocess.Popen[str]]:
    """Start ``python -m publisher publish`` offline, as a process of its own."""

    def start(repo: Path | str, *nodes: str, **environment: str) -> subprocess.Popen[str]:
        options = ["--repo", str(repo), "--snapshot", str(world.snapshot(*nodes))]
        return subprocess.Popen(
            [sys.executable, "-m", "publisher", "publish", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    return start


@pytest.fixture
def gone() -> Callable[[str], None]:
    """Wait for the processes with a text on their command line to end, which takes no time once they are told."""

    def wait(text: str) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run(["pgrep", "-f", text], capture_output=True, check=False).stdout:
            assert time.monotonic() < deadline, f"still there: {text}"
            time.sleep(0.02)

    return wait


class GitServer:
    """git http-backend behind a small web server, with faults to order."""

    def __init__(self, world: World, port: int) -> None:
        self.top = world.folder
        self.place = f"127.0.0.1:{port}/{world.remote.name}"
        self.url = f"http://{self.place}"
        self.user = ""
        """``name:password`` that is asked for; empty: nobody is asked."""
        self.fault: Callable[[BaseHTTPRequestHandler], bool] = lambda request: False
        """Answers in git's place, where it gives True."""
        self.requests: list[str] = []

    def connections(self) -> list[str]:
        """Name the Git services that were asked for, one for each fetch and push."""
        return [line.rpartition("git-")[2] for line in self.requests if "info/refs" in line]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.requests.append(request.path)
        body = self._body(request)
        if self.fault(request):
            request.close_connection = True
        elif self.user and request.headers["Authorization"] != f"Basic {b64encode(self.user.encode()).decode()}":
            self.say(request, 401, b"", {"WWW-Authenticate": 'Basic realm="config"'})
        else:
            self._serve(request, body)

    @staticmethod
    def say(request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    @staticmethod
    def reset(request: BaseHTTPRequestHandler) -> None:
        """End a connection with a RST in the middle of an answer."""
        request.close_connection = True
        request.send_response(200)
        service = "receive-pack" if "receive-pack" in request.path else "upload-pack"
        kind = "advertisement" if "info/refs" in request.path else "result"
        request.send_header("Content-Type", f"application/x-git-{service}-{kind}")
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"0008NAK\n")
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        request.connection.close()

    @staticmethod
    def _body(request: BaseHTTPRequestHandler) -> bytes:
        if request.headers.get("Transfer-Encoding") != "chunked":
            return request.rfile.read(int(request.headers.get("Content-Length", 0)))
        parts = []
        while size := int(request.rfile.readline(), 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        return b"".join(parts)

    def _serve(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        path, _, query = request.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.top),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "someone",
            "REQUEST_METHOD": request.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, input=body, capture_output=True, env=environment, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.say(request, int(headers.pop("Status", "200").split()[0]), content, headers)


@pytest.fixture
def http(world: World) -> Iterator[GitServer]:
    """Serve the world's repositories over HTTP, for pushes too."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.answer(self)

        do_POST = do_GET

        def finish(self) -> None:
            with suppress(OSError, ValueError):  # reset, as ordered
                super().finish()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of connections that clients ended."""

    with Server(("127.0.0.1", 0), Handler) as server:
        served = GitServer(world, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield served
        server.shutdown()
        thread.join()
