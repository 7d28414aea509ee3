"""``HttpUrl``: URLs that a tool may call, and that no client but ``mcpward.http`` can use."""

from typing import Annotated

import pytest

from mcpward import HttpUrl, SafeUrl, Server, http
from mcpward.sdk.errors import AuthoringError
from mcpward.testing import client

ALLOWED = ["https://api.example.com/", "https://API.example.com:443/a?b=c", "https://a.b.example.org/x%20y"]
REFUSED = [
    "http://api.example.com/", "https://api.example.com@evil.example/", "https://evil.example/#@api.example.com",
    "https://api.example.com.evil.example/", "https://example.org/", "https://evilexample.org/", "//api.example.com/",
    "file:///etc/passwd", "gopher://api.example.com/", "data:text/plain,x", "javascript:alert(1)",
    "https://api.example.com:8443/", "https://2130706433/", "https://127.0.0.1/", "https://[::1]/",
    "https://api.example.com\\@evil.example/", "https://api.example.com/\r\nHost: x", " https://api.example.com/",
    "https://аpi.example.com/", "https://api.example.com./", "", "https://",
]  # fmt: skip


def fetching(*hosts: str, **options: list[str]) -> Server:
    server = Server("web")

    @server.tool(read_only=True)
    async def look(url: Annotated[SafeUrl, HttpUrl(list(hosts), **options)]) -> list[str]:
        """Look at a URL."""
        return [url.host, url.path, str(url), f"{url}", repr(url)]

    @server.tool(read_only=True)
    async def fetch(url: Annotated[SafeUrl, HttpUrl(list(hosts), **options)]) -> str:
        """Fetch a URL."""
        try:
            return str((await http.get(url)).status)
        except http.HttpError as error:
            return error.why

    return server


async def test_a_url_of_an_allowed_host_arrives_as_a_value_without_a_text():
    async with client(fetching("api.example.com", "*.example.org")) as web:
        for url in ALLOWED:
            host, path, *texts = (await web.call("look", url=url)).value
            assert host in {"api.example.com", "a.b.example.org"}
            assert path.startswith("/")
            assert not any("https" in text for text in texts)


@pytest.mark.parametrize("url", REFUSED)
async def test_no_other_url_reaches_the_tool_and_the_refusal_names_the_hosts(url):
    async with client(fetching("api.example.com", "*.example.org")) as web:
        refused = await web.call("look", url=url)
        assert refused.reason == "argument-dangerous"
        assert "evil" not in refused.text


async def test_any_public_host_is_a_name_and_http_refuses_addresses_at_home():
    async with client(fetching("*")) as web:
        assert (await web.call("look", url="https://anything.example/")).reason is None
        for url in ("https://93.184.215.14/", "https://[2606:4700::1]/", "https://0x7f.1/"):
            assert (await web.call("look", url=url)).reason == "argument-dangerous"
        assert (await web.call("fetch", url="https://localhost:1/")).value == "address-refused"
    async with client(fetching("127.0.0.1:8000", schemes=["http"])) as web:
        assert (await web.call("fetch", url="http://127.0.0.1:8000/")).value == "address-refused"


async def test_the_model_reads_scheme_and_hosts():
    async with client(fetching("api.example.com", "*.example.org")) as web:
        part = (await web.tools())[0]["inputSchema"]["properties"]["url"]
        assert part == {
            "type": "string", "format": "uri", "maxLength": 2048,
            "description": "An https URL of api.example.com or *.example.org.",
        }  # fmt: skip


@pytest.mark.parametrize(
    "make,what",
    [
        (lambda: HttpUrl([]), "HttpUrl: hosts is a list of hosts"),
        (lambda: HttpUrl("api.example.com"), "HttpUrl: hosts is a list of hosts"),
        (lambda: HttpUrl(["https://api.example.com"]), "HttpUrl: hosts is a list of hosts"),
        (lambda: HttpUrl(["0x7f.1"]), "HttpUrl: hosts is a list of hosts"),
        (lambda: HttpUrl(["a.example"], schemes=["ftp"]), "HttpUrl: schemes are https and http"),
        (lambda: declared(Annotated[str, HttpUrl(["a.example"])]), "HttpUrl stands on SafeUrl"),
        (lambda: declared(SafeUrl), "SafeUrl has no list of hosts"),
    ],
)
def test_a_url_guard_that_cannot_hold_is_told_at_registration(make, what):
    with pytest.raises(AuthoringError) as wrong:
        make()
    assert what in wrong.value.what
    assert wrong.value.hint


def declared(annotation: object) -> None:
    def fetch(url: object) -> None:
        """Fetch."""

    fetch.__annotations__["url"] = annotation
    Server("web").tool(fetch)
