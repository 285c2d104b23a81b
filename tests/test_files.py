"""Plain folders: whole or not at all, nobody else's, and no links."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.cli import main
from publisher.edge import files
from publisher.edge.files import Folder, read_file, read_folder, replace_folder, write_file, write_new_tree
from publisher.errors import UsageError

FILES = {"index.yaml": b"new\n", "deep/er/file": b"deep\n"}
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


@contextmanager
def disk_full(after: int = 4) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def tree(top: Path) -> dict[str, bytes]:
    """Give all that is in a folder, hidden files too; folders end in a slash."""
    found = {}
    for path in top.rglob("*"):
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = os.fsencode(path.readlink())
        elif path.is_dir():
            found[f"{name}/"] = b""
        else:
            found[name] = path.read_bytes()
    return found


# reading


def test_reads_what_is_below(tmp_path: Path) -> None:
    """Files by path, sorted; of a folder that is not there, or that is a file, nothing."""
    for path in ("b/c", "a/z", "a/b/c d", "a/ü", "x", "not/here"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    assert list(Folder(tmp_path).tree("", ("b", "a"))) == ["a/b/c d", "a/z", "a/ü", "b/c"]
    assert Folder(tmp_path).tree("", ("nowhere", "x", "x/y")) == {}
    assert read_folder(tmp_path)["a/b/c d"] == b"a/b/c d"
    assert Folder(tmp_path).head() == ""


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither to files nor to folders, nor where a path begins; the folder that is named may be a link itself."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    top = tmp_path / "top"
    (top / "real").mkdir(parents=True)
    (top / "real/file").write_text("x")
    (top / "real/link").symlink_to(tmp_path / "secret/key")
    (top / "real/folder").symlink_to(tmp_path / "secret")
    (top / "real/loop").symlink_to(top)
    (top / "real/dangling").symlink_to("nowhere")
    (top / "linked").symlink_to(tmp_path / "secret")
    (tmp_path / "named").symlink_to(top)
    for folder in (top, tmp_path / "named"):
        assert Folder(folder).tree("", ("real", "linked", "linked/deep")) == {"real/file": b"x"}
        assert read_folder(folder) == {"real/file": b"x"}


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    """A pipe would never end."""
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "publisher.yaml")
    assert read_folder(tmp_path) == {}
    with pytest.raises(UsageError, match="no such file"):
        Folder(tmp_path).settings()


def test_too_large(tmp_path: Path) -> None:
    """A file beyond the limit is named and not read."""
    for size, name in ((files.MAX_FILE, "just"), (files.MAX_FILE + 1, "large")):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    with pytest.raises(UsageError, match="large: larger than 64 MiB"):
        read_folder(tmp_path)
    assert len(read_file(tmp_path / "just")) == files.MAX_FILE


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A line with the place and the reason."""
    with pytest.raises(UsageError, match=r"nowhere: No such file or directory"):
        read_file(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"nowhere: no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"publisher init lays one down"):
        Folder(tmp_path).settings()


@not_root
def test_what_may_not_be_read_is_not_empty(tmp_path: Path) -> None:
    """A folder without the right to read it is an error, wherever it is."""
    (tmp_path / "top/closed").mkdir(parents=True)
    (tmp_path / "top/closed/file").touch()
    (tmp_path / "top/closed").chmod(0)
    try:
        with pytest.raises(UsageError, match="closed: Permission denied"):
            read_folder(tmp_path / "top")
        for path in ("top/closed", "top/closed/deeper"):
            with pytest.raises(UsageError, match="no such folder, or not for this account to read"):
                Folder(tmp_path / path)
            with pytest.raises(UsageError, match="Permission denied"):
                replace_folder(tmp_path / path, FILES, "index.yaml")
    finally:
        (tmp_path / "top/closed").chmod(0o700)


# a new tree


def test_a_new_tree(tmp_path: Path) -> None:
    """All files are there, readable as any other, and what was there is as before."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/mine").write_text("mine")
    write_new_tree(tmp_path, FILES)
    assert tree(tmp_path) == {**FILES, "deep/": b"", "deep/er/": b"", "deep/mine": b"mine"}
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "index.yaml").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("name", ["index.yaml", "deep/er/file", "deep/er", "deep"])
@pytest.mark.parametrize("kind", ["file", "link", "folder", "dangling"])
def test_nothing_is_overwritten(tmp_path: Path, name: str, kind: str) -> None:
    """Whatever is where a file goes, or where a folder goes and is none, is named; nothing is written."""
    top = tmp_path / "top"
    path = top / name
    path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere" if kind == "link" else "nowhere")
    before = tree(tmp_path)
    if kind == "folder" and name not in FILES:
        write_new_tree(top, FILES)
        return
    with pytest.raises(UsageError, match=f"would overwrite {name}; nothing was written"):
        write_new_tree(top, FILES)
    assert tree(tmp_path) == before


def test_all_that_is_taken_is_named(tmp_path: Path) -> None:
    """Not only the first."""
    write_new_tree(tmp_path, FILES)
    with pytest.raises(UsageError, match=r"would overwrite deep/er/file, index\.yaml; nothing"):
        write_new_tree(tmp_path, {**FILES, "more": b""})
    assert not (tmp_path / "more").exists()


def test_a_new_tree_on_a_full_disk(tmp_path: Path) -> None:
    """No file of it is left."""
    (tmp_path / "mine").write_text("mine")
    with disk_full(), pytest.raises(UsageError, match="File too large; nothing was written"):
        write_new_tree(tmp_path, {"a": b"fits", "b/c": b"does not fit"})
    assert {path: data for path, data in tree(tmp_path).items() if not path.endswith("/")} == {"mine": b"mine"}
    write_new_tree(tmp_path, {"a": b"fits", "b/c": b"does not fit"})


# a folder that is replaced


def test_a_folder_is_made_and_replaced(tmp_path: Path) -> None:
    """New, in place of an empty one, and in place of an older one of which nothing stays."""
    for before in ({}, {"index.yaml": b"old", "gone": b"x", "gone too/file": b"x"}):
        folder = tmp_path / f"f{len(before)}"
        write_new_tree(folder, before)
        replace_folder(folder, FILES, "index.yaml")
        assert read_folder(folder) == FILES
    replace_folder(tmp_path / "not/yet/there", FILES, "index.yaml")
    assert read_folder(tmp_path / "not/yet/there") == FILES
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("what", ["files", "file", "marker is a folder"])
def test_a_foreign_folder(tmp_path: Path, what: str) -> None:
    """What is not known by its marker is somebody else's."""
    folder = tmp_path / "folder"
    if what == "file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        (folder / "mine").write_text("mine")
        if what != "files":
            (folder / "index.yaml").mkdir()
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="there is something else here; name a new or empty folder"):
        replace_folder(folder, FILES, "index.yaml")
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path) -> None:
    """The older one stays until the newer one is whole."""
    folder = tmp_path / "folder"
    write_new_tree(folder, {"index.yaml": b"old"})
    before = tree(tmp_path)
    with disk_full(), pytest.raises(UsageError, match="File too large"):
        replace_folder(folder, FILES, "index.yaml")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("error", [OSError(39, "Directory not empty"), KeyboardInterrupt()])
def test_the_old_folder_is_put_back(tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two renames nothing gets lost."""
    folder = tmp_path / "folder"
    write_new_tree(folder, {"index.yaml": b"old"})
    before = tree(tmp_path)
    rename = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt):
        replace_folder(folder, FILES, "index.yaml")
    assert tree(tmp_path) == before


# one file


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """The older content stays where the newer one does not fit, and no temporary file."""
    file = tmp_path / "deep/file"
    write_file(file, b"old", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600
    with disk_full(), pytest.raises(UsageError, match="File too large"):
        write_file(file, b"does not fit")
    assert tree(tmp_path) == {"deep/": b"", "deep/file": b"old"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What a link points at is not ours."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link").symlink_to("theirs")
    write_file(tmp_path / "link", b"ours")
    assert tree(tmp_path) == {"theirs": b"theirs", "link": b"ours"}


# as it is typed


def typed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a verb that is used wrongly; gives the one line that it says."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    return shown.err


def test_where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place that cannot be: exit 2 and one line."""
    (tmp_path / "file").write_text("mine")
    assert "file" in typed(["init", str(tmp_path / "file")], capsys)  # exists, or is no directory
    assert "Not a directory" in typed(["init", str(tmp_path / "file/below")], capsys)
    for place in ("file", "file/below"):
        with pytest.raises(UsageError):
            replace_folder(tmp_path / place, FILES, "index.yaml")
    assert tree(tmp_path) == {"file": b"mine"}


@not_root
def test_where_nothing_may_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of somebody else: exit 2, one line, and nothing is there."""
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "Permission denied; nothing was written" in typed(["init", str(tmp_path / "closed")], capsys)
    with pytest.raises(UsageError, match="Permission denied"):
        replace_folder(tmp_path / "closed/folder", FILES, "index.yaml")
    assert tree(tmp_path / "closed") == {}


def test_a_snapshot_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """plan from nowhere: exit 2 and one line."""
    (tmp_path / "publisher.yaml").write_text("publisher: edge\n")
    shown = typed(["plan", "--repo", str(tmp_path), "--snapshot", str(tmp_path / "nowhere")], capsys)
    assert "nowhere: no such folder" in shown
