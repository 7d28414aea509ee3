"""Payloads of every class through tools that guard their arguments, in the shipped process: files (attack 78), programs
(attack 79), URLs (attacks 80, 81 and 83), patterns (attack 75). Harmless near-misses are mixed in, and served.
"""

import asyncio
import gzip
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import pytest

from mcpward import HttpUrl, SafeUrl, Server, http
from mcpward.sdk.http.client import HttpPolicy, ServerClient
from mcpward.sdk.http.installed import installed
from mcpward.testing import client
from support.outside import http as answer
from support.outside import naming, outside
from support.raw import connect
from support.volley import answer_of, call_bytes
from support.ward import Ward, serving

CANARY = "canary-4711-of-another-folder"
TOOLS = '''
import sys
from typing import Annotated
from mcpward import Argv, HttpUrl, Pattern, SafeFile, SafeFolder, SafePath, SafeUrl, Server, ToolError, http, run

server = Server("demo")
ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"


@server.tool(read_only=True)
def read(path: Annotated[SafeFile, SafePath("docs")]) -> str:
    """Read a file."""
    return path.read_text(errors="replace")[:100]


@server.tool(read_only=True)
def read_within(folder: Annotated[SafeFolder, SafePath("docs")], names: list[str]) -> list[str]:
    """Read files of a folder; an empty text for those that cannot be opened."""
    texts = []
    for name in names:
        try:
            with folder.open_file(name) as file:
                texts.append(file.read_text(errors="replace")[:100])
        except ToolError:
            texts.append("")
    return texts


@server.tool(read_only=True)
async def printed(words: list[Annotated[str, Argv(max=10_000)]]) -> str:
    """Run a program, with each word as an argument."""
    return (await run([sys.executable, "-c", ECHO, *words], cwd="docs")).check().text


@server.tool(read_only=True)
async def fetch(url: Annotated[SafeUrl, HttpUrl(["*"], schemes=["https", "http"])]) -> str:
    """Fetch a URL."""
    try:
        return str((await http.get(url, follow_redirects=True)).status)
    except http.HttpError as error:
        return error.why


@server.tool(read_only=True)
async def matched(text: Annotated[str, Pattern("(a+)+")]) -> int:
    """Match a text."""
    return len(text)
'''
#: Names that look like an attack, or merely odd, and are none.
NEAR_MISSES = (
    "..data", "a..b", "...c", ".hidden", "file with spaces", "naïve 文件.txt", "O'Brien.txt", "100%.txt", "%2e%2e",
    "-rf", "~", "$HOME", "a;b", "deep/er/..file", "10:30 note", "console.txt", "1 OR 2 people",
)  # fmt: skip
WORDS = (
    "O'Brien", "1 OR 2 people", "a;b", "rock & roll", "$5 off", "a -b", "x--y", "`code`", "C:\\temp", "100%",
    "what?", "naïve 文件", '"quoted"', "a|b", "(x)", "{{7*7}}", "{self.__class__}", "~", "..data",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Ward]:
    folder: Path = tmp_path_factory.mktemp("guarded") / "site"
    with serving(folder, start=False, env={"CANARY": CANARY}) as ward:
        docs = folder / "docs"
        (docs / "deep/er").mkdir(parents=True)
        (docs / "swapped").mkdir()
        (folder / "outside").mkdir()
        for name in NEAR_MISSES:
            (docs / name).write_text(f"text of {name}")
        for name in ("passwd", "file", "boot.ini", "win.ini"):
            (docs / "swapped" / name).write_text("inside")
            (folder / "outside" / name).write_text(CANARY)
            (folder / name).write_text(CANARY)
        (docs / "link").symlink_to(folder / "outside")
        (folder / "tools.py").write_text(TOOLS)
        yield ward.start()


def outcomes(ward: Ward, tool: str, calls: Sequence[dict[str, Any]]) -> list[tuple[bool, str]]:
    """Return, for each call, whether the call was refused, and the whole answer as text; on four connections."""

    def part(number: int) -> list[tuple[int, tuple[bool, str]]]:
        with connect(ward.port, 30) as wire:
            return [(at, _outcome(wire, ward, tool, calls[at], at)) for at in range(number, len(calls), 4)]

    with ThreadPoolExecutor(4) as pool:
        every = dict(pair for pairs in pool.map(part, range(4)) for pair in pairs)
    return [every[at] for at in range(len(calls))]


def _outcome(wire: socket.socket, ward: Ward, tool: str, arguments: dict[str, Any], at: int) -> tuple[bool, str]:
    said = answer_of(wire, call_bytes(ward.port, ward.key, at, tool=tool, arguments=arguments))
    body = said.json()
    assert said.status == 200, said.body
    return bool(body["result"].get("isError")), body["result"]["content"][0]["text"]


def mixed(payloads: Sequence[str], harmless: Sequence[str]) -> list[tuple[str, bool]]:
    """Mix in a fifth of harmless values; return each with whether it is harmless."""
    chance = random.Random(78)
    every = [(text, False) for text in payloads]
    every += [(harmless[at % len(harmless)], True) for at in range(len(payloads) // 5)]
    chance.shuffle(every)
    return every


def unpacked(corpora: Path, name: str) -> list[str]:
    texts: list[str] = json.loads(gzip.decompress((corpora / f"{name}_payloads.json.gz").read_bytes()))
    return texts


SWAPPER = """
import os, pathlib, sys
os.nice(5)
site = pathlib.Path(sys.argv[1])
docs, outside = site / "docs", site / "outside"
print("swapping", flush=True)
while True:
    (docs / "swapped").rename(docs / "aside")
    (docs / "swapped").symlink_to(outside)
    (docs / "swapped").unlink()
    (docs / "aside").rename(docs / "swapped")
    (docs / "turning").symlink_to(outside / "file")
    (docs / "turning").unlink()
    (docs / "turning").write_text("inside")
    (docs / "turning").unlink()
"""


@contextmanager
def swapping(site: Path) -> Iterator[None]:
    """Let a folder, and a file, be links that lead outside, and then themselves again, all the while."""
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, str(site)], stdout=subprocess.PIPE)
    try:
        assert swapper.stdout is not None
        swapper.stdout.readline()
        yield
        assert swapper.poll() is None
    finally:
        swapper.kill()
        swapper.communicate()
        restored(site / "docs")


def restored(docs: Path) -> None:
    """Put in place what the swapper was at when it was killed."""
    (docs / "turning").unlink(missing_ok=True)
    if (docs / "aside").exists():
        (docs / "swapped").unlink(missing_ok=True)
        (docs / "aside").rename(docs / "swapped")


RACING = ("swapped/passwd", "swapped/file", "turning", "link/passwd", "swapped/../swapped/file", "link")


@pytest.mark.parametrize("name,part", [("traversal", 0), ("traversal", 1), ("file_inclusion", None)])
def test_attack_78_no_payload_reads_outside_while_links_and_folders_are_swapped(site, corpora, name, part):
    """Each payload in a batch, from a folder; each sixteenth by itself, as the argument."""
    payloads = unpacked(corpora, name)
    assert len(payloads) == {"traversal": 22_582, "file_inclusion": 4_796}[name]
    payloads = payloads if part is None else payloads[part::2]
    in_batches = mixed([*payloads, *(RACING * (len(payloads) // 60))], NEAR_MISSES)
    alone = mixed([*payloads[::16], *(RACING * (len(payloads) // 200))], NEAR_MISSES)
    with swapping(site.folder):
        batches = [[text for text, _ in in_batches[at : at + 250]] for at in range(0, len(in_batches), 250)]
        texts = outcomes(site, "read_within", [{"folder": ".", "names": batch} for batch in batches])
        answers = outcomes(site, "read", [{"path": text} for text, _ in alone])
    found = [text for is_refused, said in texts for text in ([] if is_refused else json.loads(said))]
    assert len(found) == len(in_batches)
    require_inside(in_batches, [(text == "", text) for text in found])
    require_inside(alone, answers)


def require_inside(asked: Sequence[tuple[str, bool]], answers: Sequence[tuple[bool, str]]) -> None:
    """Require that every near-miss was served, no payload was, and the swapped files were theirs or refused."""
    for (text, is_harmless), (is_refused, said) in zip(asked, answers, strict=True):
        assert CANARY not in said, text
        assert "root:x:0" not in said, text
        if is_harmless:
            assert (is_refused, said) == (False, f"text of {text}")
        else:
            assert is_refused or (text in RACING and said in {"inside", ""}), text
    assert any(said == "inside" for _, said in answers)


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "../../proc/self/environ", "C:\\Windows\\win.ini", "\\\\localhost\\c$\\x", "..data::$DATA",
     "CON", "com1.txt", "..data.", "..data ", "..data\0", "..\\outside\\file", "deep/../../outside/file"],
)  # fmt: skip
def test_attack_78_forms_of_other_systems_are_refused_and_not_repeated(site, path):
    ((is_refused, said),) = outcomes(site, "read", [{"path": path}])
    assert is_refused
    assert said.startswith("an argument was refused\npath: a ")
    assert path not in said


def test_attack_79_every_payload_is_one_literal_argument_of_the_program(site, corpora):
    payloads = json.loads((corpora / "command_payloads.json").read_text())
    assert len(payloads) == 496
    fit = [text for text in payloads if not text.startswith("-") and len(text.splitlines()) == 1 and "\0" not in text]
    asked = [text for text, _ in mixed(fit, WORDS)]
    before = {path.name for path in site.folder.rglob("*")}
    at_once = [asked[at : at + 20] for at in range(0, len(asked), 20)]
    answers = outcomes(site, "printed", [{"words": words} for words in at_once])
    assert [word for is_refused, said in answers for word in ([] if is_refused else json.loads(said))] == asked
    unfit = [text for text in payloads if text not in set(fit)]
    hostile = (*unfit, "-rf", "--output=x", "a\nb", "a\0b")
    refused = outcomes(site, "printed", [{"words": [text]} for text in hostile])
    assert all(is_refused for is_refused, _ in refused)
    assert {path.name for path in site.folder.rglob("*")} - before <= {"__pycache__"}


async def test_attack_80_and_81_no_spelling_of_this_machine_is_called_through_a_guarded_url(site, corpora):
    known = json.loads((corpora / "ssrf_urls.json").read_text())
    async with outside() as canary:
        port = canary.port
        hosts = ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1")
        urls = [
            *(url for url in known if "example" not in url),
            *(f"{scheme}://{host}:{port}/" for scheme in ("http", "https") for host in hosts),
            f"http://user@127.0.0.1:{port}/", f"gopher://127.0.0.1:{port}/_x", "file:///etc/passwd",
            "data:text/plain,x",
            f"http://a.example\r\nHost: 127.0.0.1:{port}/", "http://a.example/\r\n\r\nGET / HTTP/1.1",
        ]  # fmt: skip
        answers = await asyncio.to_thread(outcomes, site, "fetch", [{"url": url} for url in urls])
        allowed = {"address-refused", "host-refused", "plain-refused", "unresolved"}
        assert all(is_refused or said in allowed for is_refused, said in answers)
        assert canary.connections == 0


def fetching(port: int) -> Server:
    web = Server("web")
    allowed = HttpUrl([f"*.example:{port}", f"good.test:{port}"], schemes=["http"])

    @web.tool(read_only=True)
    async def fetch(url: Annotated[SafeUrl, allowed]) -> str:
        """Fetch a URL."""
        try:
            return str((await http.get(url, follow_redirects=True)).status)
        except http.HttpError as error:
            return error.why

    return web


async def test_attack_80_a_name_that_moves_home_and_a_redirect_off_the_list_reach_no_canary():
    book: dict[str, Sequence[Sequence[str]]] = {
        "moves.example": [["127.0.0.1"], ["127.0.0.2"]],
        "two.example": [["127.0.0.1", "127.0.0.2"]],
        "home.example": [["127.0.0.2"]],
        "off.test": [["127.0.0.1"]],
        "good.test": [["127.0.0.1"]],
    }  # fmt: skip
    policy = HttpPolicy(allow=(ip_network("127.0.0.1/32"),))
    async with (
        naming(book) as (_, look_up),
        outside() as there,
        outside(host="127.0.0.2", port=there.port) as canary,
        client(fetching(there.port)) as calls,
        installed({calls._site.source.server: policy}, lambda made: ServerClient(made, lookup=look_up)),
    ):

        async def get(host: str) -> str:
            return (await calls.call("fetch", url=there.url(host=host))).value

        assert await get("good.test") == "200"
        assert await get("moves.example") == "200"
        there.hang_up()
        await there.gone()
        assert [await get(name) for name in ("moves.example", "two.example", "home.example")] == ["address-refused"] * 3
        there.answer = answer(status=302, location=there.url(host="home.example"))
        assert await get("good.test") == "address-refused"
        there.answer = answer(status=302, location=there.url(host="off.test"))
        assert await get("good.test") == "host-not-allowed"
        assert (await calls.call("fetch", url=there.url(host="off.test"))).reason == "argument-dangerous"
        assert canary.connections == 0


def test_attack_75_a_pattern_that_would_run_on_takes_no_time(site):
    text = "a" * 50_000 + "!"
    started = time.perf_counter()
    ((is_refused, _),) = outcomes(site, "matched", [{"text": text}])
    assert is_refused
    assert time.perf_counter() - started < 1
    assert outcomes(site, "matched", [{"text": "a" * 50_000}]) == [(False, "50000")]
