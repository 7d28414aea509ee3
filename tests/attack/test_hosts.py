"""DNS rebinding and host confusion: who is addressed is decided by one Host line, and no foreign page gets an answer.

Sources: CVE-2025-66416 and -66414 (no Host check on one transport), CVE-2026-48710 (Host poisons routing),
RFC 9112 §3.2, the MCP transport pages' Origin rule.
"""

import pytest

from support.leak import leak_in
from support.raw import request, talk
from support.ward import Ward, serving

PATHS = ("/mcp", "/mcp/", "/healthz/", "/readyz/x", "/nowhere", "/", "/.well-known/oauth-protected-resource")
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
REFUSED = (421, 400)


def hosts(port: int) -> dict[str, str]:
    good = f"127.0.0.1:{port}"
    return {
        "foreign": "evil.example",
        "foreign with port": f"evil.example:{port}",
        "other port": f"127.0.0.1:{port + 1}",
        "no port": "127.0.0.1",
        "port with zeros": f"127.0.0.1:0{port}",
        "port with space": f"127.0.0.1: {port}",
        "two ports": f"{good}:80",
        "empty": "",
        "userinfo": f"evil@{good}",
        "userinfo behind": f"{good}@evil.example",
        "path": f"{good}/x?",
        "suffix": f"{good}.evil.example",
        "prefix": f"evil.{good}",
        "list": f"{good}, evil.example",
        "trailing dot": f"127.0.0.1.:{port}",
        "decimal": f"2130706433:{port}",
        "short": f"127.1:{port}",
        "hex": f"0x7f000001:{port}",
        "mapped": f"[::ffff:127.0.0.1]:{port}",
        "unspecified": f"0.0.0.0:{port}",
        "NUL": f"{good}\0evil",
        "tab": f"{good}\tevil",
        "scheme": f"http://{good}",
        "encoded": f"127.0.0.1%3a{port}",
    }


@pytest.mark.parametrize("trick", hosts(1))
def test_attack_41_a_foreign_host_is_refused_on_every_path(ward: Ward, trick: str):
    for path in PATHS:
        heard = talk(ward.port, request(ward.port, "GET", path, host=hosts(ward.port)[trick]), quiet_s=0.01)
        assert len(heard.answers) == 1
        assert heard.statuses[0] in REFUSED, path
        assert leak_in(heard.received) is None


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_is_answered_under_any_host_and_leaves_no_record(ward: Ward, path: str):
    """Orchestrators and load balancers ask a machine for its health by an address of their own choice."""
    before = len(ward.records())
    for host in (f"10.244.1.17:{ward.port}", "10.244.1.17", "evil.example", "[2001:db8::7]:80", "a_b", ""):
        for verb in ("GET", "HEAD"):
            heard = talk(ward.port, request(ward.port, verb, path, host=host), bodyless=verb == "HEAD", quiet_s=0.01)
            assert heard.statuses == [200], host
            assert "access-control-allow-origin" not in heard.answers[0].headers
    assert talk(ward.port, f"GET {path} HTTP/1.0\r\n\r\n".encode()).statuses == [200]
    assert len(ward.records()) == before


@pytest.mark.parametrize(
    "host", ["localhost.:{port}", "LocalHost:{port}", "[0:0:0:0:0:0:0:1]:{port}", "[::0001]:{port}", "[0::1]:{port}"]
)
def test_a_host_that_is_the_same_by_its_standard_is_answered(ward: Ward, host: str):
    """RFC 3986 §3.2.2 (case, the dot of the root), RFC 4291 §2.2 (IPv6)."""
    headers = [("Authorization", f"Bearer {ward.key}")]
    assert talk(ward.port, request(ward.port, "GET", "/mcp", headers, host=host.format(port=ward.port))).statuses == [
        405
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_attack_41_a_foreign_host_is_refused_with_every_verb(ward: Ward, verb: str):
    heard = talk(ward.port, request(ward.port, verb, "/mcp", host="evil.example"), bodyless=verb == "HEAD")
    assert heard.statuses == [421]


@pytest.mark.parametrize("first", ["good", "evil"])
def test_attack_41_two_host_lines_are_refused_even_when_both_are_good(ward: Ward, first: str):
    good = f"127.0.0.1:{ward.port}"
    for lines in ((good, "evil.example"), ("evil.example", good), (good, good)):
        one, two = lines if first == "good" else reversed(lines)
        for name in ("Host", "host", "HOST"):
            heard = talk(ward.port, request(ward.port, "GET", "/healthz", [(name, two)], host=one), quiet_s=0.01)
            assert heard.statuses == [400]
            assert heard.closed


def test_attack_41_no_host_line_is_refused(ward: Ward):
    assert talk(ward.port, b"GET /healthz HTTP/1.1\r\n\r\n").statuses == [400]
    for version in ("1.1", "1.0"):
        assert talk(ward.port, f"GET /mcp HTTP/{version}\r\n\r\n".encode()).statuses == [400]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/healthz",
        "http://evil.example/healthz",
        "//evil.example/healthz",
        "*",
        "healthz",
        "https://127.0.0.1:{port}/mcp",
        "127.0.0.1:{port}",
        "HTTP://127.0.0.1:{port}/mcp",
        "\\healthz",
        "?",
        "#/healthz",
    ],
)
def test_attack_41_a_target_that_is_no_plain_path_reaches_nothing(ward: Ward, target: str):
    """Absolute-form and its kin name a host of their own beside the Host line."""
    for verb in ("GET", "POST", "OPTIONS"):
        heard = talk(ward.port, request(ward.port, verb, target.format(port=ward.port)), quiet_s=0.01)
        assert heard.statuses == ([404] if target.startswith("/") else [400])


def test_attack_41_every_spelling_that_the_operator_allowed_is_answered(ward: Ward):
    for host in (f"127.0.0.1:{ward.port}", f"localhost:{ward.port}", f"LOCALHOST:{ward.port}", f"[::1]:{ward.port}"):
        assert talk(ward.port, request(ward.port, "GET", "/mcp", host=host), quiet_s=0.01).statuses == [401]


def test_attack_41_the_metrics_listener_checks_its_host_as_well(ward: Ward):
    port = ward.metrics_port
    assert talk(port, request(port, "GET", "/metrics", host="evil.example")).statuses == [421]
    assert talk(port, request(port, "GET", "/metrics", host=f"127.0.0.1:{ward.port}")).statuses == [421]
    assert talk(port, request(port, "GET", "/metrics")).statuses == [200]
    assert talk(port, request(port, "GET", "/metrics", [("Origin", "http://evil.example")])).statuses == [403]


ORIGINS = (
    "http://evil.example",
    "https://evil.example",
    "null",
    "http://",
    "https:",
    "file://",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1",
    "http://localhost",
    "http://localhost:1",
    "chrome-extension://abcdef",
    "http://127.0.0.1:{port}.evil.example",
    "",
    " ",
    "https://app.example.evil.example",
    "https://evil.example#https://app.example",
    "https://app.example:444",
    "http://app.example",
    "https://app.example/",
    "https://app.example, https://evil.example",
    "HTTPS://APP.EXAMPLE.",
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_attack_42_a_foreign_origin_is_refused_on_every_verb_and_path(ward: Ward, origin: str):
    """Source: MCP 2025-11-25 and 2026-07-28, transports page: an invalid Origin must be answered with 403."""
    origin = origin.format(port=ward.port)
    for verb in ("GET", "POST", "DELETE", "OPTIONS"):
        for path in ("/mcp", "/healthz", "/nowhere"):
            headers = [("Origin", origin), ("Authorization", f"Bearer {ward.key}")]
            heard = talk(ward.port, request(ward.port, verb, path, headers), quiet_s=0.01)
            assert heard.statuses == [403], (verb, path)
            assert "access-control-allow-origin" not in heard.answers[0].headers


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "http://localhost:{port}", "HTTP://[::1]:{port}"])
def test_the_sites_own_origin_is_not_foreign(ward: Ward, origin: str):
    """A page from this very origin reads what it likes anyway; a rebound name has an origin of its own (attack 42)."""
    headers = {"origin": origin.format(port=ward.port)}
    response = ward.call("echo", {"text": "x"}, headers=headers)
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


def test_attack_42_an_allowed_origin_is_named_and_never_a_star(tmp_path):
    with serving(tmp_path / "site", start=False) as ward:
        config = tmp_path / "site" / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]", '[site]\nallowed_origins = ["https://app.example"]'))
        ward.start()
        preflight = request(ward.port, "OPTIONS", "/mcp", [("Origin", "https://app.example")])
        answer = talk(ward.port, preflight).answers[0]
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in answer.headers
        response = ward.call("echo", {"text": "x"}, headers={"origin": "https://app.example"})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert response.headers["vary"] == "Origin"
        for origin in ORIGINS:
            headers = [("Origin", origin.format(port=ward.port))]
            heard = talk(ward.port, request(ward.port, "OPTIONS", "/mcp", headers), quiet_s=0.01)
            assert heard.statuses == [403], origin
        twice = [("Origin", "https://app.example"), ("Origin", "https://evil.example")]
        assert talk(ward.port, request(ward.port, "OPTIONS", "/mcp", twice)).statuses == [400]
