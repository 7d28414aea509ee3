"""The client against servers of the test's own on loopback, which is named in ``allow`` (attacks 26, 80 and 81)."""

import asyncio
import gc
import socket
import ssl
import threading
import traceback
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.egress.concurrency import AT_ONCE
from mcpward.egress.failures import EgressFailed, EgressRefused, Failure
from mcpward.egress.guard import Guard
from support.outside import certificate_for, http, outside

LOOPBACK = [ip_network("127.0.0.0/8")]
CANARY = "c4n4ry-c4n4ry"


async def at_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def calling(timeout_s: float = 5.0, **options) -> AsyncIterator[Client]:
    client = Client(Guard(LOOPBACK, options.pop("lookup", at_loopback)), timeout_s=timeout_s, **options)
    try:
        yield client
    finally:
        await client.close()


async def failure(url: str, timeout_s: float = 5.0, max_bytes: int = 1_000, **options) -> EgressFailed:
    async with calling(timeout_s, **options) as client:
        with pytest.raises(EgressFailed) as caught:
            await client.get_json(url, max_bytes=max_bytes)
    return caught.value


async def why(answer, **options) -> Failure:
    async with outside(answer) as there:
        return (await failure(there.url(), **options)).why


def fields(request: bytes) -> dict[str, str]:
    head = request.split(b"\r\n\r\n")[0].decode()
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])


# ------------------------------------------------------------------------------------------------------- what is sent


async def test_a_document_is_fetched() -> None:
    async with (
        outside(http(b'{"keys": []}', cache_control="max-age=60", set_cookie="a=b")) as there,
        calling() as client,
    ):
        fetched = await client.get_json(there.url("/jwks?a=%20b"))
    assert (fetched.status, fetched.value) == (200, {"keys": []})
    assert dict(fetched.headers) == {"content-type": "application/json", "cache-control": "max-age=60"}
    assert there.requests[0].startswith(b"GET /jwks?a=%20b HTTP/1.1\r\n")


async def test_a_request_says_no_more_than_it_must() -> None:
    async with outside() as there, calling(user_agent="mcpward/1 (test)") as client:
        await client.get_json(there.url(host="id.example"), accept="application/jwk-set+json, application/json")
    assert fields(there.requests[0]) == {
        "Host": f"id.example:{there.port}",
        "User-Agent": "mcpward/1 (test)",
        "Accept-Encoding": "identity",
        "Accept": "application/jwk-set+json, application/json",
    }


async def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with outside() as proxy, outside() as there, calling() as client:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        await client.get_json(there.url())
    assert (proxy.connections, there.connections) == (0, 1)


async def test_a_cookie_is_not_brought_back() -> None:
    async with outside(http(set_cookie="session=1")) as there, calling() as client:
        await client.get_json(there.url())
        await client.get_json(there.url())
    assert "Cookie" not in fields(there.requests[1])


async def test_a_form_is_encoded_and_its_sender_proves_who_it_is() -> None:
    auth = ("cliënt:1", Secret("s p:c%+é"))
    async with outside(http(b'{"active": true}')) as there, calling() as client:
        fetched = await client.post_form(there.url("/i"), {"token": Secret("a b&c=d+é"), "hint": "x"}, auth=auth)
    assert fetched.value == {"active": True}
    head, _, body = there.requests[0].partition(b"\r\n\r\n")
    assert body == b"token=a+b%26c%3Dd%2B%C3%A9&hint=x"
    sent = fields(head)
    assert sent["Content-Type"] == "application/x-www-form-urlencoded"
    assert sent["Content-Length"] == str(len(body))
    assert b64decode(sent["Authorization"].removeprefix("Basic ")) == b"cli%C3%ABnt%3A1:s+p%3Ac%25%2B%C3%A9"


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\n", "", " a", "ü", "a\x00"])
async def test_83_a_field_of_two_lines_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Client(Guard(), user_agent=text)
    async with calling() as client:
        with pytest.raises(ValueError):
            await client.get_json("http://127.0.0.1:1/", accept=text)


# ------------------------------------------------------------------------------------------------------ what is taken


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=utf-8", "application/jwk-set+json"])
async def test_json_has_several_names(media: str) -> None:
    async with outside(http(b"[1]", media=media)) as there, calling() as client:
        assert (await client.get_json(there.url())).value == [1]


async def test_a_byte_order_mark_before_json_is_skipped() -> None:
    """RFC 8259 §8.1: a reader may ignore it."""
    async with outside(http(b"\xef\xbb\xbf[1]")) as there, calling() as client:
        assert (await client.get_json(there.url())).value == [1]


@pytest.mark.parametrize("media", ["text/html", "text/json", "application/jsonp", "application/javascript", "json"])
async def test_26_what_is_not_called_json_is_not_read_as_json(media: str) -> None:
    assert await why(http(b"{}", media=media)) is Failure.MEDIA_REFUSED


async def test_an_answer_without_a_type_is_refused() -> None:
    assert await why(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") is Failure.MEDIA_REFUSED
    assert await why(b"HTTP/1.1 204 No Content\r\n\r\n") is Failure.MEDIA_REFUSED


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b"{} {}", b"NaN", b"[" * 33 + b"]" * 33, b'"\\ud800"', b"<html>"]
)
async def test_json_is_strict(body: bytes) -> None:
    assert await why(http(body)) is Failure.NOT_JSON


async def test_an_error_in_json_is_read_and_one_in_html_is_not() -> None:
    async with outside(http(b'{"error": "invalid_grant"}', status=400)) as there, calling() as client:
        fetched = await client.post_form(there.url(), {})
        assert (fetched.status, fetched.value) == (400, {"error": "invalid_grant"})
        there.answer = http(b"<html>" * 999, status=502, media="text/html", retry_after="7")
        fetched = await client.get_json(there.url(), max_bytes=10)
        assert (fetched.status, fetched.value, fetched.headers["retry-after"]) == (502, None, "7")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_80_no_redirect_is_followed(status: int) -> None:
    async with outside() as canary, outside(http(status=status, location=canary.url())) as there:
        assert (await failure(there.url())).why is Failure.REDIRECTED
    assert (canary.connections, there.connections) == (0, 1)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
async def test_26_no_content_coding_is_unpacked(coding: str) -> None:
    assert await why(http(b"{}", content_encoding=coding)) is Failure.CODING_REFUSED


async def test_an_answer_may_be_as_large_as_the_limit_and_no_larger() -> None:
    body = b'"' + b"a" * 98 + b'"'
    async with outside(http(body)) as there, calling() as client:
        assert len((await client.get_json(there.url(), max_bytes=100)).value) == 98
        with pytest.raises(EgressFailed) as caught:
            await client.get_json(there.url(), max_bytes=99)
        assert caught.value.why is Failure.TOO_LARGE


async def test_26_a_length_beyond_the_limit_is_not_waited_for() -> None:
    async def announce(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n")

    assert await why(announce, max_bytes=65_536) is Failure.TOO_LARGE


@pytest.mark.parametrize("length", [b"", b"transfer-encoding: chunked\r\n"])
async def test_26_a_body_without_a_length_is_cut_at_the_limit(length: bytes) -> None:
    sent = 0

    async def flood(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + length + b"\r\n")
        while sent < 100_000_000:
            writer.write(b"2000\r\n" + b" " * 8_192 + b"\r\n")
            await writer.drain()
            sent += 8_192

    assert await why(flood, max_bytes=65_536) is Failure.TOO_LARGE
    assert sent < 20_000_000


async def test_26_a_body_in_crumbs_is_cut() -> None:
    crumbs = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    assert await why(crumbs + b"1\r\n \r\n" * 5_000, max_bytes=65_536) is Failure.TOO_LARGE


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_failure_with_a_name(answer: bytes) -> None:
    async def once(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    assert await why(once) in {Failure.PROTOCOL_BROKEN, Failure.UNREACHABLE}


# --------------------------------------------------------------------------------------------------------------- time


async def silent(request: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def dribbling(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def early(request: bytes, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("slow", [silent, dribbling, early])
async def test_the_whole_of_a_call_has_one_time(slow) -> None:
    began = asyncio.get_running_loop().time()
    assert await why(slow, timeout_s=0.2) is Failure.TIMEOUT
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_slow_resolver_is_part_of_that_time() -> None:
    async def look_up(host: str, port: int) -> list[str]:
        await asyncio.sleep(30)
        return []

    assert (await failure("https://id.example/", timeout_s=0.1, lookup=look_up)).why is Failure.TIMEOUT


async def test_a_caller_who_leaves_frees_the_place() -> None:
    async with outside(silent) as there, calling() as client:
        for number in range(AT_ONCE + 2):
            task = asyncio.create_task(client.get_json(there.url()))
            await there.until(number + 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        there.answer = http(b"1")
        assert (await client.get_json(there.url())).value == 1


# -------------------------------------------------------------------------------------------------------- connections


async def test_a_connection_is_used_again_for_its_origin_alone() -> None:
    async with outside() as there, calling() as client:
        for _ in range(3):
            await client.get_json(there.url(host="a.example"))
        assert there.connections == 1
        await client.get_json(there.url(host="b.example"))
        assert there.connections == 2
        there.hang_up()
        await there.gone()
        await client.get_json(there.url(host="a.example"))
        assert there.connections == 3


async def test_one_endpoint_has_so_many_places_and_others_have_their_own_at_the_same_origin_too() -> None:
    gate = asyncio.Event()
    running = most = 0

    async def held(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        writer.write(http())

    async with outside(held) as there, outside() as other, calling() as client:
        calls = [asyncio.create_task(client.get_json(there.url())) for _ in range(3 * AT_ONCE)]
        await there.until(AT_ONCE)
        assert (await client.get_json(other.url())).status == 200
        keys = asyncio.create_task(client.get_json(there.url("/keys")))
        await there.until(AT_ONCE + 1)
        gate.set()
        await asyncio.gather(*calls, keys)
    assert (most, len(there.requests)) == (AT_ONCE + 1, 3 * AT_ONCE + 1)


@pytest.mark.slow
async def test_who_would_wait_behind_too_many_is_told_at_once() -> None:
    async with outside(silent) as there, calling(timeout_s=1.0) as client:
        calls = [asyncio.create_task(client.get_json(there.url())) for _ in range(130)]
        done, rest = await asyncio.wait(calls, timeout=0.5)
        assert [getattr(call.exception(), "why", None) for call in done] == [Failure.BUSY] * 2
        assert len(rest) == 128
        assert {type(error) for error in await asyncio.gather(*rest, return_exceptions=True)} == {EgressFailed}


async def test_a_closed_client_calls_nobody() -> None:
    async with outside(silent) as there, calling() as client:
        task = asyncio.create_task(client.get_json(there.url()))
        await there.until(1)
        await client.close()
        for call in (task, client.get_json(there.url())):
            with pytest.raises(EgressFailed):
                await call
    assert there.connections == 1


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with outside() as there, calling(lookup=look_up) as client:
        assert (await client.get_json(there.url(host="id.example"))).status == 200


async def test_a_place_where_nobody_listens_is_unreachable() -> None:
    async with outside() as there:
        pass
    assert (await failure(there.url())).why is Failure.UNREACHABLE


# ---------------------------------------------------------------------------------------------------------------- TLS


async def test_the_name_is_what_tls_is_about_and_the_address_what_the_socket_is_about(tmp_path: Path) -> None:
    server, trusting = certificate_for("id.example", tmp_path)
    async with outside(tls=server) as there, calling(tls=trusting) as client:
        await client.get_json(there.url("/x", host="id.example", scheme="https"))
        await client.get_json(there.url("/y", host="id.example", scheme="https"))
    assert (there.connections, there.names) == (1, ["id.example"])
    assert fields(there.requests[0])["Host"] == f"id.example:{there.port}"


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    server, trusting = certificate_for("other.example", tmp_path)
    async with outside(tls=server) as there:
        for host in ("id.example", "127.0.0.1"):
            error = await failure(there.url(host=host, scheme="https"), tls=trusting)
            assert error.why is Failure.TLS_FAILED
    assert not there.requests


async def test_a_certificate_for_an_address_holds_for_it(tmp_path: Path) -> None:
    server, trusting = certificate_for("127.0.0.1", tmp_path)
    async with outside(tls=server) as there, calling(tls=trusting) as client:
        assert (await client.get_json(there.url(scheme="https"))).status == 200


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server, _ = certificate_for("127.0.0.1", tmp_path)
    async with outside(tls=server) as there:
        assert (await failure(there.url(scheme="https"))).why is Failure.TLS_FAILED
    assert not there.requests


async def test_a_server_that_wants_a_certificate_of_ours_is_a_failure_with_a_name(tmp_path: Path) -> None:
    server, trusting = certificate_for("127.0.0.1", tmp_path)
    server.verify_mode = ssl.CERT_REQUIRED  # in TLS 1.3 its alert comes after the handshake, while we read the answer

    def refuse(listener: socket.socket, done: threading.Event) -> None:
        wrapped = server.wrap_socket(listener.accept()[0], server_side=True, do_handshake_on_connect=False)
        with wrapped:
            with pytest.raises(ssl.SSLError):
                wrapped.do_handshake()
            done.wait(5)

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener, done))
        error = await failure(f"https://127.0.0.1:{listener.getsockname()[1]}/", tls=trusting)
        done.set()
        await refusing
    assert error.why is Failure.UNREACHABLE


@pytest.mark.slow
async def test_a_server_without_tls_is_no_https_server() -> None:
    async with outside() as there:
        assert (await failure(there.url(scheme="https"), timeout_s=1.0)).why in {Failure.TLS_FAILED, Failure.TIMEOUT}


# ------------------------------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"access_token": "%s"}' % CANARY.encode()),
        http(CANARY.encode()),
        http(b"{}", status=302, location=f"http://{CANARY}/"),
        http(CANARY.encode(), media=f"text/{CANARY}"),
        http(b"{}", content_encoding=CANARY),
        b"HTTP/1.1 200 " + CANARY.encode() + b"\r\n" + CANARY.encode() + b"\r\n\r\n",
    ],
)
async def test_85_nothing_of_a_secret_or_an_answer_is_told(answer: bytes, capfd) -> None:
    told = []
    async with outside(answer) as there, calling() as client:
        try:
            auth = (CANARY, Secret(CANARY))
            told.append(repr(await client.post_form(there.url(f"/{CANARY}"), {"token": Secret(CANARY)}, auth=auth)))
        except (EgressFailed, EgressRefused) as error:
            told += [repr(error), str(error), error.detail]
            told += traceback.format_exception(error)
    assert told
    assert CANARY not in "".join(told) + "".join(capfd.readouterr())


def test_an_answer_has_no_readable_form() -> None:
    from mcpward.egress.response import Fetched

    assert repr(Fetched(200, {"access_token": CANARY}, {})) == "Fetched(status=200)"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_socket_is_left_behind(scheme: str) -> None:
    async with outside(silent) as there, calling(timeout_s=0.05) as client:
        with pytest.raises(EgressFailed):
            await client.get_json(there.url(scheme=scheme))
    gc.collect()  # a socket or generator that was not closed speaks up here, and warnings are errors
