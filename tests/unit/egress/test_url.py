import json
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.egress.failures import EgressRefused, Failure
from mcpward.egress.url import Url, parse


def refused(text: str) -> Failure:
    with pytest.raises(EgressRefused) as caught:
        parse(text)
    return caught.value.why


@pytest.mark.parametrize(
    "text, origin, target",
    [
        ("https://id.example.com", "https://id.example.com", "/"),
        ("https://ID.Example.com:443/Tenant?a=%2F", "https://id.example.com", "/Tenant?a=%2F"),
        ("HTTPS://id.example.com?a", "https://id.example.com", "/?a"),
        ("http://id.example.com:443", "http://id.example.com:443", "/"),
        ("http://keycloak:8080/realms/x", "http://keycloak:8080", "/realms/x"),
        ("http://my_idp/", "http://my_idp", "/"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example", "/"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1", "/"),
        ("http://[::1]:80/", "http://[::1]", "/"),
        ("http://[0:0::0:1]:65535/", "http://[::1]:65535", "/"),
        ("https://1e100.example/", "https://1e100.example", "/"),
        ("https://example.com/@a/:b//../c", "https://example.com", "/@a/:b//../c"),
    ],
)
def test_a_url_is_taken_apart_once(text: str, origin: str, target: str) -> None:
    url = parse(text)
    assert (url.origin, url.target) == (origin, target)


def test_an_address_stands_without_brackets_where_it_is_connected_to() -> None:
    assert parse("http://[::1]:8/") == Url("http", "::1", 8, "/")


@pytest.mark.parametrize(
    "text",
    ["file:///etc/passwd", "gopher://127.0.0.1:70/_x", "data:application/json,{}", "ftp://a/", "ws://a/", "://a"],
)
def test_81_no_scheme_but_http_and_https_is_called(text: str) -> None:
    assert refused(text) is Failure.SCHEME_REFUSED


@pytest.mark.parametrize(
    "text", ["https://user@example.com/", "https://user:pass@example.com/", "https://@example.com/", "https://a@b@c/"]
)
def test_81_a_url_with_a_user_is_refused(text: str) -> None:
    assert refused(text) is Failure.USERINFO_REFUSED


@pytest.mark.parametrize("text", ["https://example.com/#", "https://example.com#@evil.example/", "https://a/?b#c"])
def test_81_a_url_with_a_fragment_is_refused(text: str) -> None:
    assert refused(text) is Failure.FRAGMENT_REFUSED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "/path",
        "//example.com/",
        "https:example.com",
        "https:/example.com",
        "https:///path",
        "https://?a",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:080/",
        "https://example.com:65536/",
        "https://example.com:80:80/",
        "https://example.com:+80/",
        "https://[::1/",
        "https://::1/",
        "https://[::1]a/",
        "https://[v1.a]/",
        "https://example.com/%",
        "https://example.com/%zz",
        "https://example.com\\@evil.example/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: evil",
        "https://example.com/\x00",
        "https://example.com/ü",
        " https://example.com/",
        "https://example.com/\n",
        "https://example.com/" + "a" * 2_048,
    ],
)  # fmt: skip
def test_what_two_readers_could_read_in_two_ways_is_no_url(text: str) -> None:
    assert refused(text) in {Failure.URL_MALFORMED, Failure.SCHEME_REFUSED}


def test_a_url_may_be_as_long_as_the_limit() -> None:
    assert parse("https://example.com/".ljust(2_048, "a")).target.endswith("a")


@pytest.mark.parametrize(
    "host",
    [
        "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "127.1", "127.0.1", "0", "00", "0x", "127.0.0.1.",
        "127.0.0.01", "127.0.0.256", "1.2.3.4.5", "example.0x7f", "a.1", "localhost.", "a..b", ".a", "-a", "a-", "a_-",
        "%31%32%37.0.0.1", "127%2e0.0.1", "a" * 64, ".".join(["a" * 60] * 5), "exa$mple", "a,b", "(a)", "[example]",
        "[::1%25lo]", "[1.2.3.4]", "[::g]", "[::127.1]", "[:::1]",
    ],
)  # fmt: skip
def test_80_a_host_has_one_spelling(host: str) -> None:
    assert refused(f"http://{host}/") in {Failure.HOST_REFUSED, Failure.URL_MALFORMED}


@given(st.text() | st.text("htps:/@#?[]0x1.%\\a", max_size=40).map("http://".__add__))
def test_any_text_is_a_url_or_is_refused(text: str) -> None:
    try:
        url = parse(text)
    except EgressRefused:
        return
    assert parse(url.origin + url.target) == url


def test_80_of_all_tricks_only_plain_spellings_are_urls(corpora) -> None:
    hosts = set()
    for text in json.loads((corpora / "ssrf_urls.json").read_text()):
        with suppress(EgressRefused):
            hosts.add(parse(text).host)
    assert hosts
    for host in hosts:
        assert host.rpartition(".")[2].isalpha() or str(ip_address(host)) == host
