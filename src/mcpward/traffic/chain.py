"""The record as two chains of message authentication codes: calls that were let in, and refusals.

The code of a record covers the record, its place, and the code of the one before it in its chain. The state says where
each chain begins and ends; it is sealed, changes with every batch, and its newest copy is kept outside of the database.
So a writer of the database without the master key cannot change, remove, add or move a record unnoticed. Nothing here
reads or writes anything.

A record is removed only from the oldest end of its chain. Positions of a chain have no holes, with one exception: the
database is older than the state outside of it (a power cut, a restored copy). Then the next record takes the position
after the lost ones, under a code that says what it follows. Such a gap can only be made here.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mcpward.traffic.record import CALLS, REFUSALS

Row = tuple[Any, ...]
Columns = tuple[str, ...]
Mac = Callable[[bytes], bytes]

#: The columns that a code covers, in its order. New ones are added at the end and are null in records from before, for
#: nulls at the end of a row are left out: a code stays right when the table gets another column.
COVERED: Final = (
    "server", "method", "tool", "era", "version", "way", "principal", "client", "key_id",
    "id", "at", "peer", "phase", "reason", "error_id", "status", "bytes_in", "bytes_out", "consent",
    "outcome", "duration_us", "arguments", "trace", "limit_name", "would_refuse", "detail",
    "count", "last_at",
)  # fmt: skip
#: Columns from here on are null in most records.
_RARE: Final = COVERED.index("trace")
_NO_RARE: Final = (None,) * (len(COVERED) - _RARE)
#: The columns of a record's place in its chain, beside the covered ones.
PLACE: Final = ("seq", "chain", "pos", "mac")
#: The two chains, in the order of :attr:`State.ends`.
CHAINS: Final = (CALLS, REFUSALS)
#: The phase of a record about records that are missing, or were changed.
GAP: Final = "gap"
#: The newest key stands for further ones: a state must fit into its mark.
_MOST_KEYS: Final = 64
#: Rows come with few sets of columns: those of calls, and of a gap.
_ARRANGEMENTS: Final = 16
_REFUSED: Final = "refused"


def _plain(value: object) -> str:
    """A text of a class of its own is stored as the text that it is."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"a record does not hold {type(value).__name__}")


_encode: Final = msgspec.msgpack.Encoder(enc_hook=_plain).encode


class Macs(Protocol):
    """Makes and checks codes. A port: this package has no keys, and imports nothing that has."""

    newest: str
    mac: Mac

    def under(self, key_id: str) -> Mac | None:
        """Return what makes codes with this key; None for a key that is not there."""
        ...

    def seal(self, data: bytes) -> bytes:
        """Return the data with the code of the newest key."""
        ...

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed, None for anything else."""
        ...


class Ends(Struct, frozen=True, array_like=True):
    """The beginning and end of a chain. Positions count from 1; ``last`` is one less than ``first`` if it is empty.

    ``before`` is the code that the oldest record follows, ``mac`` that of the newest. ``keys`` names the master keys
    that codes were made with, each with the first position of its own, oldest first. No record of the chain has a lower
    ``seq`` than ``since``.
    """

    first: int
    before: bytes
    last: int
    mac: bytes
    keys: tuple[tuple[str, int], ...] = ()
    since: int = 0

    def key_of(self, pos: int) -> str | None:
        """Return the id of the key that the code at this position was made with."""
        return next((key_id for key_id, since in reversed(self.keys) if since <= pos), None)

    def from_on(self, first: int, before: bytes, since: int) -> "Ends":
        """Return the ends after every record before ``first`` has been removed; ``before`` is the code of the last."""
        ended = sum(start <= first for _, start in self.keys[1:])
        return replace(self, first=first, before=before, keys=self.keys[ended:], since=since)


class State(Struct, frozen=True, array_like=True):
    """Both chains after a change. ``number`` counts changes, ``seq`` is that of the newest record.

    ``record`` is the random name of this record: that of another site begins otherwise. Records up to ``uncovered`` may
    be from before there were chains, and there are at most ``old`` of them.
    """

    record: str
    number: int
    seq: int
    uncovered: int
    old: int
    ends: tuple[Ends, Ends]


def begin(macs: Macs, record: str, seq: int = 0, old: int = 0, taken: Sequence[int] = (0, 0)) -> State:
    """Return the state of a record that begins, after ``old`` records without codes up to ``seq``.

    ``taken`` are the newest positions of chains that cannot be trusted any more: what follows has others.
    """

    def ends(chain: str, last: int) -> Ends:
        before = macs.mac(_encode((record, chain)))
        return Ends(last + 1, before, last, before)

    calls, refusals = map(ends, CHAINS, taken)
    return State(record, 0, seq, seq if old else 0, old, (calls, refusals))


def sealed(macs: Macs, state: State) -> bytes:
    """Return the state as it is kept."""
    return macs.seal(_encode(state))


def opened(macs: Macs, blob: object) -> State | None:
    """Return the state that was kept; None for what is not whole, or was sealed under a key that is not there."""
    data = macs.open(blob) if isinstance(blob, bytes) else None
    return None if data is None else msgspec.msgpack.decode(data, type=State)


def code(mac: Mac, chain: str, pos: int, seq: int, before: bytes, covered: Row) -> bytes:
    """Return the code of one record. ``covered`` are the values of :data:`COVERED`.

    MessagePack says of each value what it is and how long it is, and null is a value of its own: two records that
    differ never give the same message.
    """
    return mac(_encode((before, chain, pos, seq, _without_end(covered))))


def _without_end(covered: Row) -> Row:
    """Leave out the nulls at the end."""
    end = len(covered)
    while end and covered[end - 1] is None:
        end -= 1
    return covered if end == len(covered) else covered[:end]


def extended(state: State, macs: Macs, columns: Columns, rows: Sequence[Row]) -> tuple[State, Columns, list[Row]]:
    """Return the state with the rows added to their chains, and columns and rows with :data:`PLACE` at their end.

    A row that does not say which chain is its own belongs to the refusals if that is how it ended.
    """
    mac, seq = macs.mac, state.seq
    newest = {chain: (ends.last, ends.mac) for chain, ends in zip(CHAINS, state.ends, strict=True)}
    chains, covered = _chains(columns, rows), _covered(columns, rows)
    if "chain" not in columns:
        columns, rows = (*columns, "chain"), [(*row, chain) for row, chain in zip(rows, chains, strict=True)]
    placed = []
    for row, chain, values in zip(rows, chains, covered, strict=True):
        pos, before = newest[chain]
        pos += 1
        seq += 1
        made = mac(_encode((before, chain, pos, seq, values)))  # as code() does, without a call for each of a batch
        newest[chain] = (pos, made)
        placed.append((*row, seq, pos, made))
    calls, refusals = (
        _ended(ends, *newest[chain], macs.newest) for chain, ends in zip(CHAINS, state.ends, strict=True)
    )
    state = replace(state, number=state.number + 1, seq=seq, ends=(calls, refusals))
    return state, (*columns, "seq", "pos", "mac"), placed


def shortened(state: State, chain: str, first: int, before: bytes, since: int) -> State:
    """Return the state after all records of a chain before position ``first`` and ``since`` were removed."""
    calls, refusals = (
        ends.from_on(first, before, since) if which == chain else ends
        for which, ends in zip(CHAINS, state.ends, strict=True)
    )
    return replace(state, number=state.number + 1, ends=(calls, refusals))


def resumed(found: State | None, known: State | None) -> tuple[State | None, str | None]:
    """Return the state to go on from, and what is wrong, for people, if anything is.

    ``found`` is the state in the database, ``known`` the newest one outside of it; None is one that is missing or was
    changed. The positions of lost records are left out if the database is older. Without any state there is None.
    """
    if known is None:
        what = "the mark of the record's end was missing or changed: its newest records may have been removed"
        return found, what if found is not None else "both signed states of the record were changed: it starts again"
    if found is None:
        return known, "the signed state of the record in the database was changed or removed"
    number = max(found.number, known.number)
    if found.record != known.record:
        return replace(found, number=number), "another record was here before, and is gone"
    if found.number < known.number:
        lost = sum(max(0, new.last - old.last) for old, new in zip(found.ends, known.ends, strict=True))
        calls, refusals = (
            replace(old, last=max(old.last, new.last)) for old, new in zip(found.ends, known.ends, strict=True)
        )
        what = f"the database is older than the mark of its end: {lost} records are missing"
        return replace(found, number=number, seq=max(found.seq, known.seq), ends=(calls, refusals)), what
    if found.number == known.number and found != known:
        return found, "the database does not match the mark of its end: it is a copy with another history"
    return found, None


def _ended(ends: Ends, last: int, made: bytes, key_id: str) -> Ends:
    if last == ends.last:
        return ends
    keys = ends.keys
    if not keys or keys[-1][0] != key_id:
        keys = (*keys, (key_id, ends.last + 1))[-_MOST_KEYS:]
    return Ends(ends.first, ends.before, last, made, keys, ends.since)


def _covered(columns: Columns, rows: Sequence[Row]) -> list[Row]:
    """Return of each row the values that its code covers, without the nulls at the end.

    In most batches no row has a rare value: that is found at once, and nulls need not be arranged.
    """
    rare = _arranged(columns, COVERED[_RARE:])
    is_plain = [*map(rare, rows)].count(_NO_RARE) == len(rows)
    arranged = map(_arranged(columns, COVERED[:_RARE] if is_plain else COVERED), rows)
    return [values if values[-1] is not None else _without_end(values) for values in arranged]


@lru_cache(maxsize=_ARRANGEMENTS)
def _arranged(columns: Columns, wanted: Columns) -> Callable[[Row], Row]:
    """Return what takes several values of a row, null if its columns have none of that name."""
    if set(columns) >= set(wanted):
        arrange: Callable[[Row], Row] = itemgetter(*map(columns.index, wanted))
        return arrange
    places = [columns.index(name) if name in columns else None for name in wanted]
    return lambda row: tuple([None if place is None else row[place] for place in places])


def _chains(columns: Columns, rows: Sequence[Row]) -> Sequence[str]:
    """Return the chain of each row."""
    if "chain" in columns:
        given = columns.index("chain")
        return [row[given] for row in rows]
    if "outcome" not in columns:
        return [CALLS] * len(rows)
    outcome = columns.index("outcome")
    return [REFUSALS if row[outcome] == _REFUSED else CALLS for row in rows]
