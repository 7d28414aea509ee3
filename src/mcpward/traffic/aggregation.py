"""Makes one row of repeated requests: the first of their kind are written whole, the others as a number and a span.

A stranger pays nothing for a refused request and next to nothing for a public call. A row for each would fill the disk
that all share (CWE-779, logging of excessive data). Whatever is not written whole is counted: by caller, server and
reason (of calls: outcome) for a minute, then written as one row.

Memory is bounded: so many callers have a count of their own in a minute; the others share one by server and reason.
"""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address, IPv6Network
from itertools import chain
from typing import Final

from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.core.ids import request_id
from mcpward.core.values import AuthMethod
from mcpward.traffic.record import Record, Result
from mcpward.traffic.share import CREDENTIAL
from mcpward.traffic.subject import Subject

WINDOW_S: Final = 60.0
#: Refusals of one caller for one reason at one server that are written whole in a window.
FIRST: Final = 5
#: Causes of one caller's refusals, each of which is written whole once in a window: "expired" must not be lost behind
#: five of "mistyped".
MOST_CAUSES: Final = 8
#: Counts that are kept apart in a window: of refusals with and without a credential, and of calls without one.
MAX_REFUSALS: Final = 1000
MAX_CALLS: Final = 200
#: Bytes that one address without a credential may write in whole rows of its calls in a window: some 200 plain calls.
ADDRESS_BYTES: Final = 64 * 1024
#: Whole rows of all strangers together: in so many windows they would fill up ``traffic.max_size`` (about three days
#: for calls, eleven for refusals). One burst has as many as sixteen windows.
_CALL_WINDOWS: Final = 4096
_REFUSAL_WINDOWS: Final = 16_384
_BURST_WINDOWS: Final = 16
_LEAST_BYTES: Final = 64 * 1024
#: The size of a row beside its arguments, with its entries in the indexes.
_ROW_BYTES: Final = 320
_MAX_ARGUMENTS: Final = 4096
_IPV6_BITS: Final = 128
_IPV6_BUCKET_BITS: Final = 64
_REFUSED_KEY: Final = "refused-key:"
_Who = str | int | None
_Kind = tuple[_Who, str, str]
"""Whose, at which server, and the reason or the outcome; None stands for all others."""


class _Count(Struct, eq=False):
    """The requests of one caller of one kind in this window; ``count`` is of those that are not written whole."""

    seen: int = 0
    whole_bytes: int = 0
    count: int = 0
    first_at: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    last: Record | None = None
    detail: str | None = None
    causes: tuple[str, ...] = ()

    def is_new(self, cause: str | None) -> bool:
        """Return whether a cause is another one than those before it, of which only so many are remembered."""
        if cause is None or len(self.causes) >= MOST_CAUSES or cause in self.causes:
            return False
        self.causes = (*self.causes, cause)
        return True

    def add(self, record: Record) -> None:
        """Count a record that is not written."""
        if not self.count or record.at < self.first_at:
            self.first_at = record.at
        self.detail = record.detail if not self.count or self.detail == record.detail else None
        self.count += 1
        self.bytes_in += record.bytes_in
        self.bytes_out += record.bytes_out
        self.last = record


class _Allowance:
    """Bytes that may be written in whole rows: so many a second, and a burst."""

    def __init__(self, clock: Clock, window_bytes: int) -> None:
        self._monotonic = clock.monotonic
        self._per_s = window_bytes / WINDOW_S
        self._most = float(_BURST_WINDOWS * window_bytes)
        self._left = self._most
        self._at = self._monotonic()

    def take(self, size: int) -> bool:
        """Take so many bytes; False, and none taken, if there are fewer."""
        now = self._monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < size:
            return False
        self._left -= size
        return True


class _Counts:
    """The counts of one kind of record. Each kind is bounded by itself, so none displaces another."""

    def __init__(self, most: int, allowance: _Allowance | None = None) -> None:
        self.of: dict[_Kind, _Count] = {}
        self._most = most
        self._allowance = allowance

    def takes_refusal(self, record: Record, has_room: bool) -> bool:
        """Return whether a refusal is to be written whole; otherwise it is counted."""
        kind, count = self._count(record, record.reason or "")
        is_new = count.is_new(record.detail)
        is_first = kind[0] is not None and (count.seen < FIRST or is_new)
        count.seen += 1
        if is_first and has_room and self._is_allowed(_ROW_BYTES):
            return True
        count.add(record)
        return False

    def takes_call(self, record: Record) -> bool:
        """Return whether a call of an address without a credential is to be written whole; otherwise it is counted."""
        kind, count = self._count(record, record.outcome.value)
        size = _ROW_BYTES + min(_MAX_ARGUMENTS, len(record.arguments or b""))
        if kind[0] is not None and count.whole_bytes + size <= ADDRESS_BYTES and self._is_allowed(size):
            count.whole_bytes += size
            return True
        count.add(record)
        return False

    def _is_allowed(self, size: int) -> bool:
        return self._allowance is None or self._allowance.take(size)

    def _count(self, record: Record, what: str) -> tuple[_Kind, _Count]:
        kind: _Kind = (_who(record), record.subject.server, what)
        count = self.of.get(kind)
        if count is None:
            if len(self.of) >= self._most:  # servers, reasons and outcomes are few: so are these
                kind = (None, record.subject.server, what)
            count = self.of.setdefault(kind, _Count())
        return kind, count


class Aggregation:
    """Decides what is written whole, and gives the rows of the rest. ``max_size`` bounds the record, in bytes."""

    def __init__(self, clock: Clock, max_size: int) -> None:
        self._monotonic = clock.monotonic
        refusals, calls = (max(_LEAST_BYTES, max_size // count) for count in (_REFUSAL_WINDOWS, _CALL_WINDOWS))
        self._allowances = (_Allowance(clock, refusals), _Allowance(clock, refusals), _Allowance(clock, calls))
        self._open()

    def takes_refusal(self, record: Record, *, has_room: bool) -> bool:
        """Return whether the row of a refusal is to be written; otherwise it is counted."""
        if not is_stranger(record):
            return self._known.takes_refusal(record, has_room)
        counts = self._credential if record.reason in CREDENTIAL else self._other
        return counts.takes_refusal(record, has_room)

    def takes_call(self, record: Record) -> bool:
        """Return whether the row of a call without a credential is to be written; otherwise it is counted."""
        return self._calls.takes_call(record)

    @property
    def is_due(self) -> bool:
        """Whether the window is over."""
        return self._monotonic() >= self._until

    def close(self) -> Iterator[Record]:
        """Open the next window; the iterator makes the rows of this one, each when it is asked for it."""
        over = [counts.of for counts in (self._known, self._credential, self._other, self._calls)]
        self._open()
        return (_row(kind, count) for kind, count in chain.from_iterable(of.items() for of in over) if count.count)

    def _open(self) -> None:
        self._until = self._monotonic() + WINDOW_S
        credential, other, calls = self._allowances
        self._known = _Counts(MAX_REFUSALS)
        self._credential, self._other = _Counts(MAX_REFUSALS, credential), _Counts(MAX_REFUSALS, other)
        self._calls = _Counts(MAX_CALLS, calls)


def is_stranger(record: Record) -> bool:
    """Return whether no caller with a credential stands behind the request."""
    principal = record.subject.principal
    return principal is None or principal.way is AuthMethod.ANONYMOUS


def _who(record: Record) -> str | int:
    """A caller with a credential; else a key that is refused; else an IPv4 address, or the /64 of an IPv6 one: a caller
    with one has 2⁶⁴.
    """
    principal, peer = record.subject.principal, record.peer or ""
    if principal is not None and principal.way is not AuthMethod.ANONYMOUS:
        return principal.key
    if record.subject.refused_key is not None:
        return f"{_REFUSED_KEY}{record.subject.refused_key}"
    if ":" not in peer:
        return peer
    try:
        return int(IPv6Address(peer)) >> _IPV6_BUCKET_BITS
    except AddressValueError:
        return peer


def _row(kind: _Kind, count: _Count) -> Record:
    """Make the row of a count. Values that differ between its requests are left out."""
    who, server, _ = kind
    last = count.last
    assert last is not None  # it has a count
    principal = last.subject.principal
    is_one = who is not None and principal is not None and principal.way is not AuthMethod.ANONYMOUS
    refused_key = last.subject.refused_key if isinstance(who, str) and who.startswith(_REFUSED_KEY) else None
    return Record(
        Subject(server, principal if is_one else None, refused_key=refused_key),
        last.outcome,
        0.0,
        None,
        None,
        None if last.outcome is not Result.REFUSED or last.limits is None else (last.limits[0], ()),
        count.detail,
        request_id(),
        count.first_at,
        None if who is None else _network(who) if isinstance(who, int) else last.peer,
        "done",
        last.reason,
        None,
        last.status,
        count.bytes_in,
        count.bytes_out,
        chain=last.chain,
        count=count.count,
        last_at=last.at,
    )


def _network(bucket: int) -> str:
    return str(IPv6Network((bucket << _IPV6_BUCKET_BITS, _IPV6_BITS - _IPV6_BUCKET_BITS)))
