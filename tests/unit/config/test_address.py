import pytest

from mcpward.config.address import (
    Address,
    is_loopback,
    parse_address,
    parse_allowed_host,
    parse_host,
    parse_origin,
    parse_public_url,
    parse_url,
)


def test_an_address_is_a_host_and_a_port():
    assert parse_address("127.0.0.1:8000") == Address("127.0.0.1", 8000)
    assert parse_address("[::1]:0") == Address("::1", 0)
    assert str(parse_address("[::1]:80")) == "[::1]:80"


@pytest.mark.parametrize(
    "text", ["8000", ":8000", "localhost", "::1:8000", "a:65536", "a:-1", "a:80a", "a b:80", "a:٣", "http://a:80"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize(
    "host,yes",
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.evil", False),
        ("10.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(host, yes):
    assert is_loopback(host) is yes


def test_the_unspecified_address_is_a_wildcard():
    assert parse_address("0.0.0.0:1").is_wildcard
    assert parse_address("[::]:1").is_wildcard
    assert not parse_address("example.com:1").is_wildcard


@pytest.mark.parametrize("text", ["*", "*.example.com", "a..b", "-a", "a/b", "a@b", "", "a b"])
def test_a_wildcard_is_no_host(text):
    with pytest.raises(ValueError):
        parse_host(text)
    with pytest.raises(ValueError):
        parse_allowed_host(text)


def test_an_allowed_host_is_kept_as_a_host_header_says_it():
    assert parse_allowed_host("MCP.Example.com") == "mcp.example.com"
    assert parse_allowed_host("a:81") == "a:81"
    assert parse_allowed_host("[::1]") == "[::1]"
    assert parse_allowed_host("[::1]:81") == "[::1]:81"


def test_a_public_url_is_absolute_and_https():
    assert parse_url("https://MCP.example.com/") == "https://mcp.example.com"
    assert parse_url("http://127.0.0.1:8000") == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com",
        "example.com",
        "https://u:p@example.com",
        "https://a?x",
        "https://a#x",
        "ftp://a",
        "https://",
        "https://a:99999",
        "https://a b",
        "javascript:alert(1)",
    ],
)
def test_other_urls_are_refused(text):
    with pytest.raises(ValueError):
        parse_url(text)


@pytest.mark.parametrize("name", ["mcp_server", "_dmarc.example.com", "a_b-c.d_e"])
def test_a_name_of_a_container_may_have_an_underscore(name):
    assert parse_host(name) == name
    assert parse_allowed_host(f"{name}:8000") == f"{name}:8000"
    assert parse_url(f"https://{name}/") == f"https://{name}"
    assert parse_address(f"{name}:80").host == name


def test_the_dot_of_the_root_is_no_part_of_a_name():
    assert parse_allowed_host("mcp.example.com.:81") == "mcp.example.com:81"
    for text in (".", "a..", ".a"):
        with pytest.raises(ValueError):
            parse_host(text)


@pytest.mark.parametrize(
    "text, origin",
    [
        ("https://App.Example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("https://app.example:444", "https://app.example:444"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::0001]:5173", "http://[::1]:5173"),
        ("http://tauri.localhost", "http://tauri.localhost"),
        ("tauri://localhost", "tauri://localhost"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("app://-", "app://-"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"),
        ("moz-extension://1A2B-3c", "moz-extension://1a2b-3c"),
        ("vscode-webview://1a2b3c", "vscode-webview://1a2b3c"),
        ("custom+scheme.x-1://host:1420", "custom+scheme.x-1://host:1420"),
    ],
)
def test_an_origin_is_kept_as_an_origin_header_says_it(text, origin):
    assert parse_origin(text) == origin


def test_null_is_no_origin_that_could_be_allowed_and_is_told_so():
    with pytest.raises(ValueError, match="sandboxed"):
        parse_origin("null")


@pytest.mark.parametrize(
    "text",
    [
        "*", "NULL", "https://a/b", "a.example", "https://u@a", "https://a?x", "https://*.example", "chrome-extension://*",
        "file://", "file:///", "file://host", "data:text/html,x", "tauri:", "tauri://", "tauri:///", "app://a/b",
        "app://a b", "app://a?b", "app://a#b", "app://u@a", "app://a\\b", "app://a,b", "https://caf\u00e9.example",
        "https://a:99999", "app://a:b", "://a", "1a://b", "https://a.example, https://b.example",
        "https://a.\texample", "app://a\tb", "app://a\nb",
    ],
)  # fmt: skip
def test_an_origin_has_no_path_and_is_no_wildcard(text):
    with pytest.raises(ValueError):
        parse_origin(text)


def test_a_public_url_may_have_a_path():
    assert parse_public_url("https://x.example/ai/") == "https://x.example/ai"
    assert parse_public_url("https://x.example/a/b-1.2/%20") == "https://x.example/a/b-1.2/%20"


@pytest.mark.parametrize("path", ["/ä", "/a//b", "/a/../b", "/./a", "/..", "/a b", "/.well-known/x", "//a", "/a\\b"])
def test_a_path_that_cannot_be_compared_byte_for_byte_is_refused(path):
    with pytest.raises(ValueError):
        parse_public_url(f"https://x.example{path}")
