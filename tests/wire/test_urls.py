"""URLs of a server: at its stable URL always, at the short one if it is the site's default, below a path too."""

import re

import pytest

from support.ward import Ward, text_of
from support.wire import Session, exchange, first_credentials, secret_in, site, undated, write_site

TWO = ("bench", "other")
PROXIED_SECRET = re.compile(r"^https://x\.example/ai/bench/mcp/([0-9A-Za-z]{48})$", re.MULTILINE)
PROXIED = {"site.public_url": "https://x.example/ai", "site.trusted_proxies": ["127.0.0.1/32"]}


def answers(ward: Ward, path: str, **headers: str) -> bool:
    answer = ward.call("echo", {"text": "a"}, path=path, headers=headers)
    assert answer.status_code in {200, 404}, answer.text
    return answer.status_code == 200


def restarted(ward: Ward, servers: tuple[str, ...], **settings: object) -> str:
    """Start again with other settings; returns what this start said."""
    ward.stop()
    write_site(ward, settings, servers)
    seen = len(ward.log())
    ward.start()
    return ward.log()[seen:]


def test_the_only_server_has_two_urls_and_a_session_is_of_the_server(tmp_path):
    with site(tmp_path) as ward:
        session = Session(ward, path="/mcp")
        session.path = "/bench/mcp"
        assert text_of(session.call("echo", {"text": "a"})) == "a"
        other = Session(ward, path="/bench/mcp")
        other.path = "/mcp"
        assert text_of(other.call("echo", {"text": "a"})) == "a"
        assert other.end().status_code in {200, 204}
        other.path = "/bench/mcp"
        assert other.call("echo", {"text": "a"}).status_code == 404


def test_a_second_server_leaves_the_first_ones_url_and_the_start_says_what_it_takes_away(tmp_path):
    with site(tmp_path) as ward:
        assert answers(ward, "/bench/mcp")
        assert answers(ward, "/mcp")
        said = restarted(ward, TWO)
        assert answers(ward, "/bench/mcp")
        assert not answers(ward, "/mcp")
        assert 'to keep it, write [site] default_server = "bench"' in said
        said = restarted(ward, TWO, **{"site.default_server": "bench"})
        assert "clients of the last start" not in said
        assert answers(ward, "/bench/mcp")
        assert answers(ward, "/mcp")
        assert ward.call("echo", {"text": "a"}, path="/other/mcp").status_code == 401


def test_the_short_path_of_a_servers_host_is_its_own(tmp_path):
    settings = {
        "site.default_server": "bench", "servers.other.mode": "public", "servers.other.hosts": ["other.example"],
        "servers.hidden.mode": "unlisted", "servers.hidden.hosts": ["hidden.example"],
    }  # fmt: skip
    with site(tmp_path, settings, servers=("bench", "other", "hidden")) as ward:
        secret = secret_in(first_credentials(ward))
        ways = {
            host: ward.call("whoami", path="/mcp", headers={"host": host} if host else {}).json()
            for host in ("", "other.example")
        }
        assert ways[""]["result"]["structuredContent"]["way"] == "api-key"
        assert ways["other.example"]["result"]["structuredContent"]["way"] == "anonymous"
        assert not answers(ward, "/mcp", host="hidden.example")
        assert answers(ward, f"/mcp/{secret}", host="hidden.example")
        assert answers(ward, f"/hidden/mcp/{secret}")
        assert not answers(ward, f"/mcp/{secret}")


def test_both_secret_urls_open_and_every_wrong_one_is_an_unknown_path_to_the_byte(tmp_path):
    settings = {"servers.bench.mode": "unlisted", "site.default_server": "bench"}
    with site(tmp_path, settings | PROXIED, servers=TWO) as ward:
        secret = secret_in(first_credentials(ward), PROXIED_SECRET)
        bases = ("/bench/mcp", "/mcp", "/ai/bench/mcp", "/ai/mcp")
        for base in bases:
            assert answers(ward, f"{base}/{secret}")
        wrong = [f"{base}/{end}" for base in bases for end in ("0" * 48, secret[:-1], f"{secret}//", "")]
        wrong += [*bases, "/nowhere", "/other/mcp/" + secret, f"/ai/{secret}", f"/ai/ai/mcp/{secret}"]
        told = {undated(exchange(ward, raw(ward, path))) for path in wrong}
        assert len(told) == 1
        assert told.pop().startswith(b"HTTP/1.1 404 ")


def raw(ward: Ward, path: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{ward.port}", "Content-Type: application/json"]
    lines += ["Accept: application/json, text/event-stream", "Connection: close", "Content-Length: 2"]
    return ("\r\n".join(lines) + "\r\n\r\n{}").encode()


@pytest.mark.parametrize("path", ["/bench/mcp", "/mcp", "/ai/bench/mcp", "/ai/mcp"])
def test_a_path_of_the_public_url_may_come_through_the_proxy_or_stay_behind(proxied, path):
    assert answers(proxied, path)


@pytest.mark.parametrize("path", ["/ai", "/ai/", "/aibench/mcp", "/ai/ai/mcp", "/x/bench/mcp", "/ai/other/mcp"])
def test_no_other_path_is_taken_for_it(proxied, path):
    assert not answers(proxied, path)


def test_health_is_below_the_path_too_and_metrics_are_not(proxied):
    with proxied.client() as client:
        for path in ("/healthz", "/readyz", "/ai/healthz", "/ai/readyz"):
            assert client.get(path).status_code == 200
        assert client.get("/ai/metrics").status_code == 404


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    with site(tmp_path_factory.mktemp("proxied"), PROXIED) as ward:
        log = ward.log()
        assert "https://x.example/ai/bench/mcp " in log
        assert "https://x.example/ai/mcp " in log
        yield ward
