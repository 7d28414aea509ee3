"""``SafePath``: what is opened below a folder, with and without openat2, and what never is."""

import os
import socket
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import pytest

from mcpward import NewFile, SafeFile, SafeFolder, SafePath, Server, ToolError
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards import beneath
from mcpward.testing import client

CANARY = "the canary outside"
#: Names that look like an attack, or merely odd, and are none.
HARMLESS = (
    "plain.txt", "..data", "a..b", "...c", ".hidden", "file with spaces", "naïve – ünïcode 文件.txt", "O'Brien.txt",
    "100%.txt", "%2e%2e", "-rf", "~", "$HOME", "a;b", "deep/er/file", "10:30 note", "console.txt", "null",
)  # fmt: skip
REFUSED = (
    "../canary", "deep/../../canary", "/etc/passwd", "//etc/passwd", "", ".", "..", "deep/..", "a\0b", "\0", "a\nb",
    "..\\canary", "deep\\file", "C:\\boot.ini", "C:boot.ini", "c:/boot.ini", "\\\\host\\share", "plain.txt::$DATA",
    "plain.txt:$DATA", "CON", "nul.txt", "deep/aux", "COM1", "lpt\u00b9.x", "plain.txt.", "plain.txt ", "x" * 256,
    "a/" * 600, "/proc/self/environ", "deep/\x7f",
)  # fmt: skip
NOT_THERE = (
    "missing", "plain.txt/x", "link", "link/canary", "folder-link/canary", "inner-link", "proc/self/environ", "pipe",
    "socket", "deep", "%2e%2e%2fcanary", "..%2fcanary", "large", "deep/up/canary", "dangling",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "deep/er").mkdir(parents=True)
    (tmp_path / "canary").write_text(CANARY)
    for name in HARMLESS:
        (root / name).write_text(f"text of {name}")
    (root / "link").symlink_to(tmp_path / "canary")
    (root / "folder-link").symlink_to(tmp_path)
    (root / "inner-link").symlink_to("plain.txt")
    (root / "dangling").symlink_to(tmp_path / "nothing")
    (root / "proc").symlink_to("/proc")
    (root / "deep/up").symlink_to("../..")
    (root / "large").write_bytes(b"x" * 2001)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(str(root / "socket"))
    return root


@pytest.fixture(params=[True, False], ids=["openat2", "by-parts"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of opening; the second is that of old kernels, sandboxes and other systems."""
    monkeypatch.setattr(beneath, "_known", [request.param and beneath._is_there()])


def serving(root: Path, **options: Any) -> Server:
    server = Server("files")
    guard = SafePath(root, max_bytes=2000, **options)

    @server.tool(read_only=True)
    async def read(path: Annotated[SafeFile, guard]) -> str:
        """Read a file."""
        kept.append(path)
        return f"{path.name}|{path.size}|{path.read_text()}"

    @server.tool(read_only=True)
    def read_sync(paths: list[Annotated[SafeFile, guard]]) -> list[str]:
        """Read files."""
        return [path.stream.read().decode() for path in paths]

    @server.tool(read_only=True)
    async def listed(path: Annotated[SafeFolder | None, guard] = None) -> list[str]:
        """List a folder."""
        return [] if path is None else [f"{one.name}{'/' * one.is_folder}" for one in path.entries()]

    @server.tool(read_only=True)
    async def within(path: Annotated[SafeFolder, guard], name: str) -> str:
        """Read a file of a folder."""
        with path.open_file(name) as file:
            return file.read_text()

    @server.tool()
    async def write(path: Annotated[NewFile, guard], text: str) -> str:
        """Write a new file."""
        path.write_text(text)
        return path.name

    return server


kept: list[SafeFile] = []


@pytest.mark.usefixtures("_way")
async def test_a_file_below_the_folder_arrives_open_and_is_closed_when_the_call_ends(root: Path):
    async with client(serving(root)) as files:
        for name in HARMLESS:
            text = f"text of {name}"
            assert (await files.call("read", path=name)).value == f"{name}|{len(text.encode())}|{text}"
        assert (await files.call("read", path="./deep//er/./file")).value.startswith("deep/er/file|")
        assert (await files.call("read_sync", paths=["..data", "a..b"])).value == ["text of ..data", "text of a..b"]
    with pytest.raises(ValueError, match="closed"):
        kept[-1].read_bytes()
    with pytest.raises(ValueError, match="closed"):
        _ = kept[-1].fd


@pytest.mark.usefixtures("_way")
async def test_no_other_name_is_opened_and_the_refusal_says_what_to_pass(root: Path):
    before = open_files()
    async with client(serving(root)) as files:
        for name in (*REFUSED, *NOT_THERE):
            refused = await files.call("read", path=name)
            assert refused.reason in {"argument-dangerous", "arguments-invalid"}, name
            assert "path: " in refused.text
            assert CANARY not in refused.text
            assert str(root) not in refused.text
        several = await files.call("read_sync", paths=["..data", "link"])
        assert "paths.1: a path below the folder without links" in several.text
        assert "a file of at most 2000 bytes; this one has 2001" in (await files.call("read", path="large")).text
        assert "a file, and not a folder" in (await files.call("read", path="deep")).text
        assert "path: a regular file" in (await files.call("read", path="pipe")).text
    assert open_files() <= before


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.usefixtures("_way")
async def test_a_folder_is_listed_without_links_and_special_files(root: Path):
    async with client(serving(root)) as files:
        names = set((await files.call("listed", path=".")).value)
        assert {"..data", "deep/", "file with spaces"} <= names
        assert names.isdisjoint({"link", "folder-link", "folder-link/", "pipe", "socket", "proc", "proc/"})
        assert (await files.call("listed", path="deep/er")).value == ["file"]
        assert (await files.call("listed")).value == []
        assert (await files.call("listed", path="folder-link")).reason == "argument-dangerous"
        assert (await files.call("within", path="deep", name="er/file")).value == "text of deep/er/file"
        for name in ("../plain.txt", "up/canary", "missing", "/etc/passwd"):
            assert (await files.call("within", path="deep", name=name)).text.startswith("pass "), name
    async with client(serving(root, max_entries=3)) as files:
        assert (await files.call("listed", path=".")).text == "the folder has more than 3 entries"


@pytest.mark.usefixtures("_way")
async def test_a_call_that_is_refused_or_fails_leaves_no_new_file_in_the_way_of_the_next(root: Path, tmp_path: Path):
    server = Server("copies")
    guard = SafePath(root)

    @server.tool()
    async def copy(new: Annotated[NewFile, guard], old: Annotated[SafeFile, guard]) -> str:
        """Copy a file."""
        new.write_bytes(old.read_bytes())
        if old.name == "null":
            raise ToolError("not this one")
        if old.name == "~":
            (root / new.name).rename(tmp_path / "moved")
            (root / new.name).write_text("of someone else")
            raise ToolError("nor this one")
        return new.name

    @server.tool()
    def sync(new: Annotated[NewFile, guard]) -> str:
        """Fail."""
        raise RuntimeError(new.name)

    before = open_files()
    async with client(server) as files:
        assert "old: the name of an existing file" in (await files.call("copy", new="copy", old="missing")).text
        assert not (root / "copy").exists()
        assert "not this one" in (await files.call("copy", new="copy", old="null")).text
        assert not (root / "copy").exists()
        assert (await files.call("sync", new="deep/copy")).is_error
        assert not (root / "deep/copy").exists()
        assert (await files.call("copy", new="copy", old="-rf")).value == "copy"
        assert "nor this one" in (await files.call("copy", new="swapped", old="~")).text
    assert (root / "swapped").read_text() == "of someone else"
    assert open_files() <= before


@pytest.mark.usefixtures("_way")
async def test_a_new_file_takes_no_name_that_is_there(root: Path, tmp_path: Path):
    async with client(serving(root)) as files:
        assert (await files.call("write", path="deep/new.txt", text="hello")).value == "deep/new.txt"
        assert (root / "deep/new.txt").read_text() == "hello"
        for name in ("plain.txt", "link", "dangling", "folder-link/new", "../new", "deep"):
            assert (await files.call("write", path=name, text="x")).reason == "argument-dangerous", name
        assert (await files.call("write", path="long", text="x" * 2001)).text == "a file may have at most 2000 bytes"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "nothing").exists()
    assert (tmp_path / "canary").read_text() == CANARY


async def test_only_names_with_the_suffix_are_opened(root: Path):
    async with client(serving(root, suffixes=[".txt"])) as files:
        assert (await files.call("read", path="plain.txt")).reason is None
        assert "the name of a file ending in .txt" in (await files.call("read", path="..data")).text
        (tool,) = [tool for tool in await files.tools() if tool["name"] == "read"]
        assert tool["inputSchema"]["properties"]["path"]["description"] == (
            "A relative path with / between folders, ending in .txt; links are not followed."
        )


@pytest.mark.usefixtures("_way")
def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere(root: Path, tmp_path: Path):
    """The whole race, without a server: names are looked up by the system, once, from a descriptor."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text(CANARY)
    (root / "real").mkdir()
    (root / "real/file").write_text("inside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "real").rename(root / "aside")
            (root / "real").symlink_to(tmp_path / "outside")
            (root / "real").unlink()
            (root / "aside").rename(root / "real")

    swapper = threading.Thread(target=swap)
    swapper.start()
    found: list[bytes] = []
    refused = 0
    folder = os.open(root, os.O_RDONLY)
    end = time.monotonic() + 10
    try:
        while (len(found) < 1000 or refused < 1000) and time.monotonic() < end:
            try:
                fd = beneath.open_beneath(folder, ("real", "file"), os.O_RDONLY)
            except OSError:
                refused += 1
                continue
            found.append(os.read(fd, 100))
            os.close(fd)
    finally:
        stop.set()
        swapper.join()
        os.close(folder)
    assert set(found) == {b"inside"}


@pytest.mark.parametrize(
    "make,what",
    [
        (lambda: SafePath("no such folder"), "SafePath: there is no folder "),
        (lambda: SafePath(""), "SafePath: root is a folder"),
        (lambda: SafePath("/", max_bytes=0), "SafePath: max_bytes is a whole number above 0"),
        (lambda: SafePath("/", suffixes=".txt"), "SafePath: suffixes is a list of texts"),
        (lambda: declared(Annotated[str, SafePath("/")]), "SafePath stands on SafeFile, SafeFolder or NewFile"),
        (lambda: declared(SafeFile), "SafeFile has no folder"),
        (lambda: declared(list[list[Annotated[SafeFile, SafePath("/")]]]), "SafePath cannot stand within a model"),
    ],
)
def test_a_path_that_cannot_be_kept_is_told_at_registration(make, what):
    with pytest.raises(AuthoringError) as wrong:
        make()
    assert what in wrong.value.what
    assert wrong.value.hint


def declared(annotation: Any) -> None:
    def read(path: Any) -> None:
        """Read."""

    read.__annotations__["path"] = annotation
    Server("files").tool(read)
