"""An answer as bytes: all of its fields, in their order, whichever of the two ways writes it."""

import pytest

from mcpward.core.values import Reply
from mcpward.ingress.render import response

DATE = b"date: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
LIMITS = ((b"ratelimit-policy", b'"read";q=120;w=60'), (b"ratelimit", b'"read";r=118;t=1'))
SESSION = ((b"mcp-session-id", b"sealed"),)


def lines(data: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


@pytest.mark.parametrize("status", [200, 403, 429])
@pytest.mark.parametrize("more", [(), SESSION, ((b"retry-after", b"3"),)], ids=["plain", "session", "wait"])
def test_the_fields_of_limits_and_all_others_are_written_alike(status, more):
    rated = lines(response(Reply(status, (*LIMITS, *more), b"{}"), date=DATE, close=False))
    last = lines(response(Reply(status, (*LIMITS, *more), b"{}"), date=DATE, close=True))

    assert rated[0] == [line for line in last[0] if line != b"connection: close"] == [*last[0][:-2], last[0][-1]]
    assert rated[1] == last[1] == b"{}"
    assert {b"%b: %b" % field for field in (*LIMITS, *more)} <= set(rated[0])
    assert {b"cache-control: no-store", b"x-content-type-options: nosniff", b"content-length: 2"} <= set(rated[0])


def test_an_end_of_the_connection_is_told_and_a_head_alone_has_no_body():
    told, _ = lines(response(Reply(200, LIMITS, b"{}"), date=DATE, close=True))
    bare = lines(response(Reply(200, LIMITS, b"{}"), date=DATE, close=False, bodyless=True))

    assert b"connection: close" in told
    assert b"content-length: 2" in bare[0]
    assert bare[1] == b""


def test_no_body_has_no_type():
    head, _ = lines(response(Reply(202, LIMITS), date=DATE, close=False))

    assert not [line for line in head if line.startswith(b"content-type")]
    assert b"content-length: 0" in head
