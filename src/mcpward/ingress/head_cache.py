"""Heads that came before on the same connection, byte for byte: each was read and judged then, and is not again.

A client sends the same head with each call, but for the digits of ``Content-Length``. A gate judges a head only by its
bytes, so equal bytes have the same verdict. A head that differs in one byte, comes in pieces, or has bytes before or
behind it goes through the parser (attacks 41-45: no second opinion on where a request ends).
"""

from typing import Final

from msgspec.structs import replace

from mcpward.core.values import HeadVerdict
from mcpward.ingress.gates import Head, Rules
from mcpward.ingress.routes import Place, Route

_NAME: Final = b"content-length"
_LENGTH: Final = b"\r\n" + _NAME + b":"
_END: Final = b"\r\n\r\n"
#: For all heads that are kept for one connection: room for one with the longest token, or a handful of usual ones.
_MOST_BYTES: Final = 20 * 1024
LONGEST: Final = 32 * 1024
#: A client has a head for each tool that it calls; with ever new ones there is nothing to remember.
_MOST: Final = 4
LESSONS: Final = 16
"""How many heads of a connection are remembered before one of them has been of use."""


class CachedHead:
    """One such head, with all that was found out about it; kept by its connection, and forgotten with it.

    It holds the caller's credential, as its connection's buffers do.
    """

    __slots__ = ("_after", "_before", "_most", "_size", "head", "route", "size")

    def __init__(self, before: bytes, after: bytes, most: int, head: Head, route: Route) -> None:
        self._before = before
        self._after = after
        self._size = len(before)
        self.size = len(before) + len(after)
        self._most = most
        self.head = head
        self.route = route

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body of ``data`` if it is this head and one whole body, and nothing else; None if it is not."""
        if not data.startswith(self._before) or len(data) > self._most:
            return None
        digits, after, body = data[self._size :].partition(self._after)
        # Only the shortest spelling: signs, blanks and leading zeros are for the parser to judge.
        return body if after and digits == b"%d" % len(body) else None


class KnownHeads:
    """The heads that are known of one connection, the newest first. ``lessons`` are left until one is of use."""

    __slots__ = ("known", "lessons")

    def __init__(self) -> None:
        self.known: tuple[CachedHead, ...] = ()
        self.lessons = LESSONS

    def learn(self, data: bytes, head: Head, route: Route, rules: Rules) -> None:
        """Keep the head of the one accepted request in ``data``: nothing is kept for a stranger."""
        self.lessons -= 1
        if any(known.body_of(data) is not None for known in self.known):
            return  # it came again before it was answered
        newest = remember(data, head, route, rules)
        if newest is not None:
            self.known = _kept(newest, self.known)


def _kept(newest: CachedHead, others: tuple[CachedHead, ...]) -> tuple[CachedHead, ...]:
    """Return the heads to keep, the newest first: so many, and no more bytes than a connection may hold."""
    chosen, size = [newest], newest.size
    for one in others[: _MOST - 1]:
        size += one.size
        if size > _MOST_BYTES:
            break
        chosen.append(one)
    return tuple(chosen)


def remember(data: bytes, head: Head, route: Route, rules: Rules) -> CachedHead | None:
    """Remember an accepted head; ``data`` is only that request, and whole. None if it may not be remembered.

    A head that the gates may judge otherwise next time is not remembered: a secret address may be withdrawn. Neither is
    one that asks for something of the connection.
    """
    fields = head.fields
    length = fields.get(_NAME)
    if (
        length is None
        or head.verb != b"POST"
        or route.place is not Place.MCP
        or route.secret is not None
        or b"expect" in fields
    ):
        return None
    ends_at = len(data) - int(length)
    if not 0 < ends_at <= _MOST_BYTES or data.find(_END) != ends_at - len(_END):
        return None
    named_at = data[:ends_at].lower().find(_LENGTH)
    starts_at = data.find(length, named_at + len(_LENGTH), ends_at)
    if named_at < 0 or data[named_at + len(_LENGTH) : starts_at].strip(b" \t"):
        return None
    known = replace(head, fields={name: said for name, said in fields.items() if name != _NAME}, visit=HeadVerdict())
    # With a length of more digits it must still be a head, and a body, that are not too large.
    most = min(LONGEST, rules.max_body, rules.max_head)
    return CachedHead(data[:starts_at], data[starts_at + len(length) : ends_at], most, known, route)
