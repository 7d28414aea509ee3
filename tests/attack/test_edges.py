"""Media types, verbs, paths and forwarded addresses: what is not exactly what a client of ours sends gets nowhere.

Sources: CVE-2025-64484 and CVE-2026-40575 (forwarded headers believed), CWE-22 in routes, CWE-650 (verbs),
the simple-request rules of the Fetch standard (text/plain needs no preflight).
"""

import json
from collections import Counter

import pytest

from support.leak import leak_in
from support.raw import request, talk
from support.ward import ACCEPT, LAVISH, Ward, modern_request, serving

PUBLIC = f'[servers.demo]\nsource = "tools.py"\nmode = "public"\n[servers.demo.limits]\n{LAVISH}'


def call_headers(ward: Ward, content_type: str | None) -> tuple[list[tuple[str, str]], bytes]:
    body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": "typed"}}, name="echo")
    headers |= {"accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
    if content_type is not None:
        headers["content-type"] = content_type
    return list(headers.items()), json.dumps(body).encode()


# ---- 50: forwarded addresses ---------------------------------------------------------------------------------------


FORGED = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Real-IP", "203.0.113.9"),
    ("Forwarded", "for=203.0.113.9;host=evil.example;proto=https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Client-IP", "203.0.113.9"),
    ("True-Client-IP", "203.0.113.9"),
    ("CF-Connecting-IP", "203.0.113.9"),
    ("X_Forwarded_For", "203.0.113.9"),
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
]


def test_attack_50_forged_forwarding_headers_change_neither_record_nor_limits(tmp_path):
    """Ten wrong keys from "ten addresses" are ten from one; and each is on record under the address it came from."""
    with serving(tmp_path / "site", '[limits]\nauth_failures = "10/minute"\nrequests = "1000000/minute"\n') as ward:
        statuses = []
        for at in range(14):
            headers = [(name, value.replace("203.0.113.9", f"203.0.113.{at}")) for name, value in FORGED]
            headers += [("Authorization", "Bearer wrong"), ("Content-Type", "application/json"), ("Accept", ACCEPT)]
            data = request(ward.port, "POST", "/mcp", headers, b"{}")
            statuses += talk(ward.port, data, quiet_s=0.01).statuses
        assert Counter(statuses) == {401: 10, 429: 4}
        ward.stop()
        assert {record["peer"] for record in ward.records()} == {"127.0.0.1"}


def peers_behind_proxy(tmp_path, lines: list[list[tuple[str, str]]], trusted: str = "127.0.0.1/32") -> list[str]:
    with serving(tmp_path / "site", servers=PUBLIC, start=False) as ward:
        config = tmp_path / "site" / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]", f'[site]\ntrusted_proxies = ["{trusted}"]'))
        ward.start()
        for headers in lines:
            more, body = call_headers(ward, "application/json")
            heard = talk(ward.port, request(ward.port, "POST", "/mcp", headers + more, body), quiet_s=0.01)
            assert heard.statuses == [200]
        ward.stop()
        return [record["peer"] for record in ward.records()]


def test_attack_50_behind_a_declared_proxy_the_last_hop_counts_and_not_what_the_caller_wrote(tmp_path):
    """Proxies append: to the line, or as a line of their own (HAProxy's ``option forwardfor``)."""
    name = "X-Forwarded-For"
    asked = {
        "198.51.100.1": [(name, "198.51.100.1")],
        "198.51.100.2": [(name, "203.0.113.9, 198.51.100.2")],
        "198.51.100.3": [(name, "203.0.113.9"), (name, "198.51.100.3")],
        "198.51.100.4": [(name, "203.0.113.9, 10.0.0.1"), ("x-forwarded-for", "198.51.100.4")],
        "198.51.100.5": [(name, "198.51.100.5, 127.0.0.1")],
        "198.51.100.6": [(name, "198.51.100.6:4711")],
        "2001:db8::1": [(name, "[2001:db8::1]:4711")],
        "198.51.100.7": [(name, "::ffff:198.51.100.7")],
        "127.0.0.1": [(name, "203.0.113.9, not-an-address")],
    }
    assert peers_behind_proxy(tmp_path, list(asked.values())) == list(asked)


def test_attack_50_a_peer_that_is_no_declared_proxy_is_not_believed(tmp_path):
    assert peers_behind_proxy(tmp_path, [[("X-Forwarded-For", "198.51.100.1")]], "10.0.0.0/8") == ["127.0.0.1"]


def test_attack_50_a_key_for_one_network_is_not_opened_by_a_forged_address(tmp_path):
    with serving(tmp_path / "site", start=False) as ward:
        elsewhere = ward.create_key(cidr="203.0.113.0/24", name="elsewhere")
        here = ward.create_key(cidr="127.0.0.0/8", name="here")
        ward.start()
        for headers in ({}, {"x-forwarded-for": "203.0.113.9"}, {"forwarded": "for=203.0.113.9"}):
            assert ward.call("echo", {"text": "x"}, key=elsewhere, headers=headers).status_code == 401
            assert ward.call("echo", {"text": "x"}, key=here, headers=headers).status_code == 200


# ---- 51: media types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/xml",
        "",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=iso-8859-1",
        "application/jsonx",
        "application/json-rpc",
        "text/json",
        "application/json, text/plain",
        "*/*",
        "application/*",
        "text/plain; application/json",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json\0",
        "application/json; x=y, text/plain",
        'application/json; x="',
        "application/json; x",
        "application/json; x=a b",
        "application/json; charset",
        "application/json; charset=",
        "application/json; charset=utf-16; charset=utf-8",
        'application/json; CharSet="utf-7"',
        "application/json; x=" + "a" * 300,
        "application/json" + ";" * 300,
        ";application/json",
        "application/vnd.api+json",
        None,
    ],
)
def test_attack_51_a_body_of_another_media_type_is_refused_before_it_is_read(ward: Ward, content_type: str | None):
    headers, body = call_headers(ward, content_type)
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", headers, body))
    assert heard.statuses == [400 if content_type and "\0" in content_type else 415]
    assert leak_in(heard.received) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; charset=utf8",
        "application/json ; charset = UTF-8",
        "application/json;odata=verbose",
        "application/json;odata.metadata=minimal;IEEE754Compatible=true; charset=utf-8",
        'application/json; x="a;charset=utf-16, \\" b"',
        "application/json;",
        "application/json; ; charset=utf-8;",
        "application/json;\tboundary=x",
    ],
)
def test_attack_51_json_in_utf_8_is_read_however_it_is_spelled(ward: Ward, content_type: str):
    headers, body = call_headers(ward, content_type)
    assert talk(ward.port, request(ward.port, "POST", "/mcp", headers, body)).statuses == [200]


def test_attack_51_two_media_types_are_refused(ward: Ward):
    headers, body = call_headers(ward, "application/json")
    data = request(ward.port, "POST", "/mcp", [*headers, ("Content-Type", "text/plain")], body)
    assert talk(ward.port, data).statuses == [400]


@pytest.mark.parametrize("text", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7"])
def test_attack_51_another_encoding_under_the_right_name_is_no_json(ward: Ward, text: str):
    headers, body = call_headers(ward, "application/json")
    encoded = body.decode().replace("{", "{ ").encode(text)
    if text == "utf-7":
        encoded = body.replace(b'"', b"+ACI-")
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", headers, encoded))
    assert heard.statuses == [400]
    assert heard.answers[0].json()["error"]["code"] == -32700


# ---- 52: verbs -----------------------------------------------------------------------------------------------------

#: Every verb that the parser knows, and some that no parser knows.
VERBS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "SEARCH",
    "UNLOCK",
    "BIND",
    "REBIND",
    "UNBIND",
    "ACL",
    "REPORT",
    "MKACTIVITY",
    "CHECKOUT",
    "MERGE",
    "M-SEARCH",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PURGE",
    "MKCALENDAR",
    "LINK",
    "UNLINK",
    "SOURCE",
    "QUERY",
]
#: verb → status, for a request with a credential and without a body; all others are 405 at known places and 404
#: elsewhere. Without a credential all are 401 where one is needed.
TABLE = {
    "/mcp": {"GET": 405, "POST": 415, "DELETE": 400},
    "/mcp/": {"GET": 405, "POST": 415, "DELETE": 400},
    "/healthz": {"GET": 200, "HEAD": 200},
    "/readyz": {"GET": 200, "HEAD": 200},
}
KNOWN = tuple(TABLE)
UNKNOWN = (
    "/",
    "/metrics",
    "/admin",
    "/register",
    "/.well-known/oauth-authorization-server",
    "/mcp//",
    "/healthz/",
    "/sse",
    "/token",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/openid-configuration",
    "/docs",
    "/openapi.json",
)


@pytest.mark.parametrize("verb", VERBS)
def test_attack_52_every_verb_on_every_path_gets_what_the_table_says(ward: Ward, verb: str):
    for path in (*KNOWN, *UNKNOWN):
        shown = [("Authorization", f"Bearer {ward.key}")]
        heard = talk(ward.port, request(ward.port, verb, path, shown), bodyless=verb == "HEAD", quiet_s=0.01)
        wanted = TABLE[path].get(verb, 405) if path in TABLE else 404
        assert heard.statuses == [wanted], path
        if wanted == 405:
            is_stream = verb == "GET"  # it is allowed only with a session
            assert heard.answers[0].headers["allow"] == ("POST" if is_stream else ", ".join(sorted(TABLE[path])))
        assert leak_in(heard.received) is None


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_attack_52_whoever_shows_no_credential_is_asked_for_one_whatever_the_verb(ward: Ward, verb: str, path: str):
    heard = talk(ward.port, request(ward.port, verb, path), bodyless=verb == "HEAD", quiet_s=0.01)
    assert heard.statuses == [401]
    assert heard.answers[0].headers["www-authenticate"] == 'Bearer realm="mcpward"'
    wrong = [("Authorization", "Bearer wrong"), ("X-API-Key", "wrong")]
    assert talk(ward.port, request(ward.port, verb, path, wrong), bodyless=verb == "HEAD").statuses == [400]


@pytest.mark.parametrize("verb", ["FROB", "post", "GE T", "PRI", "CONNECT", "G\0ET", "<script>", "GET/mcp"])
def test_attack_52_what_is_no_verb_is_refused(ward: Ward, verb: str):
    heard = talk(ward.port, request(ward.port, verb, "/mcp", framed=False), quiet_s=0.01)
    assert len(heard.answers) == 1
    assert heard.statuses[0] in (400, 401)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
def test_attack_52_a_verb_is_not_overridden(ward: Ward, name: str):
    shown = [(name, "POST"), ("Authorization", f"Bearer {ward.key}")]
    heard = talk(ward.port, request(ward.port, "PUT", f"/mcp?{name}=POST", shown), quiet_s=0.01)
    assert heard.statuses == [405]
    heard = talk(ward.port, request(ward.port, "POST", "/healthz", [(name, "GET")]), quiet_s=0.01)
    assert heard.statuses == [405]


def test_attack_52_a_trace_gives_nothing_of_the_request_back(ward: Ward):
    """Source: cross-site tracing, CERT VU#867593."""
    heard = talk(ward.port, request(ward.port, "TRACE", "/mcp", [("Authorization", "Bearer canary-in-trace")]))
    assert heard.statuses == [401]
    assert b"canary" not in heard.received


# ---- 53: paths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/mcp/../admin",
        "/mcp/..",
        "//mcp",
        "/mcp//",
        "/%6dcp",
        "/mcp%2f",
        "/%2e%2e/mcp",
        "/./mcp",
        "/mcp;x",
        "/mcp;jsessionid=1",
        "/mcp/.",
        "/MCP",
        "/mcp%00",
        "/mcp%20",
        "/mcp\\",
        "/mcp/%2e%2e/healthz",
        "/healthz/../mcp",
        "/mcp.json",
        "/mcp%3f",
        "/mcp%23",
        "/x/../mcp",
        "/..;/mcp",
        "/mcp/..;/healthz",
        "/mcp%c0%ae",
        "/m%63p",
        "/mcp#",
        "/\u00edmcp",
        "/mcp/%252e",
        "/DEMO/mcp",
        "/demo//mcp",
        "/demo/./mcp",
        "/demo/mcp/mcp",
        "/healthz/",
        "/healthz%2f",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2fetc",
    ],
)
def test_attack_53_a_variant_of_a_path_is_another_path_and_there_is_none(ward: Ward, path: str):
    headers, body = call_headers(ward, "application/json")
    for verb in ("POST", "GET"):
        heard = talk(ward.port, request(ward.port, verb, path, headers, body), quiet_s=0.01)
        assert heard.statuses in ([404], [400]), verb
        assert leak_in(heard.received) is None


def test_attack_53_a_query_changes_no_route_and_carries_no_credential(ward: Ward):
    headers, body = call_headers(ward, "application/json")
    headers = [(name, value) for name, value in headers if name != "authorization"]
    for query in (f"?api_key={ward.key}", f"?access_token={ward.key}", "?/../healthz", "?x=/healthz"):
        assert talk(ward.port, request(ward.port, "POST", f"/mcp{query}", headers, body)).statuses == [401]
    assert ward.key not in ward.log()
