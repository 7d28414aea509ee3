"""Two readers of one byte stream must not see two different requests (RFC 9112 §11.2).

The corpus is llhttp's own test suite; the rest are the classes of request smuggling that PortSwigger's research named:
CL.TE, TE.CL, TE.TE, CL.0, and the framing tricks below them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httptools
import pytest

from support.leak import leak_in
from support.raw import Talk, connect, parse, request, talk
from support.ward import ACCEPT, Ward, modern_request

ESCAPES = ((r"\r", "\r"), (r"\n", "\n"), (r"\t", "\t"), (r"\f", "\f"))


def as_bytes(text: str) -> bytes:
    """The corpus' way of writing: a line break is CRLF, and the escapes stand for themselves."""
    text = text.replace("\n", "\r\n")
    for written, meant in ESCAPES:
        text = text.replace(written, meant)
    return text.encode("utf-8", "surrogateescape")


def with_host(data: bytes, port: int) -> bytes:
    line, end, rest = data.partition(b"\r\n")
    return line + end + f"Host: 127.0.0.1:{port}\r\n".encode() + rest


def to_mcp(data: bytes, ward: Ward) -> bytes:
    """The same request, but to the endpoint and with a key, so that it gets as far as it can."""
    line, end, rest = data.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) == 3:
        line = b" ".join((words[0], b"/mcp", words[2]))
    extra = f"Host: 127.0.0.1:{ward.port}\r\nAuthorization: Bearer {ward.key}\r\nAccept: {ACCEPT}\r\n".encode()
    return line + end + extra + rest


class Counted:
    """How many requests a plain llhttp finds in a byte stream before it stops."""

    def __init__(self, data: bytes) -> None:
        self.complete = 0
        self.failed = False
        try:
            httptools.HttpRequestParser(self).feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.failed = True

    def on_message_complete(self) -> None:
        self.complete += 1


def cases(corpora: Path, ward: Ward) -> Iterator[tuple[str, bytes]]:
    for case in json.loads((corpora / "http_requests.json").read_text()):
        data = as_bytes(case["http"])
        name = f"{case['file']}: {case['title']}"
        yield f"{name} (as it is)", data
        yield f"{name} (good host)", with_host(data, ward.port)
        yield f"{name} (to /mcp)", to_mcp(data, ward)


def faults_of(name: str, data: bytes, ward: Ward) -> tuple[list[str], Talk]:
    heard = talk(ward.port, data, bodyless=data.startswith(b"HEAD "))
    counted = Counted(data)
    faults = []
    if any(status >= 500 for status in heard.statuses):
        faults.append(f"{name}: {heard.statuses}")
    if counted.complete and not heard.answers:
        faults.append(f"{name}: no answer within a second")
    if len(heard.answers) > counted.complete + counted.failed + (not counted.complete):
        faults.append(f"{name}: {len(heard.answers)} answers to {counted.complete} requests")
    # A GET that reads well but has no session is refused with 400, too, and the connection lives on.
    unread = [answer.status == 400 and b'"session-missing"' not in answer.body for answer in heard.answers]
    if any(unread[:-1]) or (any(unread) and not heard.closed):
        faults.append(f"{name}: went on after a request that it could not read")
    if leak := leak_in(heard.received):
        faults.append(f"{name}: {leak}")
    if ward.call("echo", {"text": "after"}).status_code != 200:
        faults.append(f"{name}: no good call is answered after it")
    return faults, heard


def test_attack_43_no_request_of_the_llhttp_suite_breaks_hangs_leaks_or_draws_a_second_answer(
    ward: Ward, corpora: Path, record_property: Callable[[str, object], None]
):
    """Source: nodejs/llhttp tests (166 requests, three ways each)."""
    everything = list(cases(corpora, ward))
    assert len(everything) == 498
    with ThreadPoolExecutor(8) as pool:
        judged = list(pool.map(lambda case: faults_of(case[0], case[1], ward), everything))
    record_property("statuses", str(Counter(status for _, heard in judged for status in heard.statuses)))
    assert not [fault for faults, _ in judged for fault in faults]


def smuggled(port: int) -> bytes:
    """The request within: if it is ever answered, something was smuggled."""
    return request(port, "GET", "/healthz")


def framings(port: int) -> dict[str, bytes]:
    inner = smuggled(port)

    def outer(*lines: str, body: bytes) -> bytes:
        return request(port, "POST", "/healthz", [tuple(line.split(":", 1)) for line in lines], body, framed=False)  # type: ignore[misc]  # each line has a colon

    zero = b"0\r\n\r\n" + inner
    length = f"Content-Length: {len(zero)}"
    return {
        "CL.TE": outer(length, "Transfer-Encoding: chunked", body=zero),
        "TE.CL": outer("Transfer-Encoding: chunked", "Content-Length: 4", body=b"5c\r\n" + inner + b"\r\n0\r\n\r\n"),
        "TE.TE identity": outer(length, "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=zero),
        "TE.TE cow": outer(length, "Transfer-Encoding: chunked", "Transfer-Encoding: cow", body=zero),
        "TE list": outer("Transfer-Encoding: identity, chunked", body=zero),
        "TE last not chunked": outer("Transfer-Encoding: chunked, identity", body=zero),
        "TE xchunked": outer(length, "Transfer-Encoding: xchunked", body=zero),
        "TE quoted": outer(length, 'Transfer-Encoding: "chunked"', body=zero),
        "TE vertical tab": outer(length, "Transfer-Encoding: \x0bchunked", body=zero),
        "TE space before colon": outer(length, "Transfer-Encoding : chunked", body=zero),
        "TE folded": outer(length, "Transfer-Encoding:\r\n chunked", body=zero),
        "TE after bare CR": outer(length, "X: y\rTransfer-Encoding: chunked", body=zero),
        "TE after bare LF": outer(length, "X: y\nTransfer-Encoding: chunked", body=zero),
        "CL twice": outer("Content-Length: 0", length, body=zero),
        "CL twice the same": outer("Content-Length: 0", "Content-Length: 0", body=inner),
        "CL list": outer("Content-Length: 0, 0", body=inner),
        "CL plus": outer("Content-Length: +0", body=inner),
        "CL minus": outer("Content-Length: -1", body=inner),
        "CL hex": outer("Content-Length: 0x0", body=inner),
        "CL empty": outer("Content-Length:", body=inner),
        "CL space within": outer("Content-Length: 0 0", body=inner),
        "CL too large": outer("Content-Length: 18446744073709551616", body=inner),
        "CL in other digits": outer("Content-Length: \u00b2", body=inner),
        "CL after NUL": outer("X: \0", "Content-Length: 0", body=inner),
        "chunk size with sign": outer("Transfer-Encoding: chunked", body=b"+0\r\n\r\n" + inner),
        "chunk size 0x": outer("Transfer-Encoding: chunked", body=b"0x0\r\n\r\n" + inner),
        "chunk size underscore": outer("Transfer-Encoding: chunked", body=b"0_0\r\n\r\n" + inner),
        "chunk size overflow": outer("Transfer-Encoding: chunked", body=b"10000000000000000\r\n\r\n" + inner),
        "chunk with bare LF": outer("Transfer-Encoding: chunked", body=b"0\n\n" + inner),
        "chunk too long": outer("Transfer-Encoding: chunked", body=b"1\r\nab\r\n0\r\n\r\n" + inner),
        "chunk extension with LF": outer("Transfer-Encoding: chunked", body=b"0;a\nb\r\n\r\n" + inner),
        "trailer with length": outer("Transfer-Encoding: chunked", body=b"0\r\nContent-Length: 9\r\n\r\n" + inner),
        "name with space": outer("Content Length: 0", body=inner),
        "fold in front": request(port, "POST", "/healthz").replace(b"\r\nHost", b"\r\n Host") + inner,
        "obs-fold": outer("X: a\r\n b", "Content-Length: 0", body=inner),
        "bare LF lines": request(port, "POST", "/healthz").replace(b"\r\n", b"\n") + inner,
        "bare CR lines": request(port, "POST", "/healthz").replace(b"\r\n", b"\r") + inner,
        "HTTP/1.0 chunked": outer("Transfer-Encoding: chunked", body=zero).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        "HTTP/0.9": b"GET /healthz\r\n\r\n" + inner,
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
        "upgrade": request(port, "GET", "/healthz", [("Connection", "Upgrade"), ("Upgrade", "h2c")]) + inner,
        "CONNECT": request(port, "CONNECT", f"127.0.0.1:{port}") + inner,
        "NUL in target": request(port, "GET", "/healthz\0") + inner,
    }


@pytest.mark.parametrize("trick", sorted(framings(1)))
def test_attack_43_a_request_of_unclear_framing_gets_one_refusal_and_the_connection_ends(ward: Ward, trick: str):
    """Source: RFC 9112 §§2.2, 5.2, 6.3, 7.1, 11.2; HTTP Desync Attacks (Kettle, 2019, 2021, 2022)."""
    heard = talk(ward.port, framings(ward.port)[trick])
    assert len(heard.answers) == 1, heard.received
    assert 400 <= heard.statuses[0] < 500
    assert heard.closed
    assert leak_in(heard.received) is None


def test_attack_43_a_header_with_an_underscore_is_another_header(ward: Ward):
    """Source: nginx ``underscores_in_headers``, CWE-444: proxies that fold ``_`` into ``-`` read
    another framing than we do.
    """
    lines = [("Content-Length", "0"), ("Transfer_Encoding", "chunked")]
    heard = talk(ward.port, request(ward.port, "POST", "/healthz", lines, b"0\r\n\r\n", framed=False))
    assert heard.statuses == [405, 400]


def test_attack_43_pipelined_requests_are_answered_in_order_one_for_one(ward: Ward):
    """Source: RFC 9112 §9.3.2."""
    wanted = []
    sent = b""
    for at in range(40):
        body, headers = modern_request(
            "tools/call", {"name": "echo", "arguments": {"text": f"n{at}"}}, name="echo", id=at
        )
        headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
        sent += request(ward.port, "POST", "/mcp", list(headers.items()), json.dumps(body).encode())
        wanted.append(at)
    heard = talk(ward.port, sent, wait_s=5, quiet_s=0.5)
    assert [answer.json()["id"] for answer in heard.answers] == wanted
    assert all(f"n{at}" in answer.body.decode() for at, answer in enumerate(heard.answers))


def with_trailer(ward: Ward, trailer: str, *, without: str = "", **more: str) -> bytes:
    """A good call in chunks, but for one header field, with a trailer section."""
    body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}}, name="echo")
    headers |= {"content-type": "application/json", "accept": ACCEPT, "transfer-encoding": "chunked"}
    headers |= {"authorization": f"Bearer {ward.key}"} | {name.replace("_", "-"): said for name, said in more.items()}
    headers.pop(without, None)
    text = json.dumps(body).encode()
    chunks = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(text), text, trailer.format(key=ward.key).encode())
    return request(ward.port, "POST", "/mcp", list(headers.items()), framed=False) + chunks


@pytest.mark.parametrize(
    "trailer, without, status",
    [
        ("Authorization: Bearer {key}\r\n", "authorization", 401),
        ("X-API-Key: {key}\r\n", "authorization", 401),
        ("X-API-Key: {key}\r\n", "", 200),
        ("Mcp-Name: echo\r\n", "mcp-name", 400),
        ("Mcp-Name: other\r\nMcp-Name: another\r\n", "", 200),
        ("Host: evil.example\r\nOrigin: http://evil.example\r\n", "", 200),
        ("Content-Type: text/plain\r\n", "", 200),
        ("X-Any: thing\r\nX-Checksum: 1\r\n", "", 200),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", "", 200),
    ],
)
def test_attack_43_a_trailer_adds_nothing_to_the_headers_that_were_judged(
    ward: Ward, trailer: str, without: str, status: int
):
    """Source: RFC 9110 §6.5.1, RFC 9112 §7.1.2: trailer fields are dropped, not merged into the header section."""
    next_one = request(ward.port, "GET", "/healthz")
    heard = talk(ward.port, with_trailer(ward, trailer, without=without) + next_one)
    assert heard.statuses == [status, 200]


@pytest.mark.parametrize("trailer", ["Content-Length: 5", "Transfer-Encoding: gzip", "X : y", " folded", "no colon"])
def test_attack_43_a_trailer_that_could_move_the_end_of_the_body_ends_the_connection(ward: Ward, trailer: str):
    heard = talk(ward.port, with_trailer(ward, f"{trailer}\r\n") + request(ward.port, "GET", "/healthz"))
    assert heard.statuses == [400]
    assert heard.answers[0].json()["error"]["data"] == {"reason": "request-malformed"}
    assert heard.closed


@pytest.mark.parametrize("field", ["A: b\r\n", "A: " + "b" * 1000 + "\r\n", "A" * 30_000 + ": b\r\n"])
def test_attack_45_a_trailer_section_has_an_end(ward: Ward, field: str):
    heard = talk(ward.port, with_trailer(ward, field * (100_000 // len(field))))
    assert heard.statuses == [400]
    assert heard.closed


@pytest.mark.parametrize("framing", ["length", "chunks", "chunks with a trailer"])
@pytest.mark.parametrize("is_split", [False, True])
def test_a_request_that_asks_for_another_protocol_stays_what_it_is(ward: Ward, framing: str, is_split: bool):
    """RFC 9110 §7.8: the field may be ignored. Java's HTTP client asks for h2c wherever there is no TLS."""
    asks = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAEAAEAA"}
    if framing == "length":
        body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}}, name="echo")
        headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
        data = request(ward.port, "POST", "/mcp", list((headers | asks).items()), json.dumps(body).encode())
    else:
        data = with_trailer(ward, "X: y\r\n" if "trailer" in framing else "", **asks)
    data = data * 2 + request(ward.port, "GET", "/healthz")
    if not is_split:
        assert talk(ward.port, data).statuses == [200, 200, 200]
        return
    with connect(ward.port) as wire:
        received = b""
        for at in range(0, len(data), 7):
            wire.sendall(data[at : at + 7])
        while len(parse(received)[0]) < 3:
            received += wire.recv(65536)
    assert [answer.status for answer in parse(received)[0]] == [200, 200, 200]


def test_attack_43_requests_that_ask_for_another_protocol_may_come_in_any_number(ward: Ward):
    """Each one is read by a parser of its own: a packet full of them neither nests nor ends up in the log."""
    asks = [("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Content-Type", "application/json"), ("Accept", "*/*")]
    before = len(ward.log())
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", asks) * 1000 + request(ward.port, "GET", "/healthz"))
    assert heard.statuses == [401] * 1000 + [200]
    assert "Traceback" not in ward.log()[before:]


TAILS = {
    "not HTTP": b"X" * 200_000,
    "endless head": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 30_000,
    "one long header": b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000,
    "zeros": b"\0" * 1000,
    "good requests": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100,
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("refused", ["by its framing", "by its host", "by its size"])
def test_attack_43_what_follows_a_refused_request_draws_no_answer(ward: Ward, refused: str, tail: str):
    """The refusal ends the connection: bytes behind it, whatever they are, are no request."""
    first = {
        "by its framing": request(ward.port, "POST", "/mcp", [("Transfer-Encoding", "cow")], framed=False),
        "by its host": request(ward.port, "POST", "/mcp", host="evil.example", body=b"12345"),
        "by its size": request(ward.port, "POST", "/mcp", [("Content-Length", "99999999")], framed=False),
    }[refused]
    heard = talk(ward.port, first + TAILS[tail])
    assert len(heard.answers) == 1
    assert heard.statuses[0] in (400, 401, 421)
    assert parse(heard.received)[1] == b""
    assert heard.closed
