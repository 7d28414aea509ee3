"""HTTP/1.1 as bytes: for requests that no client library would send, and answers read without its help."""

import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n")


class NotHttp(AssertionError):
    """The received bytes are no sequence of HTTP/1.1 responses."""


@dataclass(frozen=True)
class Answer:
    """One final response. ``headers`` are lower-case; a repeated one keeps its last value."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Talk:
    """The responses on one connection: the answers in order, whether it was closed by the server, and how long all
    took.
    """

    answers: list[Answer]
    closed: bool
    seconds: float
    first_s: float | None = None
    received: bytes = field(default=b"", repr=False)

    @property
    def statuses(self) -> list[int]:
        """Return the statuses in order."""
        return [answer.status for answer in self.answers]


def request(
    port: int, verb: str = "GET", target: str = "/mcp", headers: Sequence[tuple[str, str]] = (), body: bytes = b"",
    *, host: str | None = None, framed: bool = True,
) -> bytes:  # fmt: skip
    """Return a request with a good Host line first; ``framed`` adds Content-Length where there is a body."""
    lines = [f"{verb} {target} HTTP/1.1", f"Host: {f'127.0.0.1:{port}' if host is None else host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if framed and (body or verb == "POST"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def parse(data: bytes, *, bodyless: bool = False) -> tuple[list[Answer], bytes]:
    """Return all complete final responses and what is left. Raises :class:`NotHttp` for anything else."""
    found: list[Answer] = []
    while data:
        line = _STATUS_LINE.match(data)
        if line is None:
            if b"HTTP/1.1 ".startswith(data[:9]) or b"\r\n" not in data:
                return found, data
            raise NotHttp(repr(data[:200]))
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return found, data
        status = int(line[1])
        fields = dict(_field(row) for row in head.split(b"\r\n")[1:])
        if status < 200:
            data = rest
            continue
        body, left = (b"", rest) if bodyless or status == 204 else _body(fields, rest)
        if left is None:
            return found, data
        found.append(Answer(status, fields, body, data[: len(data) - len(left)]))
        data = left
    return found, b""


def _field(row: bytes) -> tuple[str, str]:
    name, colon, value = row.partition(b":")
    if not colon or not re.fullmatch(rb"[a-z-]+", name):
        raise NotHttp(repr(row))
    return name.decode(), value.strip().decode("latin-1")


def _body(fields: Mapping[str, str], rest: bytes) -> tuple[bytes, bytes | None]:
    if fields.get("transfer-encoding") != "chunked":
        length = int(fields["content-length"])
        return (rest[:length], rest[length:]) if len(rest) >= length else (b"", None)
    body = b""
    while True:
        size, line_end, after = rest.partition(b"\r\n")
        if not line_end:
            return b"", None
        length = int(size, 16)
        if len(after) < length + 2:
            return b"", None
        body, rest = body + after[:length], after[length + 2 :]
        if length == 0:
            return body, rest


def connect(port: int, timeout_s: float = 5.0, *, source: str = "127.0.0.1") -> socket.socket:
    """Open a connection, from any address of the loopback network."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=(source, 0))


def talk(
    port: int, *pieces: bytes, wait_s: float = 1.0, quiet_s: float = 0.1, pause_s: float = 0.0, bodyless: bool = False
) -> Talk:
    """Send the pieces on one connection and listen: until it is closed, or answered and ``quiet_s`` silent, or
    ``wait_s`` have gone by.
    """
    started = time.monotonic()
    with connect(port) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for at, piece in enumerate(pieces):
                if at and pause_s:
                    time.sleep(pause_s)
                wire.sendall(piece)
        except OSError:
            pass  # refused before the end of it was sent
        return listen(wire, started, wait_s=wait_s, quiet_s=quiet_s, bodyless=bodyless)


def listen(
    wire: socket.socket, started: float | None = None, *, wait_s: float, quiet_s: float = 0.1, bodyless: bool = False
) -> Talk:
    """Listen on a connection; see :func:`talk`."""
    started = time.monotonic() if started is None else started
    received, closed = b"", False
    answers: list[Answer] = []
    first_s = None
    until = time.monotonic() + wait_s
    while (left := until - time.monotonic()) > 0:
        wire.settimeout(min(left, quiet_s) if answers else left)
        try:
            data = wire.recv(1 << 16)
        except TimeoutError:
            break
        except OSError:
            closed = True
            break
        if not data:
            closed = True
            break
        received += data
        answers, _ = parse(received, bodyless=bodyless)
        if answers and first_s is None:
            first_s = time.monotonic() - started
    return Talk(answers, closed, time.monotonic() - started, first_s, received)
