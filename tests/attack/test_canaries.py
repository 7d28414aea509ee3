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
from support.wire import site, until

CANARIES = canaries()
#: The last hundred lie in the vault, the hundred before in files, half of these as names of variables say; all others
#: in the environment.
IN_ENVIRONMENT, IN_FILES, IN_VAULT = CANARIES[:300], CANARIES[300:400], CANARIES[400:]
#: One more, which is the password in the URL of the counters in mcpward.toml.
OF_COUNTERS = Canary("OF_COUNTERS", "canary-of-the-counters-3b7Yq0pX", ("canary-of-the-counters-3b7Yq0pX",))
PLANTED = (*CANARIES, OF_COUNTERS)
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
    value = SECRETS[at].reveal().strip()
    print("the first half", value[: len(value) // 2], end="", flush=True)
    print(value[len(value) // 2 :], "was the second", flush=True)
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


@server.tool(read_only=True)
async def tell_file(path: str) -> str:
    """Give a file away: the site's own settings, or what is mounted."""
    with open(path, encoding="utf-8") as file:
        return file.read()


@server.tool(read_only=True)
async def stream(at: int, ctx: Context) -> str:
    """Give a secret away in many frames, at another place of each, and in a last one that is long."""
    for step in range(3):
        padding = "word " * (600 + 7 * step + at % 9)
        await ctx.report_progress(step, 7, padding + SECRETS[at].reveal())
        await ctx.warning(padding + SECRETS[at].reveal() + padding)
    return 12 * padding + SECRETS[at].reveal() + 12 * padding


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
    async with open_site(settings) as opened:
        await opened.vault.set_all({("demo", one.name): Secret(one.value, one.name) for one in IN_VAULT})


#: No counters answer at that port, so that their URL is in what is said of it.
COUNTERS_AWAY = f"""
[log]
level = "debug"
[secrets]
files = ["mounted"]
[limits]
auth_failures = "100000/minute"
requests = "1000000/minute"
counters = "redis://ward:{OF_COUNTERS.value}@127.0.0.1:9/0"
on_store_failure = "local"
"""


def write_files(folder: Path) -> None:
    for name in ("named", "mounted"):
        (folder / name).mkdir()
    for at, canary in enumerate(IN_FILES):
        path = folder / "named" / canary.name if at % 2 == 0 else folder / "mounted" / canary.name.lower()
        path.write_text(canary.value + "\n", newline="")


@pytest.fixture(scope="module")
def caged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with cage(tmp_path_factory.mktemp("canaries") / "site") as ward:
        yield ward


@contextmanager
def cage(folder: Path) -> Iterator[Ward]:
    """A site whose every tool gives secrets away, and whose log has all that it may."""
    env = {canary.name: canary.value for canary in IN_ENVIRONMENT} | {"PYTHONPATH": str(TESTS)}
    env |= {f"{canary.name}_FILE": str(folder / "named" / canary.name) for canary in IN_FILES[::2]}
    with serving(folder, COUNTERS_AWAY, start=False) as caged:
        (folder / "tools.py").write_text(TOOLS)
        write_files(folder)
        asyncio.run(fill_vault(folder))
        caged.key = caged.create_key(name="all", **{"class": "destructive"})
        caged.extra_env |= env
        yield caged.start()


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


def searched(output: bytes, planted: tuple[Canary, ...] = PLANTED) -> set[str]:
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


def test_attack_85_a_frame_that_is_sent_in_pieces_gives_no_canary_away(caged: Ward):
    """What came is searched as it came, and as a client puts it together again."""
    with Caller(caged) as caller:
        for at in range(0, len(CANARIES), 97):
            meta: dict[str, object] = {"progressToken": at, "io.modelcontextprotocol/logLevel": "debug"}
            said = caller.ask("tools/call", "stream", {"name": "stream", "arguments": {"at": at}}, meta)
            whole = parse(said)[0][0].body
            assert whole.count(b"notifications/message") == 3
            assert len(said) > len(whole)  # the sizes of the pieces are between them
            assert whole.count(b"[redacted]") >= 7
            assert not leaks(said + whole, [CANARIES[at]])


def test_attack_85_no_file_that_holds_a_canary_is_given_away(caged: Ward):
    """The site's own settings, and the mounted files: whole, and one after the other."""
    with Caller(caged) as caller:
        said = caller.call("tell_file", path="mcpward.toml")
        assert b"redis://ward:[redacted]@127.0.0.1:9/0" in said
        assert not searched(said)
        for at, canary in enumerate(IN_FILES):
            path = f"named/{canary.name}" if at % 2 == 0 else f"mounted/{canary.name.lower()}"
            assert not searched(caller.call("tell_file", path=path)), canary.name


def test_attack_85_no_file_that_connect_writes_holds_a_canary(caged: Ward):
    """A client's file has the server's URL and its key, whatever else the environment holds."""
    home = caged.folder / "home"
    home.mkdir()
    before = caged.extra_env
    caged.extra_env = before | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "MCPWARD_KEY": caged.key}
    try:
        for client in CLIENTS:
            done = caged.cli("connect", client, "--scope", "user", "--write", "--yes", check=False)
            if done.returncode == 2:  # it has one file only
                done = caged.cli("connect", client, "--write", "--yes")
            assert not searched((done.stdout + done.stderr).encode()), client
    finally:
        caged.extra_env = before
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) >= len(CLIENTS)
    for path in files:
        assert not searched(path.read_bytes()), path


#: Those whose configuration is a file that mcpward writes.
CLIENTS = ("cursor", "vscode", "codex", "gemini-cli", "opencode", "windsurf", "zed", "goose")
#: A secret at every place of mcpward.toml that takes a text in which one could stand, rightly or by mistake.
AT_ITS_PLACE: dict[str, str | list[str]] = {
    "site.public_url": "https://user:{}@mcp.example.com",
    "store.url": "postgresql://ward:{}@127.0.0.1/ward",
    "limits.counters": "redis://ward:{}@127.0.0.1:9/0",
    "limits.namespace": "{}",
    "egress.allow": ["{}"],
    "secrets.manager.token": "{}",
    "secrets.manager.url": "https://ward:{}@vault.example",
    "issuers.main.metadata": "https://ward:{}@id.example.com/.well-known/openid-configuration",
    "issuers.main.client_secret": "{}",
    "servers.demo.mode": "{}",
    "servers.demo.oauth.metadata": "https://id.example.com/.well-known/openid-configuration?key={}",
    "servers.demo.limits.read": "{}",
}


@pytest.mark.parametrize("where", ["file", "environment"])
@pytest.mark.parametrize("key", AT_ITS_PLACE)
def test_attack_85_a_secret_in_the_settings_stands_in_no_message_about_them(tmp_path: Path, key: str, where: str):
    """Where it is one, and where it is a mistake: what checks, shows or serves the settings does not show it."""
    said, canary = AT_ITS_PLACE[key], OF_COUNTERS.value
    value = said.format(canary) if isinstance(said, str) else [one.format(canary) for one in said]
    variable = f"MCPWARD_{key.upper().replace('.', '__')}"
    settings = {key: value} if where == "file" else {}
    env = {variable: value[0] if isinstance(value, list) else value} if where == "environment" else {}
    with site(tmp_path / "site", settings, servers=("demo",), env=env, start=False) as ward:
        output = ""
        for words in (("check",), ("check", "--json"), ("show",), ("show", "--json")):
            done = ward.cli("config", *words, check=False)
            output += done.stdout + done.stderr
        assert key.rpartition(".")[2] in output.lower()
        if ward.cli("config", "check", check=False).returncode == 0:
            ward.start()
            ward.stop()
        else:
            ward.launch().wait(30)
        assert not searched((output + ward.log()).encode())


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
