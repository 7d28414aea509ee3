"""``mcpward.http`` from a tool's side, against servers on loopback: what is sent, what comes back, what is bounded."""

import asyncio
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from mcpward import Context, Server, ToolError, http
from mcpward.core.secret import Secret
from mcpward.core.work import Work, current
from mcpward.egress.host_list import HostList
from mcpward.egress.url import parse
from mcpward.sdk.errors import AuthoringError
from mcpward.testing import client
from support.outside import certificate_for, outside
from support.outside import http as answer
from support.tool_http import as_shop

CANARY = "c4n4ry-c4n4ry"


def fields(request: bytes) -> dict[str, str]:
    head = request.split(b"\r\n\r\n")[0].decode()
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])


def body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


# ------------------------------------------------------------------------------------------------------- what is sent


async def test_a_get_is_sent_as_httpx_would() -> None:
    async with outside(answer(b'{"id": 7}')) as there, as_shop():
        response = await http.get(
            there.url("/v1/orders?a=1"), params={"q": "a b&c", "n": 2, "on": True, "l": [1, None]}
        )
    assert (response.status, response.status_code, response.json()) == (200, 200, {"id": 7})
    assert there.requests[0].startswith(b"GET /v1/orders?a=1&q=a%20b%26c&n=2&on=true&l=1&l= HTTP/1.1\r\n")
    assert fields(there.requests[0]) == {
        "Host": f"127.0.0.1:{there.port}", "User-Agent": "mcpward", "Accept-Encoding": "identity", "accept": "*/*",
    }  # fmt: skip


@dataclass
class Line:
    name: str


class Order(pydantic.BaseModel):
    id: int


@pytest.mark.parametrize(
    "given,sent,media",
    [
        ({"json": {"a": [1, "ü", None]}}, '{"a":[1,"ü",null]}', "application/json"),
        ({"json": [Line("x"), Order(id=1)]}, '[{"name":"x"},{"id":1}]', "application/json"),
        ({"json": {"key": Secret("s3cr3t")}}, '{"key":"s3cr3t"}', "application/json"),
        ({"data": {"a": "b c", "n": 1}}, "a=b+c&n=1", "application/x-www-form-urlencoded"),
        ({"data": [("a", "1"), ("a", Secret("&"))]}, "a=1&a=%26", "application/x-www-form-urlencoded"),
        ({"data": "raw"}, "raw", None),
        ({"content": b"\0\1"}, "\0\1", None),
        ({"content": "text", "headers": {"Content-Type": "text/plain"}}, "text", "text/plain"),
        ({}, "", None),
    ],
)
async def test_a_body_is_written_in_one_of_three_ways(given: dict[str, Any], sent: str, media: str | None) -> None:
    async with outside() as there, as_shop():
        await http.post(there.url(), **given)
    assert body(there.requests[0]).decode() == sent
    assert fields(there.requests[0]).get("content-type") == media


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "options", "head"])
async def test_every_verb_is_there(verb: str) -> None:
    async with outside(answer(b"" if verb == "head" else b"{}")) as there, as_shop():
        assert (await getattr(http, verb)(there.url())).is_success
    assert there.requests[0].startswith(f"{verb.upper()} / HTTP/1.1\r\n".encode())


async def test_a_head_of_something_large_is_answered() -> None:
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n"
    async with outside(large) as there, as_shop():
        response = await http.head(there.url())
    assert (response.headers["Content-Length"], response.content) == ("999999999", b"")


async def test_a_secret_stands_where_a_text_may() -> None:
    key = Secret("s3cr3t-key", "KEY")
    async with outside() as there, as_shop():
        await http.get(
            key.template(there.url("/hooks/{}")),
            headers={"Authorization": key.template("Bearer {}"), "X-Key": key},
            params={"k": key},
        )
        await http.get(there.url(), auth=("user", key))
    assert there.requests[0].startswith(b"GET /hooks/s3cr3t-key?k=s3cr3t-key HTTP/1.1\r\n")
    sent = fields(there.requests[0])
    assert (sent["authorization"], sent["x-key"]) == ("Bearer s3cr3t-key", "s3cr3t-key")
    assert b64decode(fields(there.requests[1])["authorization"].removeprefix("Basic ")) == b"user:s3cr3t-key"


@pytest.mark.parametrize(
    "value", ["a\r\nX: y", "a\n", "a\rb", "a\0", " a", "a ", "ü", "\x7f", "a\tb", "a\x0bb", "a\u2028b"]
)
@pytest.mark.parametrize("as_secret", [True, False])
async def test_attack_83_a_header_of_two_lines_is_refused(value: str, as_secret: bool) -> None:
    given = Secret(value, "KEY") if as_secret else value
    async with outside() as there, as_shop():
        for headers in ({"X-Name": given}, {"Authorization": given}, {"User-Agent": given}):
            with pytest.raises(http.HttpRefused) as refused:
                await http.get(there.url(), headers=headers)
            assert refused.value.why == "header-refused"
            assert repr(value) not in repr(refused.value)
    assert there.connections == 0


@pytest.mark.parametrize("name", ["X: y\r\nZ", "", "a b", "ä", "a:", "a\n"])
async def test_attack_83_a_name_of_two_lines_is_refused(name: str) -> None:
    async with outside() as there, as_shop():
        with pytest.raises(http.HttpRefused):
            await http.get(there.url(), headers={name: "a"})
        for method in ("GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "CONNECT", "TRACE", "", "G T"):
            with pytest.raises(http.HttpRefused):
                await http.request(method, there.url())
    assert there.connections == 0


@pytest.mark.parametrize(
    "name",
    ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Authorization", "Upgrade", "TE", "Expect",
     "Accept-Encoding", "Keep-Alive", "Trailer"],
)  # fmt: skip
async def test_headers_of_the_connection_are_not_the_tools(name: str) -> None:
    async with outside() as there, as_shop():
        with pytest.raises(http.HttpRefused) as refused:
            await http.post(there.url(), headers={name: "1"}, content="a")
        assert refused.value.why == "header-refused"
    assert there.connections == 0


@pytest.mark.parametrize(
    "given,said",
    [
        ({"headers": {"A": 1}}, "the header A is int"),
        ({"headers": {"A": f"Bearer {Secret('x')}"}}, "contains ***"),
        ({"params": {"a": object()}}, "params['a'] is object"),
        ({"params": {"a": {"b": 1}}}, "params['a'] is dict"),
        ({"json": {"a": object()}}, "a value that JSON cannot hold"),
        ({"json": {}, "data": {}}, "three ways"),
        ({"auth": Secret("x")}, "auth is not a pair"),
        ({"auth": ("a:b", "c")}, "a colon"),
        ({"auth": ("a", "b"), "headers": {"authorization": "c"}}, "are both there"),
        ({"content": {"a": 1}}, "content is dict"),
    ],
)
async def test_an_argument_that_cannot_be_sent_is_named(given: dict[str, Any], said: str) -> None:
    async with as_shop():
        with pytest.raises(AuthoringError) as wrong:
            await http.post("https://api.example/", **given)
    assert said in wrong.value.what
    assert wrong.value.hint
    assert __file__ in wrong.value.where


async def test_a_secret_in_an_f_string_is_noticed() -> None:
    async with as_shop():
        with pytest.raises(AuthoringError, match="does not print its value"):
            await http.get(f"https://api.example/{Secret('x')}")


async def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with outside() as proxy, outside(answer(set_cookie="a=b")) as there, as_shop():
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        await http.get(there.url())
        await http.get(there.url())
    assert (proxy.connections, there.connections) == (0, 1)
    assert {*fields(there.requests[1])} == {"Host", "User-Agent", "Accept-Encoding", "accept"}


# ------------------------------------------------------------------------------------------------------ what comes back


async def test_a_response_is_whole_and_shows_nothing() -> None:
    async with outside(answer(CANARY.encode(), 404, "text/plain; charset=utf-8", x_token=CANARY)) as there, as_shop():
        response = await http.get(there.url("/c4n4ry"))
    assert (response.text, response.content, response.headers["X-Token"]) == (CANARY, CANARY.encode(), CANARY)
    assert (response.is_success, response.is_error, response.host) == (False, True, f"127.0.0.1:{there.port}")
    assert "X-TOKEN" in response.headers
    assert CANARY not in repr(response) + str(response) + repr(response.headers)
    with pytest.raises(http.HttpStatusError) as failed:
        response.raise_for_status()
    assert str(failed.value) == f"127.0.0.1:{there.port} answered 404"
    assert failed.value.response is response
    with pytest.raises(http.HttpFailed) as no_json:
        response.json()
    assert no_json.value.why == "not-json"
    assert CANARY not in str(no_json.value)
    with pytest.raises(AttributeError):
        response.status = 200  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    "media,content,text",
    [
        ("text/plain; charset=iso-8859-1", b"\xfc", "ü"), ("text/plain", "ü".encode(), "ü"),
        ("text/plain", b"\xfc", "\ufffd"), ("text/plain; charset=none-such", "ü".encode(), "ü"),
        ('text/plain; charset="utf-16"', "a".encode("utf-16"), "a"),
    ],
)  # fmt: skip
async def test_a_text_is_in_the_charset_that_it_declares(media: str, content: bytes, text: str) -> None:
    async with outside(answer(content, media=media)) as there, as_shop():
        assert (await http.get(there.url())).text == text


async def test_a_redirect_is_a_response_unless_it_is_to_be_followed() -> None:
    async with outside(answer(status=302, location="/there")) as there, as_shop():
        response = await http.get(there.url())
        assert (response.status, response.is_redirect, response.headers["location"]) == (302, True, "/there")
        with pytest.raises(http.HttpFailed, match="the end of 5 redirects") as failed:
            await http.get(there.url(), follow_redirects=True)
    assert failed.value.why == "redirected"
    assert len(there.requests) == 1 + 6


@pytest.mark.parametrize(
    "status,method,later", [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"),
                            (307, "POST", "POST"), (308, "PUT", "PUT"), (302, "PUT", "PUT")],
)  # fmt: skip
async def test_a_redirect_is_followed_as_the_rfc_has_it(status: int, method: str, later: str) -> None:
    async def reply(request: bytes, writer: Any) -> None:
        is_there = request.split()[1] == b"/b?c"
        writer.write(answer(b"") if is_there else answer(b"", status=status, location="b?c"))
        await writer.drain()

    async with outside(reply) as there, as_shop():
        given: dict[str, Any] = {} if method == "HEAD" else {"json": {"a": 1}}
        assert (await http.request(method, there.url("/a"), follow_redirects=True, **given)).status == 200
    sent = there.requests[1]
    assert sent.startswith(f"{later} /b?c HTTP/1.1\r\n".encode())
    assert body(sent) == (b'{"a":1}' if later in {"POST", "PUT"} else b"")
    assert ("content-type" in fields(sent)) is (later in {"POST", "PUT"})


# --------------------------------------------------------------------------------------------------- what is bounded


async def why(url: str, **options: Any) -> str:
    with pytest.raises((http.HttpRefused, http.HttpFailed)) as caught:
        await http.get(url, **options)
    return str(caught.value.why)


async def test_only_hosts_on_the_list_are_called() -> None:
    async with outside() as there, as_shop("api.example:1", "*.good.example", "good.example:8443"):
        for host in ("api.example", "good.example", "notgood.example", "good.example.evil.example", "127.0.0.1"):
            assert await why(f"https://{host}:{there.port}/") == "host-not-allowed"
    async with outside() as there, as_shop(f"api.example:{there.port}", f"*.good.example:{there.port}"):
        for host in ("api.example", "API.example", "a.good.example", "b.a.good.example"):
            assert (await http.get(there.url(host=host))).status == 200
        there.answer = answer(status=302, location=f"http://evil.example:{there.port}/")
        assert await why(there.url(host="api.example"), follow_redirects=True) == "host-not-allowed"
    assert len(there.requests) == 5


@pytest.mark.parametrize("entry,url,is_on", [
    ("a.example", "https://a.example/", True), ("a.example", "https://a.example:443/", True),
    ("a.example:443", "https://a.example/", True), ("a.example", "https://a.example:8443/", False),
    ("a.example:8443", "https://a.example:8443/", True), ("a.example:8443", "https://a.example/", False),
    ("*.example", "https://a.example/", True), ("*.example", "https://example/", False),
    ("*.example", "https://a.example:8443/", False), ("[2001:db8::1]", "https://[2001:DB8::1]/", True),
])  # fmt: skip
def test_an_entry_without_a_port_is_the_port_of_the_scheme(entry: str, url: str, is_on: bool) -> None:
    assert HostList([entry]).has(parse(url)) is is_on


async def test_a_response_is_bounded_in_size_and_time() -> None:
    async def slowly(request: bytes, writer: Any) -> None:
        await asyncio.sleep(30)

    async with outside(answer(b"x" * 2000)) as there, as_shop(max_bytes=1999, timeout_s=0.3):
        assert await why(there.url()) == "too-large"
        there.answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n"
        assert await why(there.url()) == "timeout"
        there.answer = (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 2
        )
        assert await why(there.url()) == "too-large"
        there.answer = slowly
        assert await why(there.url(), timeout=60) == "timeout"
        there.answer = answer(b"x", content_encoding="gzip")
        assert await why(there.url()) == "coding-refused"


async def test_only_so_many_requests_are_under_way_and_all_are_answered() -> None:
    there_now = most = 0

    async def reply(request: bytes, writer: Any) -> None:
        nonlocal there_now, most
        there_now += 1
        most = max(most, there_now)
        await asyncio.sleep(0.02)
        there_now -= 1
        writer.write(answer())

    async with outside(reply) as there, as_shop(max_connections=3):
        answers = await asyncio.gather(*(http.get(there.url()) for _ in range(12)))
        assert [one.status for one in answers] == [200] * 12
    assert (most, there.connections) == (3, 3)


async def test_a_caller_with_many_requests_lets_one_of_another_in() -> None:
    async def as_caller(name: str, url: str) -> None:
        current.set(Work("shop", name, None))  # in a task of its own
        await http.get(url)

    async with outside() as there, as_shop(max_connections=1):
        many = [asyncio.create_task(as_caller("one", there.url("/?one"))) for _ in range(10)]
        await there.until(1)
        await as_caller("other", there.url("/?other"))
        assert [request.split()[1] for request in there.requests].index(b"/?other") <= 2
        await asyncio.gather(*many)


async def test_tls_is_about_the_name(tmp_path) -> None:
    served, trusted = certificate_for("api.example", tmp_path)
    async with outside(tls=served) as there, as_shop(tls=trusted):
        assert (await http.get(there.url(host="api.example", scheme="https"))).status == 200
        assert await why(there.url(host="evil.example", scheme="https")) == "tls-failed"


# ------------------------------------------------------------------------------------------------- whose settings hold


async def test_code_of_no_server_calls_public_hosts_only() -> None:
    async with outside() as there:
        assert await why(there.url()) == "address-refused"
        assert await why(there.url(scheme="https")) == "address-refused"
    assert there.connections == 0


async def test_another_thread_with_a_loop_of_its_own_has_the_same_rules() -> None:
    async with outside() as there, as_shop(f"127.0.0.1:{there.port}"):
        here = there.url()
        assert (await asyncio.to_thread(lambda: asyncio.run(http.get(here)))).status == 200
        assert await asyncio.to_thread(lambda: asyncio.run(why("https://evil.example/"))) == "host-not-allowed"


# ---------------------------------------------------------------------------------------- tools, in an author's tests


def shop(url: str) -> Server:
    server = Server("shop", version="1.0")
    started: list[int] = []

    @server.on_start
    async def ask() -> None:
        started.append((await http.get(url)).status)

    @server.tool(read_only=True)
    async def status() -> list[int]:
        """The status of the API."""
        return [*started, (await http.get(url)).status]

    @server.tool(read_only=True)
    def waited(context: Context) -> int:
        """The same from a thread."""
        return context.run(http.get(url)).status

    @server.tool(read_only=True)
    async def elsewhere() -> str:
        """Calls a host that is not on the list."""
        await http.get("https://evil.example/c4n4ry")
        return "reached"

    @server.tool(read_only=True)
    async def told() -> str:
        """The same, and says so."""
        try:
            return (await http.get("https://evil.example/")).text
        except http.HttpRefused:
            raise ToolError("not to be reached") from None

    return server


async def test_the_client_for_tests_has_the_settings_of_its_server() -> None:
    async with outside() as there:
        settings = {"egress.allow": ["127.0.0.0/8"], "servers.shop.http.hosts": [f"127.0.0.1:{there.port}"]}
        async with client(shop(there.url()), settings=settings) as one:
            assert (await one.call("status")).value == [200, 200]
            assert (await one.call("waited")).value == 200
            assert (await one.call("told")).text == "not to be reached"
            failed = await one.call("elsewhere")
            assert failed.reason == "tool-failed"
            assert "this server's tools may not call evil.example" in failed.detail
            assert "evil.example" not in json.dumps(failed.raw)
            assert CANARY[:6] not in failed.detail.splitlines()[-1]
    assert there.connections == 1


async def test_without_settings_a_server_calls_no_private_host() -> None:
    async with outside() as there:
        server = Server("shop", version="1.0")

        @server.tool(read_only=True)
        async def fetch(path: str) -> str:
            """Fetch."""
            return (await http.get(there.url(path))).text

        async with client(server) as one:
            failed = await one.call("fetch", path="/")
        assert failed.reason == "tool-failed"
        assert "[egress] allow" in failed.detail
    assert there.connections == 0
