"""The bytes of a call, made once up to the arguments, and the least that must be read of an answer."""

import json
from collections.abc import Iterator, Sequence
from itertools import count, cycle, repeat

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
FIRST = 1_000_000_000
_KEY = "{key}"
_MARK = 7_000_000_000  # ten digits, as every number that takes its place
_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}


def requests(port: int, key: str | Sequence[str] | None, version: str = MODERN) -> Iterator[bytes]:
    """Return HTTP requests without end, each calling ``add`` with other arguments; several keys take turns.

    For the legacy version, without a session: what a stateless server of that time takes.
    """
    arguments = {"a": _MARK, "b": 2, "text": f"order {_MARK} of customer 17", "flag": True}
    params = {"name": "add", "arguments": arguments, **({"_meta": _META} if version == MODERN else {})}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, separators=(",", ":"))
    head = [
        "POST /mcp HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: bench",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"MCP-Protocol-Version: {version}",
        "Mcp-Method: tools/call",
        "Mcp-Name: add",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {key if isinstance(key, str) else _KEY}"] if key else []),
    ]
    whole = "\r\n".join([*head, "", body])
    first, second, third = whole.encode().split(str(_MARK).encode())
    before, of_key, after = first.partition(_KEY.encode())
    firsts = cycle([before + one.encode() + after for one in key or ()]) if of_key else repeat(first)
    for number, first in zip(count(FIRST), firsts, strict=False):
        digits = b"%d" % number
        yield first + digits + second + digits + third


def sum_of(number: int) -> bytes:
    """What must stand in the answer to the call with ``number``."""
    return b"%d + 2 = %d" % (number, number + 2)


def answer_end(data: bytes) -> int:
    """Return where the first whole HTTP answer in ``data`` ends, or 0 while it is not whole."""
    blank = data.find(b"\r\n\r\n")
    if blank < 0:
        return 0
    head = data[:blank].lower()
    at = head.find(b"content-length: ")
    if at >= 0:
        line_end = head.find(b"\r\n", at)
        end = blank + 4 + int(head[at + 16 : line_end if line_end >= 0 else blank])
        return end if len(data) >= end else 0
    end = data.find(b"\r\n0\r\n\r\n", blank + 2)  # chunked, as event streams are
    return end + 7 if end >= 0 else 0


def is_good(answer: bytes) -> bool:
    """Return whether the call has its result: not refused, no error of the tool or of the protocol."""
    return answer.startswith(b"HTTP/1.1 200") and b'"isError":true' not in answer and b'"error":{' not in answer
