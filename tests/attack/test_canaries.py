"""Five hundred canary secrets, planted wherever one may stand; then everything that left the process is searched.

Attack 85. Sources: CWE-532 (logs), CWE-209 (error texts), CWE-200; a dozen advisories of gateways that masked one
channel of many. The disguises and the search are written in ``support.canaries``, not taken from the code under test.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from ahocorasick_rs import BytesAhoCorasick

from mcpward.config.load import load
from mcpward.core.secret import Secret
from mcpward.operations.site import open_site
from support.canaries import Canary, canaries, leaks
from support.raw import connect, parse, request, talk
from support.ward import ACCEPT, VERSION, Ward, modern_request, serving
from support.wire import until

CANARIES = canaries()
#: The last hundred lie in the vault, all others in the environment.
IN_VAULT = CANARIES[400:]
TESTS = Path(__file__).resolve().parent.parent

TOOLS = '''
import asyncio
import logging
import sqlite3
import sys
import threading
import traceback
import warnings
from dataclasses import dataclass

from mcpward import Context, Server, ToolError, env
from support.canaries import canaries

server = Server("demo")
MADE = canaries()
SECRETS = [getattr(env, canary.name) for canary in MADE]
rows = sqlite3.connect(":memory:", check_same_thread=False)
rows.execute("CREATE TABLE kept (at INTEGER, value TEXT)")
rows.executemany("INSERT INTO kept VALUES (?, ?)", [(at, secret.reveal()) for at, secret in enumerate(SECRETS)])
print("read at the start:", SECRETS[0].reveal())


def disguised(at: int) -> list[str]:
    """What a careless tool might make of a secret."""
    assert MADE[at].value.strip() == SECRETS[at].reveal().strip()
    return MADE[at].few(at)


@server.tool(read_only=True)
async def tell_rows(at: int) -> list[dict[str, object]]:
    """Give rows of a database away."""
    return [{"at": row[0], "value": row[1]} for row in rows.execute("SELECT * FROM kept WHERE at >= ? LIMIT 3", (at,))]


@server.tool(read_only=True)
async def shout(at: int) -> str:
    """Write secrets where a script writes."""
    for text in disguised(at):
        print("connecting with", text)
    sys.stdout.buffer.write(SECRETS[at].reveal().encode())
    print(SECRETS[at].reveal(), file=sys.stderr, flush=True)
    warnings.warn(SECRETS[at].reveal(), stacklevel=1)

    def fail() -> None:
        raise ValueError(SECRETS[at].reveal())

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    return "shouted"


@server.tool(read_only=True)
async def tell(at: int) -> str:
    """Give every disguise away."""
    return "\\n".join(disguised(at))


@server.tool(read_only=True)
async def tell_table(at: int) -> dict[str, object]:
    """Give every disguise away, as values, names and in lists."""
    texts = disguised(at)
    return {"texts": texts, "table": {text: text for text in texts}, "deep": [[{"x": texts}]]}


@server.tool(read_only=True)
async def tell_blocks(at: int) -> list[str]:
    """Give a secret away in two blocks."""
    value = SECRETS[at].reveal()
    return ["begins " + value[: len(value) // 2], value[len(value) // 2 :] + " ends"]


@server.tool(read_only=True)
async def fail(at: int) -> str:
    """Fail with a secret in the text, and in the texts of what caused it."""
    try:
        try:
            raise KeyError(SECRETS[at].reveal())
        except KeyError as error:
            raise ConnectionError("cannot reach " + " ".join(disguised(at))) from error
    except ConnectionError as error:
        error.add_note(SECRETS[at].reveal())
        raise


@server.tool(read_only=True)
async def scold(at: int) -> str:
    """Fail with a public text that holds a secret."""
    raise ToolError("no: " + " ".join(disguised(at)))


@server.tool(read_only=True)
async def report(at: int, ctx: Context) -> str:
    """Tell of a secret on the way."""
    await ctx.report_progress(1, 2, SECRETS[at].reveal())
    await ctx.warning(SECRETS[at].reveal())
    return "done"


@server.tool(read_only=True)
async def write_log(at: int) -> str:
    """Log secrets as a library might."""
    logger = logging.getLogger("somebody.else")
    for text in disguised(at):
        logger.warning("connecting with %s", text)
    try:
        raise OSError(SECRETS[at].reveal())
    except OSError:
        logger.exception("failed")
    return "logged"


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(destructive=True)
async def wipe(what: str) -> str:
    """Destroy something."""
    return "wiped"


@server.tool(read_only=True)
async def show_secret(at: int) -> str:
    """Print a secret in every way that Python has."""
    secret = SECRETS[at]

    @dataclass
    class Holder:
        password: object

    try:
        raise ValueError(secret, {"password": secret})
    except ValueError:
        trace = traceback.format_exc()
    return "\\n".join([repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s %r" % (secret, secret),
                      "{}".format(secret),
                      repr([secret]), repr({"a": secret}), repr(Holder(secret)), trace])


@server.tool(read_only=True)
async def crash_secret(at: int) -> str:
    """Fail with a secret as an argument of the exception."""
    raise RuntimeError("cannot connect", SECRETS[at])


@server.resource("demo://secrets", mime_type="text/plain")
async def secrets_page() -> str:
    """All of them."""
    return "\\n".join(secret.reveal() for secret in SECRETS)


@server.prompt()
async def greet(name: str) -> str:
    """Greet a secret."""
    return "Say " + SECRETS[int(name)].reveal()
'''


async def fill_vault(folder: Path) -> None:
    with chdir(folder):
        settings = load(Path("mcpward.toml"), {})
    settings = settings.model_copy(update={"site": settings.site.model_copy(update={"data": folder / ".mcpward"})})
    async with open_site(settings) as site:
        await site.vault.set_all({("demo", one.name): Secret(one.value, one.name) for one in IN_VAULT})


@pytest.fixture(scope="module")
def caged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with cage(tmp_path_factory.mktemp("canaries") / "site") as site:
        yield site


@contextmanager
def cage(folder: Path) -> Iterator[Ward]:
    """A site whose every tool gives secrets away, and whose log has all that it may."""
    env = {canary.name: canary.value for canary in CANARIES[:400]} | {"PYTHONPATH": str(TESTS)}
    with serving(folder, '[log]\nlevel = "debug"\n', start=False) as site:
        (folder / "tools.py").write_text(TOOLS)
        asyncio.run(fill_vault(folder))
        site.key = site.create_key(name="all", **{"class": "destructive"})
        site.extra_env |= env
        yield site.start()


class Caller:
    """Calls on one connection; gives all bytes of the answer."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.wire = connect(ward.port, 20)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def ask(self, method: str, name: str, params: dict[str, object], meta: dict[str, object] | None = None) -> bytes:
        body, _ = modern_request(method, params)
        body["params"]["_meta"] |= meta or {}
        label = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", ACCEPT),
            ("MCP-Protocol-Version", VERSION),
            ("Authorization", f"Bearer {self.ward.key}"),
            ("Mcp-Method", method),
            ("Mcp-Name", label),
        ]
        self.wire.sendall(request(self.ward.port, "POST", "/mcp", headers, json.dumps(body).encode()))
        received = b""
        while not parse(received)[0]:
            data = self.wire.recv(1 << 20)
            assert data
            received += data
        return received

    def call(self, tool: str, **arguments: object) -> bytes:
        return self.ask("tools/call", tool, {"name": tool, "arguments": arguments})


def searched(output: bytes, planted: tuple[Canary, ...] = CANARIES) -> set[str]:
    """Names of all canaries of which a trace stands in a great deal of output."""
    names, search = _search(planted)
    return {names[hit] for hit, _, _ in search.find_matches_as_indexes(output)}


@cache
def _search(planted: tuple[Canary, ...]) -> tuple[list[str], BytesAhoCorasick]:
    owners = {trace: canary.name for canary in planted for trace in canary.traces()}
    return list(owners.values()), BytesAhoCorasick(list(owners))


def test_attack_85_the_search_finds_what_is_there():
    """A search that finds nothing must be known to be one that can."""
    for canary in CANARIES[:12]:
        found = [name for name, text in canary.disguises() if leaks(f"x{text}y".encode(), [canary])]
        assert len(found) > len(list(canary.disguises())) // 2
        assert canary.name in searched(f"x{canary.value}y".encode(), CANARIES[:12])


TELLING = ("tell_table", "tell", "tell_blocks", "fail", "scold", "write_log", "tell_rows", "shout")


def test_attack_85_no_tool_gives_a_canary_away_in_any_disguise(caged: Ward):
    """Every canary by one tool, and every tool by sixty canaries."""
    with Caller(caged) as caller:
        for at, canary in enumerate(CANARIES):
            said = caller.call(TELLING[at % len(TELLING)], at=at)
            assert said.startswith(b"HTTP/1.1 200")
            assert not searched(said), (canary.name, said[:3000])


def test_attack_85_no_notification_resource_or_prompt_gives_a_canary_away(caged: Ward):
    with Caller(caged) as caller:
        for at, canary in list(enumerate(CANARIES))[::11]:
            meta: dict[str, object] = {"progressToken": at, "io.modelcontextprotocol/logLevel": "debug"}
            said = caller.ask("tools/call", "report", {"name": "report", "arguments": {"at": at}}, meta)
            assert b"done" in said
            assert b"notifications/progress" in said
            assert not leaks(said, [canary])
            said = caller.ask("prompts/get", "greet", {"name": "greet", "arguments": {"name": str(at)}})
            assert b"Say " in said
            assert not leaks(said, [canary])
        assert not searched(caller.ask("resources/read", "demo://secrets", {"uri": "demo://secrets"}))


def test_attack_85_a_canary_that_a_caller_sends_is_kept_nowhere(caged: Ward):
    """In arguments, in names, in headers, in the address: a registered secret is masked in every caller's input."""
    port = caged.port
    with Caller(caged) as caller:
        for at, canary in list(enumerate(CANARIES))[::23]:
            assert not leaks(caller.call("echo", text=canary.value), [canary])
            assert not leaks(caller.call("echo", text="x", **{canary.value[:60]: canary.value}), [canary])
            assert not leaks(caller.call("echo", text=[canary.value]), [canary])
            assert not leaks(caller.call(canary.value), [canary])
            assert not leaks(caller.call("wipe", what=canary.value), [canary])
            if canary.value.isascii() and canary.value.isprintable():  # else it is no header of any request
                assert not leaks(caller.ask(canary.value, "x", {}), [canary]) or at % 2
            plain = canary.value.encode("ascii", "ignore").decode().replace("\n", "")
            target = "/" + quote(canary.value, safe="")
            for headers in (
                [("Authorization", f"Bearer {plain}")],
                [("X-API-Key", plain)],
                [("User-Agent", plain)],
                [("Mcp-Session-Id", plain)],
                [("Cookie", plain)],
                [("Host", plain)],
                [("Origin", plain)],
            ):
                for path in (target, "/mcp", f"/mcp?token={quote(canary.value, safe='')}"):
                    data = request(
                        port, "POST", path, [*headers, ("Content-Type", "application/json"), ("Accept", ACCEPT)], b"{}"
                    )
                    if path == target or at % 25 == 0:
                        assert not leaks(talk(port, data, quiet_s=0.001).received, [canary])


def test_attack_85_no_sink_holds_a_trace_of_any_canary(caged: Ward):
    """Log, database with its journal, metrics page, snapshots: after tools, callers and the site itself said all."""
    with Caller(caged) as caller:
        for at, canary in list(enumerate(CANARIES))[::29]:
            for tool in TELLING:
                caller.call(tool, at=at)
            caller.call("echo", text=canary.value)
            caller.call("wipe", what=canary.value)
            caller.call(canary.value)
    records = caged.cli("log", "--json", "--lines", "10000").stdout.encode()
    with urlopen(f"http://127.0.0.1:{caged.metrics_port}/metrics", timeout=5) as page:
        metrics = page.read()
    with urlopen(f"http://127.0.0.1:{caged.port}/readyz", timeout=5) as page:
        ready = page.read()
    shown = caged.cli("config", "show", "--json").stdout.encode()
    assert b"[redacted]" in records
    assert b"[redacted]" in caged.log().encode()
    assert searched(caged.log().encode()) == set()
    assert searched(records) == set()
    assert b"connecting with [redacted]" in caged.log().encode()
    assert searched(metrics) == set()
    assert searched(ready) == set()
    assert searched(shown) == set()
    files = [path for path in (caged.folder / ".mcpward").rglob("*") if path.is_file()]
    assert any(path.name == "mcpward.db" for path in files)
    for path in files:
        assert searched(path.read_bytes()) == set(), path.name


def test_attack_86_a_secret_has_no_printed_form(caged: Ward):
    """``repr``, ``str``, format, containers, dataclasses and tracebacks all show ``***``; before redaction is asked."""
    with Caller(caged) as caller:
        for at, canary in list(enumerate(CANARIES))[::25]:
            said = caller.call("show_secret", at=at)
            text = parse(said)[0][0].json()["result"]["content"][0]["text"]
            assert text.count("***") >= 11
            assert "[redacted]" not in text
            assert not leaks(said, [canary])
            said = caller.call("crash_secret", at=at)
            assert b"the tool failed (error " in said
            assert not leaks(said, [canary])


def test_attack_86_a_traceback_in_the_log_shows_no_secret(tmp_path: Path):
    """At a site of its own: of one kind of line, 60 a minute are written."""
    with cage(tmp_path / "site") as ward, Caller(ward) as caller:
        assert b"the tool failed (error " in caller.call("crash_secret", at=0)
        until(lambda: "Secret(***)" in ward.log())
        assert not leaks(ward.log().encode(), CANARIES[:1])
