"""Requests as clients of many makes send them: within the RFCs and the revisions, and not as we would write them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.guarded import guarded, issuers, oauth_server
from support.ports import free_port
from support.raw import Answer, request, talk
from support.ward import ACCEPT, Ward, modern_request, serving
from support.wire import rows, until

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
TOOLS = '''
from mcpward import Server

server = Server("demo")


@server.tool(read_only=True)
def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
def now() -> str:
    """Take no arguments."""
    return "now"


@server.tool(read_only=True)
def unfit() -> int:
    """Return something else than declared."""
    return "x"  # type: ignore[return-value]  # that is the mistake


@server.resource("docs://my café/menu", scopes=["chef"])
def menu() -> str:
    """A fixed resource, written raw."""
    return "menu"


@server.resource("docs://caf%c3%a9/{name}")
def page(name: str) -> str:
    """A template, written escaped."""
    return name


@server.resource("docs://my café/{name}")
def raw(name: str) -> str:
    """A template, written raw."""
    return name


@server.completion(resource="docs://my café/{name}", argument="name")
def names(value: str) -> list[str]:
    """Names of pages."""
    return [value + "1"]
'''


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("clients") / "site", start=False) as ward:
        (ward.folder / "tools.py").write_text(TOOLS)
        ward.start()
        yield ward


def rpc(method: str, params: Any = None) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}).encode()


def ask(
    ward: Ward, body: bytes | None = None, own: Mapping[str, str] | None = None, *, verb: str = "POST",
    path: str = "/mcp", host: str | None = None, key: bool = True, **fields: str | None,
) -> Answer:  # fmt: skip
    """Send a request and return its answer. ``own`` are header fields by their names; a field that is None is left
    out.
    """
    given: dict[str, str | None] = {"content-type": "application/json", "accept": ACCEPT} if body is not None else {}
    if key:
        given["authorization"] = f"Bearer {ward.key}"
    given |= own or {}
    given |= {name.replace("_", "-"): said for name, said in fields.items()}
    lines = [(name, said) for name, said in given.items() if said is not None]
    data = request(ward.port, verb, path, lines, body or b"", host=host, framed="content-length" not in given)
    heard = talk(ward.port, data, bodyless=verb == "HEAD")
    (answer,) = heard.answers
    return answer


def session(ward: Ward) -> dict[str, str]:
    answer = ask(ward, rpc("initialize", INITIALIZE))
    return {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}


# ---- initialize ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["2024-11-05", "2024-10-07", "2026-07-28", "2031-01-01", "draft", "", " "])
@pytest.mark.parametrize(
    "asked, given",
    [
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2024-10-07", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("x", "2025-11-25"),
    ],
)
def test_initialize_negotiates_by_its_body_whatever_its_version_header_says(ward, header, asked, given):
    answer = ask(ward, rpc("initialize", INITIALIZE | {"protocolVersion": asked}), mcp_protocol_version=header)
    assert answer.status == 200
    assert answer.json()["result"]["protocolVersion"] == given
    assert answer.headers["mcp-session-id"]


@pytest.mark.parametrize("left_out", [("clientInfo",), ("capabilities",), ("clientInfo", "capabilities")])
def test_a_client_that_does_not_introduce_itself_gets_a_session(ward, left_out):
    answer = ask(ward, rpc("initialize", {name: said for name, said in INITIALIZE.items() if name not in left_out}))
    own = {"mcp-session-id": answer.headers["mcp-session-id"]}
    assert "tools" in ask(ward, rpc("tools/list"), own).json()["result"]


@pytest.mark.parametrize("method", ["ping", "tools/list"])
def test_empty_objects_may_come_as_empty_arrays_as_php_writes_them(ward, method):
    said = INITIALIZE | {"capabilities": [], "clientInfo": [], "_meta": []}
    own = {"mcp-session-id": ask(ward, rpc("initialize", said)).headers["mcp-session-id"]}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).encode()
    assert "result" in ask(ward, body, own).json()
    called = ask(ward, rpc("tools/call", {"name": "now", "arguments": [], "_meta": []}), own).json()
    assert called["result"]["content"][0]["text"] == "now"
    told = ask(ward, rpc("tools/call", {"name": "echo", "arguments": []}), own).json()["result"]
    assert told["isError"] is True
    assert "text: required: a string" in told["content"][0]["text"]
    answer = ask(ward, rpc("tools/call", {"name": "now", "arguments": [1]}), own).json()
    assert answer["error"]["data"]["problems"] == [{"path": "arguments", "rule": "an object"}]


def test_what_can_be_done_about_a_withheld_result_is_said_once(ward):
    own = {"mcp-session-id": session(ward)["mcp-session-id"]}
    (block,) = ask(ward, rpc("tools/call", {"name": "unfit"}), own).json()["result"]["content"]
    assert block["text"].count("try other arguments") == 1


# ---- the first answer to a stranger ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("fields", [{}, {"accept": "text/event-stream"}, {"accept": "application/json"}])
def test_a_probing_get_is_asked_for_a_credential_and_then_told_that_there_is_no_stream(ward, path, fields):
    stranger = ask(ward, verb="GET", path=path, key=False, **fields)
    assert stranger.status == 401
    assert stranger.headers["www-authenticate"] == 'Bearer realm="mcpward"'
    known = ask(ward, verb="GET", path=path, **fields)
    assert (known.status, known.headers["allow"]) == (405, "POST")


def test_a_get_within_a_session_must_read_events(ward):
    own = session(ward)
    for accept in (None, "application/json", "*/*", "text/event-stream;q=0"):
        assert ask(ward, None, own, verb="GET", accept=accept).status == 406


@pytest.mark.parametrize(
    "more, status",
    [
        ({"content_type": "text/plain"}, 415), ({"content_type": None}, 415), ({"content_encoding": "gzip"}, 415),
        ({"accept": "text/html"}, 406), ({"content_length": "99999999"}, 413),
    ],
)  # fmt: skip
def test_a_stranger_hears_of_the_credential_before_the_shape_of_its_post(ward, more, status):
    assert ask(ward, b"", key=False, **more).status == 401
    assert ask(ward, b"", **({"authorization": "Bearer wrong"} | more)).status == 401
    assert ask(ward, b"", **more).status == status


def test_in_oauth_mode_every_spelling_and_verb_leads_to_the_challenge(tmp_path: Path):
    trusted = issuers(main=f"http://127.0.0.1:{free_port()}/.well-known/oauth-authorization-server")
    with guarded(tmp_path / "site", oauth_server("demo", "main"), trusted) as ward:
        for path in ("/mcp", "/mcp/"):
            for verb, body in (("POST", b"{}"), ("GET", None), ("HEAD", None), ("DELETE", None), ("PUT", None)):
                answer = ask(ward, body, verb=verb, path=path, key=False)
                assert answer.status == 401, (verb, path)
                assert "/.well-known/oauth-protected-resource/mcp" in answer.headers["www-authenticate"]
        assert ask(ward, b"{}", key=False, content_type="text/plain").status == 401


# ---- media types ---------------------------------------------------------------------------------------------------


def test_a_client_that_reads_events_only_gets_one_event(ward):
    for accept in ("text/event-stream", "application/json;q=0, text/event-stream", "text/*"):
        answer = ask(ward, rpc("initialize", INITIALIZE), accept=accept)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        assert answer.headers["mcp-session-id"]
        event, data, *end = answer.body.decode().split("\n")
        assert (event, end) == ("event: message", ["", ""])
        assert json.loads(data.removeprefix("data: "))["result"]["protocolVersion"] == "2025-06-18"


def test_a_known_connection_goes_on_in_events(ward):
    body, own = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}}, name="echo")
    own |= {"content-type": "application/json", "accept": "text/event-stream", "authorization": f"Bearer {ward.key}"}
    with ward.client() as client:
        for _ in range(4):
            answer = client.post("/mcp", json=body, headers=own)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
            assert answer.text.startswith("event: message\ndata: {")


def test_an_event_alone_goes_to_an_old_http_client_too(ward):
    body = rpc("initialize", INITIALIZE)
    data = request(
        ward.port, "POST", "/mcp",
        [
            ("Authorization", f"Bearer {ward.key}"), ("Content-Type", "application/json"),
            ("Accept", "text/event-stream"),
        ],
        body,
    ).replace(b"HTTP/1.1", b"HTTP/1.0", 1)  # fmt: skip
    heard = talk(ward.port, data)
    assert (heard.statuses, heard.closed) == ([200], True)
    assert "transfer-encoding" not in heard.answers[0].headers
    assert heard.answers[0].body.startswith(b"event: message\ndata: {")


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/*", None, "", "text/html, */*;q=0.1"])
def test_all_others_get_json(ward, accept):
    answer = ask(ward, rpc("initialize", INITIALIZE), accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_an_accept_in_two_lines_is_one_list(ward):
    lines = [("Authorization", f"Bearer {ward.key}"), ("Content-Type", "application/json")]
    for kinds in (("text/html", "application/json"), ("text/event-stream", "application/json")):
        data = request(
            ward.port, "POST", "/mcp", lines + [("Accept", kind) for kind in kinds], rpc("initialize", INITIALIZE)
        )
        (answer,) = talk(ward.port, data).answers
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


# ---- credentials ---------------------------------------------------------------------------------------------------


def test_a_credential_is_read_as_the_rfcs_and_people_write_it_on_a_known_connection_too(ward):
    body, own = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}}, name="echo")
    own |= {"content-type": "application/json", "accept": ACCEPT}
    with ward.client() as client:
        for shown in ("Bearer  {}", "bearer   {}", "{}", '"{}"', "'{}'", "Bearer '{}'", "Bearer Bearer {}"):
            for name in ("authorization", "x-api-key"):
                for _ in range(3):  # the third time the head is known
                    answer = client.post("/mcp", json=body, headers=own | {name: shown.format(ward.key)})
                    assert answer.status_code == 200, (name, shown)
                wrong = ward.key[:-1] + ("0" if ward.key[-1] != "0" else "1")
                assert client.post("/mcp", json=body, headers=own | {name: shown.format(wrong)}).status_code == 401


def test_a_large_body_is_read_from_whoever_is_known_by_any_of_these_spellings(ward):
    body, own = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x" * 200_000}}, name="echo")
    for shown in (f"Bearer   {ward.key}", ward.key, f'Bearer "{ward.key}"'):
        assert ask(ward, json.dumps(body).encode(), own, authorization=shown).status == 200


@pytest.mark.parametrize(
    "shown", ["Bearer\t{}", "Bearer \t{}", "Basic {}", "Token {}", "Bearer {} {}", "Bearer,{}", "Bearer"]
)
def test_attack_32_no_other_spelling_lets_anybody_in(ward, shown):
    assert ask(ward, rpc("initialize", INITIALIZE), authorization=shown.format(ward.key, ward.key)).status == 401


# ---- resources -----------------------------------------------------------------------------------------------------


def read(ward: Ward, uri: str, own: dict[str, str]) -> Any:
    return ask(ward, rpc("resources/read", {"uri": uri}), own).json()


@pytest.mark.parametrize(
    "uri, name",
    [
        ("docs://my%20caf%C3%A9/x", "x"), ("docs://my café/x", "x"), ("docs://my%20caf%c3%a9/%78", "x"),
        ("docs://café/é", "é"), ("docs://caf%C3%A9/%c3%a9", "é"), ("docs://%63af%C3%A9/a b", "a b"),
    ],
)  # fmt: skip
def test_raw_and_escaped_spellings_of_a_uri_are_one(ward, uri, name):
    own = session(ward)
    (content,) = read(ward, uri, own)["result"]["contents"]
    assert content["text"] == name
    assert content["uri"].isascii()
    assert " " not in content["uri"]
    body, headers = modern_request("resources/read", {"uri": uri}, name=content["uri"])
    answer = ask(ward, json.dumps(body).encode(), headers)
    assert answer.json()["result"]["contents"][0]["text"] == name
    headers["mcp-name"] = content["uri"] + "y"
    answer = ask(ward, json.dumps(body).encode(), headers)
    assert answer.json()["error"]["data"]["reason"] == "header-mismatch"


@pytest.mark.parametrize("uri", ["docs://my café/menu", "docs://my%20caf%C3%A9/menu", "docs://my%20caf%c3%a9/%6denu"])
def test_no_spelling_goes_around_the_scope_of_a_resource(ward, uri):
    """The key has not the scope: the template behind it, which asks for none, does not step in."""
    assert "error" in read(ward, uri, session(ward))


@pytest.mark.parametrize(
    "uri", ["docs://my caf%/x", "docs://my café/%2", "docs://my café/{name}", "docs://my café/\ud800"]
)
def test_what_is_no_uri_is_unknown(ward, uri):
    assert "error" in read(ward, uri, session(ward))


def test_lists_have_the_escaped_spelling_and_completions_take_both(ward):
    own = session(ward)
    templates = ask(ward, rpc("resources/templates/list"), own).json()["result"]["resourceTemplates"]
    uris = [one["uriTemplate"] for one in templates]
    assert uris == ["docs://caf%C3%A9/{name}", "docs://my%20caf%C3%A9/{name}"]
    for uri in (uris[1], "docs://my café/{name}"):
        params = {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "name", "value": "a"}}
        assert ask(ward, rpc("completion/complete", params), own).json()["result"]["completion"]["values"] == ["a1"]


# ---- hosts and origins ---------------------------------------------------------------------------------------------

SITE = """allowed_hosts = ["mcp_server", "tools.internal:443"]
allowed_origins = ["tauri://localhost", "chrome-extension://AbCd", "https://app.example:443", "app://-"]
public_url = "https://mcp.example"
trusted_proxies = ["192.0.2.0/24"]
behind_tls_proxy = true
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("town") / "site", start=False) as ward:
        config = ward.folder / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]\n", f"[site]\n{SITE}", 1))
        ward.start()
        yield ward


@pytest.mark.parametrize(
    "host",
    [
        "mcp_server", "mcp_server:443", "MCP_Server.", "tools.internal", "tools.internal:443", "mcp.example",
        "mcp.example:443", "mcp.example.", "mcp.example:", "127.0.0.1:{port}",
    ],
)  # fmt: skip
def test_a_name_is_known_with_and_without_the_port_that_its_scheme_implies(town, host):
    assert ask(town, rpc("initialize", INITIALIZE), host=host.format(port=town.port)).status == 200


@pytest.mark.parametrize("host", ["mcp.example:80", "mcp.example:444", "tools.internal:80", "mcp.example.evil", "a_b"])
def test_another_port_is_another_host(town, host):
    assert ask(town, rpc("initialize", INITIALIZE), host=host).status == 421


@pytest.mark.parametrize("origin", ["tauri://localhost", "chrome-extension://abcd", "https://app.example", "app://-"])
def test_an_app_that_is_listed_is_served_and_named(town, origin):
    preflight = ask(town, verb="OPTIONS", key=False, origin=origin)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, origin)
    answer = ask(town, rpc("initialize", INITIALIZE), origin=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)


@pytest.mark.parametrize("origin", ["https://mcp.example", "https://mcp_server", "https://tools.internal"])
def test_the_origin_of_the_site_is_not_foreign(town, origin):
    assert ask(town, rpc("initialize", INITIALIZE), origin=origin).status == 200


@pytest.mark.parametrize(
    "origin",
    ["tauri://evil", "chrome-extension://abcde", "null", "http://mcp.example", "https://mcp.example:444", "app://"],
)
def test_others_are_foreign(town, origin):
    answer = ask(town, rpc("initialize", INITIALIZE), origin=origin)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory):
    """A site of its own: its log takes so many of these lines in a minute."""
    with serving(tmp_path_factory.mktemp("told") / "site", start=False) as ward:
        config = ward.folder / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]\n", f"[site]\n{SITE}", 1))
        ward.start()
        yield ward


def test_a_refused_host_or_origin_is_on_record_and_in_the_log_with_the_line_to_write(told):
    host_line = '[site] allowed_hosts = ["mcp_server", "tools.internal:443", "10.0.0.5:8000"]'
    origin_line = '"https://app.example", "app://-", "https://new.example"]'
    for _ in range(3):
        assert ask(told, b"{}", host="10.0.0.5:8000").status == 421
        assert ask(told, b"{}", origin="https://new.example").status == 403
    found = until(lambda: len(rows_ := rows(told, "detail IS NOT NULL")) >= 6 and rows_)
    assert any(host_line in row["detail"] for row in found)
    assert any(origin_line in row["detail"] for row in found)
    events = [json.loads(line)["event"] for line in told.log().splitlines() if line.startswith("{")]
    assert sum(host_line in event for event in events) == 1
    assert sum(origin_line in event for event in events) == 1
    assert host_line in told.cli("log", "--reason", "host-refused").stdout


def test_attack_110_what_a_stranger_writes_there_is_quoted_only_where_it_is_a_host_and_not_too_often(told):
    tricks = ['a"]\\n[servers.x]', "\x1b[31mred", "canary evil", "canary" * 60, 'canary"', "canary/../x", "canary\xff"]
    for trick in tricks:
        ask(told, b"{}", host=trick)
        ask(told, b"{}", origin=trick)
    for at in range(100):
        ask(told, b"{}", host=f"flood{at}.example")
    details = [row["detail"] or "" for row in rows(told, "reason IN ('host-refused', 'origin-refused')")]
    for text in (told.log(), *details):
        assert "canary" not in text
        assert "\x1b" not in text
        assert "servers.x" not in text
    assert told.log().count("flood") <= 12
