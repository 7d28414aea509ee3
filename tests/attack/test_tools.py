"""Tools that are hidden, misnamed or misfed: strings from everywhere as names and as arguments.

Sources: big list of naughty strings; CWE-1321 (``__proto__``), CWE-134 and CWE-1336 (format strings and templates),
CWE-93 and CWE-113 (CRLF), CVE-2026-116686 (schema references fetched), OWASP API1:2023.
"""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.leak import leak_in
from support.ports import free_port
from support.raw import connect, parse, request
from support.ward import ACCEPT, VERSION, Ward, configure, environment, modern_request, serving, text_of

STRINGS = '''
from typing import Annotated, Literal
from mcpward import Limit, Server

server = Server("demo")


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def several(first: str, second: str = "", more: list[str] = [], table: dict[str, str] = {}) -> dict[str, object]:
    """Take texts in every place where one may stand."""
    return {"first": first, "second": second, "more": more, "table": table}


@server.tool(read_only=True)
async def numbers(whole: int = 0, real: float = 0.0, flag: bool = False, few: Annotated[int, Limit(max=100)] = 1,
                  word: Literal["a", "b"] = "a", maybe: int | None = None, row: list[int] = []) -> str:
    """Take numbers."""
    return repr((whole, real, flag, few, word, maybe, row))


@server.tool(destructive=True)
async def wipe(what: str) -> str:
    """Destroy something."""
    return "wiped"


@server.prompt()
async def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."
'''


@pytest.fixture(scope="module")
def strings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("strings") / "site"
    with serving(folder, start=False) as site:
        (folder / "tools.py").write_text(STRINGS)
        site.credentials["reader"] = site.create_key(name="reader", **{"class": "read"})
        site.credentials["narrow"] = site.create_key(name="narrow", tool="echo")
        yield site.start()


def naughty(corpora: Path) -> list[str]:
    strings = json.loads((corpora / "naughty_strings.json").read_text())
    assert len(strings) == 485
    return strings


class Caller:
    """Calls on one connection; a name that is no plain ASCII goes wrapped, as the specification says."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.wire = connect(ward.port)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def call(self, name: str, arguments: object, method: str = "tools/call", key: str | None = None):
        body, _ = modern_request(method, {"name": name, "arguments": arguments})
        label = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", ACCEPT),
            ("MCP-Protocol-Version", VERSION),
            ("Authorization", f"Bearer {key or self.ward.key}"),
            ("Mcp-Method", method),
            ("Mcp-Name", label),
        ]
        self.wire.sendall(request(self.ward.port, "POST", "/mcp", headers, json.dumps(body).encode()))
        received = b""
        while not (found := parse(received)[0]):
            data = self.wire.recv(1 << 20)
            assert data, name[:80]
            received += data
        return found[0]


NAMES = [
    "__proto__",
    "constructor",
    "toString",
    "__class__",
    "__init__",
    "\0",
    "echo\0",
    "\u202eohce",
    "ec\u200bho",
    "ECHO",
    "echo ",
    " echo",
    "e\u0301cho",
    "\uff45\uff43\uff48\uff4f",
    "x" * 10_000,
    "\U0001f480" * 2000,
    "",
    ".",
    "..",
    "../echo",
    "echo/../wipe",
    "echo;wipe",
    "echo\r\nX-Injected: yes",
    "echo\nwipe",
    "%65cho",
    "demo.echo",
    "demo/echo",
    "{echo}",
    "*",
    "echo'--",
    "$(echo)",
    "`echo`",
    "\ufeffecho",
    "e\U000e0063ho",
    "true",
    "null",
    "0",
]


def test_attack_66_no_string_is_a_tool_that_was_not_declared(strings: Ward, corpora: Path):
    bodies = set()
    with Caller(strings) as caller:
        for name in NAMES + naughty(corpora):
            answer = caller.call(name, {})
            assert answer.status == 400, name[:80]
            assert answer.json()["error"]["code"] == -32602, name[:80]
            assert leak_in(answer.raw) is None, name[:80]
            assert "x-injected" not in answer.headers
            bodies.add(answer.body)
        assert caller.call("echo", {"text": "good"}).status == 200
    assert len(bodies) == 1  # nothing of the name comes back


def test_attack_66_a_hidden_tool_is_answered_like_a_missing_one(strings: Ward):
    with Caller(strings) as caller:
        for key in (strings.credentials["reader"], strings.credentials["narrow"]):
            hidden = caller.call("wipe", {"what": "x"}, key=key)
            missing = caller.call("nope", {"what": "x"}, key=key)
            malformed = caller.call("wipe", {"wrong": 1}, key=key)
            assert hidden.status == 400
            assert hidden.body == missing.body == malformed.body
            assert {n: v for n, v in hidden.headers.items() if n != "date"} == {
                n: v for n, v in missing.headers.items() if n != "date"
            }


def test_attack_67_a_hidden_tool_is_neither_listed_nor_callable_in_either_era(strings: Ward):
    for name, wanted in {"reader": {"echo", "several", "numbers"}, "narrow": {"echo"}}.items():
        key = strings.credentials[name]
        listed = strings.modern("tools/list", key=key).json()["result"]["tools"]
        assert {tool["name"] for tool in listed} == wanted
        assert b"wipe" not in strings.modern("tools/list", key=key).content
        assert b"wipe" not in strings.modern("server/discover", key=key).content
        token = legacy(strings, key, "initialize").headers["mcp-session-id"]
        listed = legacy(strings, key, "tools/list", token).json()["result"]["tools"]
        assert {tool["name"] for tool in listed} == wanted
        refused = legacy(strings, key, "tools/call", token, name="wipe", arguments={"what": "x"})
        assert refused.status_code == 200
        assert refused.json()["error"]["code"] == -32602
    allowed = strings.create_key(name="wiper", **{"class": "destructive"})
    for _ in range(100):
        if strings.modern("tools/list", key=allowed).status_code == 200:
            break
    assert b"wipe" in strings.modern("tools/list", key=allowed).content


def legacy(ward: Ward, key: str, method: str, token: str | None = None, **params: object) -> httpx2.Response:
    if method == "initialize":
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    headers = {"authorization": f"Bearer {key}"} | ({"mcp-session-id": token} if token else {})
    return ward.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=headers)


#: Text that the screens remove (attack 84); all else must come back as it went.
def visible(text: str) -> str:
    from mcpward.sanitize.screens.invisible import strip

    return strip(text)


def test_attack_66_every_naughty_string_is_a_text_like_any_other(strings: Ward, corpora: Path):
    """As each argument, in lists, as keys and values of tables, and as a prompt's argument."""
    with Caller(strings) as caller:
        for text in naughty(corpora):
            answer = caller.call("echo", {"text": text})
            assert answer.status == 200, text[:80]
            assert answer.json()["result"]["content"][0]["text"] == visible(text)
            answer = caller.call(
                "several", {"first": text, "second": text, "more": [text, text], "table": {text: text, "a": text}}
            )
            assert answer.status == 200, text[:80]
            result = answer.json()["result"]
            assert not result["isError"]
            assert result["structuredContent"]["first"] == visible(text)
            answer = caller.call("greet", {"name": text}, "prompts/get")
            assert answer.status == 200, text[:80]
        assert caller.call("echo", {"text": "good"}).status == 200


def test_attack_77_every_naughty_string_as_an_argument_nobody_declared_is_refused_by_path(strings: Ward, corpora: Path):
    with Caller(strings) as caller:
        for text in naughty(corpora):
            answer = caller.call("echo", {"text": "x", f"{text}_": text})
            problems = refusals(answer)
            assert len(problems) == 1
            assert problems[0]["rule"].startswith("not an argument of this tool")
            path = problems[0]["path"]
            assert path == "?" or (path == f"{text}_" and len(path) <= 64 and path.isascii()), path


def refusals(answer) -> list[dict[str, str]]:
    assert answer.status == 200
    result = answer.json()["result"]
    assert result["isError"]
    meta = result["content"][0]["_meta"]
    assert meta["mcpward/reason"] == "arguments-invalid"
    return meta["mcpward/problems"]


WRONG = [
    ("whole", '"1"'),
    ("whole", "true"),
    ("whole", "1.5"),
    ("whole", "1e-1"),
    ("whole", "[]"),
    ("whole", "{}"),
    ("whole", "9223372036854775808"),
    ("whole", "-9223372036854775809"),
    ("whole", "1e19"),
    ("whole", "9223372036854775808.0"),
    ("whole", '"0x10"'),
    ("whole", '""'),
    ("whole", "1" * 60),
    ("real", '"1.0"'),
    ("real", "true"),
    ("real", '"NaN"'),
    ("real", '"inf"'),
    ("flag", "1"),
    ("flag", "0"),
    ("flag", '"true"'),
    ("flag", '"yes"'),
    ("few", "0"),
    ("few", "101"),
    ("few", "-1"),
    ("few", '"5"'),
    ("word", '"c"'),
    ("word", '"A"'),
    ("word", "1"),
    ("maybe", '"1"'),
    ("maybe", "false"),
    ("row", '["1"]'),
    ("row", "[true]"),
    ("row", "[[1]]"),
    ("row", "1"),
    ("row", '{"0":1}'),
    ("row", "[null]"),
]


@pytest.mark.parametrize("name,value", WRONG, ids=[f"{name} {value[:22]}" for name, value in WRONG])
def test_attack_73_a_value_of_another_type_or_size_is_refused_by_path_and_rule(strings: Ward, name: str, value: str):
    """Source: CWE-681, CWE-704; no coercion: ``"1"`` is no 1 and ``true`` is no 1."""
    answer = raw_call(strings, f'{{"{name}":{value}}}')
    problems = refusals(answer)
    assert problems
    assert all(problem["path"].split(".")[0] == name for problem in problems)
    digits = value.strip('"[]{}')
    if len(digits) > 6:
        assert digits not in answer.body.decode()


@pytest.mark.parametrize("name,value", [("whole", "1.0"), ("whole", "1e3"), ("whole", "null"), ("flag", "null")])
def test_attack_73_what_is_an_integer_or_left_out_is_no_other_type(strings: Ward, name: str, value: str):
    """``1.0`` and ``1e3`` are integers to JSON Schema; null is how models leave out what has a default."""
    assert not raw_call(strings, f'{{"{name}":{value}}}').json()["result"]["isError"]


@pytest.mark.parametrize(
    "value", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1e400", "01", "+1", ".5", "0x10"]
)
def test_attack_73_what_is_no_number_of_json_is_no_message(strings: Ward, value: str):
    answer = raw_call(strings, f'{{"real":{value}}}')
    assert answer.status == 400
    assert answer.json()["error"]["code"] == -32700


def raw_call(ward: Ward, arguments: str):
    body, headers = modern_request("tools/call", {"name": "numbers", "arguments": "@"}, name="numbers")
    text = json.dumps(body).replace('"@"', arguments).encode()
    headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
    with connect(ward.port) as wire:
        wire.sendall(request(ward.port, "POST", "/mcp", list(headers.items()), text))
        return parse(wire.recv(65536))[0][0]


def test_attack_77_undeclared_arguments_are_named_and_the_tool_does_not_run(ward: Ward):
    for extra in ("caller", "ctx", "self", "_meta", "__class__", "admin", "Text"):
        response = ward.call("store", {"value": "x", extra: {"subject": "root"}})
        meta = response.json()["result"]["content"][0]["_meta"]
        (problem,) = meta["mcpward/problems"]
        assert problem["path"] == extra
        assert problem["rule"].startswith("not an argument of this tool")
    assert ward.call("whoami", {"caller": {"subject": "root"}}).json()["result"]["isError"]
    listed = ward.modern("tools/list").json()["result"]["tools"]
    assert all(tool["inputSchema"]["additionalProperties"] is False for tool in listed)
    assert all("caller" not in tool["inputSchema"].get("properties", {}) for tool in listed)


TEMPLATES = [
    "{self.__class__}",
    "{0.__class__.__mro__}",
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "%s%s%n",
    "%(text)s",
    "{}",
    "{text}",
    "{text!r}",
    "$text",
    "${jndi:ldap://127.0.0.1/x}",
    "{{config}}",
    "{% import os %}",
    "`id`",
    "$(id)",
    "__import__('os').system('id')",
    "\\u007b7*7\\u007d",
    "{" * 1000,
]


@pytest.mark.parametrize("text", TEMPLATES, ids=lambda text: text[:24])
def test_attack_82_a_template_is_a_text(ward: Ward, text: str):
    """In a result, in a failure's text, in a name, as a server's own words."""
    assert text_of(ward.call("echo", {"text": text})) == text
    failed = ward.call("crash", {"text": text})
    assert failed.json()["result"]["content"][0]["text"].startswith("the tool failed (error ")
    assert "49" not in text_of(ward.call("echo", {"text": text})).replace(text, "")
    greeted = ward.modern("prompts/get", {"name": "greet", "arguments": {"name": text}}, name="greet")
    assert f"Say hello to {text}." in json.loads(greeted.content)["result"]["messages"][0]["content"]["text"]


BREAKS = [
    "\r\nX-Injected: yes",
    "\nX-Injected: yes",
    "\rX-Injected: yes",
    "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "\u2028X-Injected: yes",
    "\u0085X-Injected: yes",
    "\u560d\u560aX-Injected: yes",
    "%0d%0aX-Injected: yes",
    "\0\r\nX-Injected: yes",
]


@pytest.mark.parametrize("tail", BREAKS, ids=repr)
def test_attack_83_a_line_break_in_a_value_becomes_no_header(ward: Ward, tail: str):
    """In every value that a caller chooses and an answer could carry: id, name, version, client, token, argument."""
    with Caller(ward) as caller:
        for name, arguments in (("echo", {"text": f"x{tail}"}), (f"echo{tail}", {}), ("crash", {"text": tail})):
            answer = caller.call(name, arguments)
            assert "x-injected" not in answer.headers
            assert b"\r\nX-Injected" not in answer.raw
    meta = modern_request("tools/list")[0]["params"]["_meta"]
    bodies = [
        {"jsonrpc": "2.0", "id": tail, "method": "ping"},
        {"jsonrpc": "2.0", "id": tail, "method": f"ping{tail}"},
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": f"2025-11-25{tail}",
                "capabilities": {},
                "clientInfo": {"name": tail, "version": tail},
            },
        },
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": tail, "_meta": meta}},
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/list",
            "params": {
                "_meta": meta
                | {"io.modelcontextprotocol/protocolVersion": tail, "traceparent": tail, "progressToken": tail}
            },
        },
    ]
    for body in bodies:
        response = ward.post(body, headers={"authorization": f"Bearer {ward.key}"})
        assert response.status_code < 500
        assert "x-injected" not in response.headers


# ---- 76: schemas that reach out or never end -----------------------------------------------------------------------

SCHEMA = '''
from typing import Annotated
from pydantic import Field
from mcpward import Server

server = Server("demo")


@server.tool(read_only=True)
async def bad(number: Annotated[int, Field(json_schema_extra=%s)]) -> str:
    """Has a schema of its own."""
    return "x"
'''


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:{port}/schema.json",
        "https://127.0.0.1:{port}/x",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/x",
        "ftp://127.0.0.1:{port}/x",
        "../../x.json",
    ],
)
def test_attack_76_a_schema_that_refers_elsewhere_is_refused_at_start_and_nothing_is_fetched(tmp_path, reference: str):
    """Source: CVE-2026-116686. A listener on loopback sees no connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        configure(tmp_path, free_port(), free_port())
        extra = repr({"$ref": reference.format(port=listener.getsockname()[1])})
        (tmp_path / "tools.py").write_text(SCHEMA % extra)
        done = subprocess.run(
            [sys.executable, "-m", "mcpward", "serve"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


BOMB = '''
from __future__ import annotations
from pydantic import BaseModel
from mcpward import Server

server = Server("demo")


class Knot(BaseModel):
    left: Knot | None = None
    right: Knot | None = None
    both: list[Knot] = []


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def tie(knot: Knot) -> str:
    """Take a structure that refers to itself."""
    return "tied"
'''


def test_attack_76_a_schema_that_refers_to_itself_is_bounded_by_the_message(tmp_path):
    folder = tmp_path / "site"
    with serving(folder, start=False) as ward:
        (folder / "tools.py").write_text(BOMB)
        ward.start()
        deep: object = {}
        for _ in range(25):
            deep = {"left": deep, "right": deep if deep == {} else None}
        assert ward.call("tie", {"knot": deep}).status_code == 200
        for depth in (70, 5000):
            text = '{"left":' * depth + "{}" + "}" * depth
            body, headers = modern_request("tools/call", {"name": "tie", "arguments": "@"}, name="tie")
            headers |= {"authorization": f"Bearer {ward.key}"}
            response = ward.post(json.dumps(body).replace('"@"', f'{{"knot":{text}}}').encode(), headers=headers)
            assert response.status_code == 400
        wide: dict[str, Any] = {
            "both": [{"both": [{"both": [{} for _ in range(20)]} for _ in range(20)]} for _ in range(20)]
        }
        assert ward.call("tie", {"knot": wide}).status_code == 200
        assert ward.call("echo", {"text": "x"}).status_code == 200
