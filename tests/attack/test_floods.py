"""Too much of one thing: headers, chunks, bodies, compression. Refused before it costs, and said in one answer.

Sources: RFC 6585 §5, CVE-2023-39326 (chunk extensions), CVE-2024-27316 (header floods), CWE-409 (compression bombs).
"""

import gzip
import json
import time
from functools import partial
from pathlib import Path

import pytest

from support.leak import leak_in
from support.raw import connect, listen, request, talk
from support.stops import worker_of
from support.ward import ACCEPT, Ward, modern_request
from support.wire import until

JSON = [("Content-Type", "application/json"), ("Accept", ACCEPT)]


def chunked(ward: Ward) -> bytes:
    headers = [*JSON, ("Authorization", f"Bearer {ward.key}"), ("Transfer-Encoding", "chunked")]
    return request(ward.port, "POST", "/mcp", headers, framed=False)


def memory_kib(ward: Ward) -> int:
    """Resident memory of the serving process."""
    assert ward.process is not None
    status = Path(f"/proc/{worker_of(ward)}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize(
    "headers,status",
    [
        ([(f"x-{n}", "y") for n in range(99)], 200),  # with Host: 100
        ([(f"x-{n}", "y") for n in range(100)], 431),
        ([("x", "y")] * 5000, 431),
        ([("x", "y" * 30_000)], 200),
        ([("x", "y" * 33_000)], 431),
        ([("x" * 33_000, "y")], 431),
        ([("x", "y" * 5_000_000)], 431),
        ([(f"x-{n}", "y" * 1000) for n in range(40)], 431),
    ],
    ids=["100", "101", "5000", "30 KB", "33 KB", "33 KB name", "5 MB", "40 x 1 KB"],
)
@pytest.mark.parametrize("cut", ["whole", "in pieces"])
def test_attack_44_more_than_100_headers_or_32_kib_of_them_are_refused(ward: Ward, headers, status, cut):
    """However the bytes are cut: a bound that depends on the network's packets is none."""
    data = request(ward.port, "GET", "/healthz", headers)
    size = len(data) if cut == "whole" else max(1000, len(data) // 50)
    heard = talk(ward.port, *(data[at : at + size] for at in range(0, len(data), size)), pause_s=0.002)
    assert heard.statuses == [status]
    assert heard.closed is (status == 431)
    assert leak_in(heard.received) is None


def test_attack_44_a_target_of_40_kib_is_refused(ward: Ward):
    assert talk(ward.port, request(ward.port, "GET", "/healthz?" + "a" * 40_000)).statuses == [431]


def test_attack_44_a_head_without_end_is_cut_and_not_kept(ward: Ward):
    """Data that arrive while the answer is sent are read and dropped, for the two seconds of a lingering close."""
    before = memory_kib(ward)
    started = time.monotonic()
    with connect(ward.port) as wire:
        wire.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\n".encode())
        try:
            while time.monotonic() - started < 6:
                wire.sendall(b"X: %b\r\n" % (b"y" * 200))
        except OSError:
            pass
        assert time.monotonic() - started < 5
    assert memory_kib(ward) - before < 8 << 10


CHUNKS = {
    "a long extension": b"1;" + b"e" * 2_000_000 + b"\r\na\r\n0\r\n\r\n",
    "an extension per chunk": b"".join(b"1;" + b"e" * 1000 + b"\r\n \r\n" for _ in range(2000)) + b"0\r\n\r\n",
    "chunks of one byte": b"1\r\n \r\n" * 1_000_000 + b"0\r\n\r\n",
    "zeros before the size": b"0" * 2_000_000 + b"1\r\na\r\n0\r\n\r\n",
    "trailers": b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("flood", CHUNKS)
def test_attack_45_framing_that_outweighs_the_body_is_cut(ward: Ward, flood: str):
    """Source: CVE-2023-39326: a server reads far more than the body that it hands on."""
    started = time.monotonic()
    heard = talk(ward.port, chunked(ward), CHUNKS[flood], wait_s=3)
    assert heard.statuses in ([400], [])
    assert heard.closed
    assert time.monotonic() - started < 2


def test_attack_45_an_ordinary_chunked_body_is_read(ward: Ward):
    body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": "chunked"}}, name="echo")
    text = json.dumps(body).encode()
    lines = [*JSON, *headers.items(), ("Authorization", f"Bearer {ward.key}"), ("Transfer-Encoding", "chunked")]
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (text[:10], text[10:]))
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", lines, framed=False) + parts + b"0\r\n\r\n")
    assert heard.statuses == [200]
    assert b"chunked" in heard.answers[0].body


def test_attack_49_a_body_over_the_limit_is_refused_before_it_is_sent(ward: Ward):
    """4 MiB is the limit; a Content-Length over it is answered at once, with nothing read."""
    headers = [*JSON, ("Authorization", f"Bearer {ward.key}"), ("Content-Length", str(10_000_001))]
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", headers, framed=False))
    assert heard.statuses == [413]
    assert heard.closed


def test_attack_49_a_chunked_body_over_the_limit_is_refused_on_the_way(ward: Ward):
    before = memory_kib(ward)
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with connect(ward.port) as wire:
        wire.sendall(chunked(ward))
        try:
            for _ in range(1600):  # 100 MiB
                wire.sendall(piece)
        except OSError:
            pass
        heard = listen(wire, wait_s=2)
    assert heard.statuses in ([413], [])
    assert heard.closed
    assert memory_kib(ward) - before < 24 << 10


def test_attack_49_a_body_of_just_the_limit_is_read(ward: Ward):
    heard = talk(
        ward.port,
        request(ward.port, "POST", "/mcp", [*JSON, ("Authorization", f"Bearer {ward.key}")], b" " * (4 << 20)),
        wait_s=5,
    )
    assert heard.statuses == [400]
    assert heard.answers[0].json()["error"]["code"] == -32700


@pytest.mark.parametrize(
    "coding", ["gzip", "deflate", "br", "zstd", "x-gzip", "GZIP", "identity, gzip", "gzip, identity"]
)
def test_attack_49_a_compressed_body_is_refused_and_never_unpacked(ward: Ward, coding: str):
    """Source: CWE-409. The bomb here unpacks to 100 MB."""
    before = memory_kib(ward)
    bomb = gzip.compress(b" " * 100_000_000, 1)
    headers = [*JSON, ("Authorization", f"Bearer {ward.key}"), ("Content-Encoding", coding)]
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", headers, bomb), wait_s=3)
    assert heard.statuses == [415]
    assert memory_kib(ward) - before < 8 << 10


def test_attack_49_compression_named_elsewhere_is_refused_too(ward: Ward):
    headers = [*JSON, ("Transfer-Encoding", "gzip, chunked")]
    assert talk(ward.port, request(ward.port, "POST", "/mcp", headers, framed=False)).statuses == [400]
    headers = [*JSON, ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    assert talk(ward.port, request(ward.port, "POST", "/mcp", headers, b"{}")).statuses == [400]


def test_attack_46_what_callers_sent_who_have_left_is_not_kept(salon):
    """One after the other, so that no bound on what is held at once is met, and less than a caller may send in all."""
    ward = salon.ward
    body, headers = modern_request(
        "tools/call", {"name": "work", "arguments": {"name": "left", "seconds": 30}}, name="work"
    )
    content = json.dumps(body, separators=(",", ":")).encode() + b" " * 3_500_000
    fields = [*JSON, ("Authorization", f"Bearer {salon.mallory}"), *headers.items()]
    data = request(ward.port, "POST", "/talk/mcp", fields, content)
    notes = ward.folder / "notes.txt"

    def noted(what: str) -> int:
        return notes.read_text().count(f"{what} left") if notes.exists() else 0

    def leave(count: int) -> None:
        for number in range(noted("began") + 1, noted("began") + 1 + count):
            with connect(ward.port) as caller:
                caller.sendall(data)
                until(partial(lambda wanted: noted("began") >= wanted, number), pause_s=0.005)
            until(partial(lambda wanted: noted("cancelled") >= wanted, number), pause_s=0.005)

    leave(4)
    before = memory_kib(ward)
    leave(13)
    assert memory_kib(ward) - before < 14 * 1024  # of 44 MiB
