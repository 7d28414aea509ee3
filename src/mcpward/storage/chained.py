"""The rows of the record with their codes, and the sealed state over them: everything inside a transaction.

Several processes write the same record. Each reads the state in its own transaction, which shuts out the others. It
checks the state closely only if another process has changed it. After the commit the state is copied to the mark
outside of the database.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.ids import base62, request_id
from mcpward.storage.record_mark import RecordMark
from mcpward.storage.statements import Row, Statements
from mcpward.storage.tables import TRAFFIC
from mcpward.traffic.chain import (
    CHAINS,
    GAP,
    Macs,
    State,
    begin,
    extended,
    opened,
    resumed,
    sealed,
    shortened,
)
from mcpward.traffic.verification import VERIFIED, Report, Verification, first_wrong

_log: Final = logging.getLogger("mcpward.traffic")
_READ: Final = "SELECT (SELECT sealed FROM traffic_state WHERE id = 1), (SELECT MAX(seq) FROM traffic)"
_KEEP: Final = (
    "INSERT INTO traffic_state (id, sealed) VALUES (1, :sealed) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed"
)
_ROWS: Final = f"SELECT {', '.join(VERIFIED)} FROM traffic"  # noqa: S608  # our own names
_ADDED: Final = "SELECT MAX(seq) FROM traffic WHERE seq > :seq AND seq <= :far"
#: An attacker that adds a record with the largest number there is must not use up all of them.
_FAR: Final = 2**32
#: By chain, written out and not bound: only so does SQLite see that the index of refusals fits.
_OLDEST: Final = {
    chain: f"{_ROWS} WHERE chain = '{chain}' AND seq >= :since ORDER BY seq LIMIT :most" for chain in CHAINS
}
_REMOVE: Final = {
    chain: f"DELETE FROM traffic WHERE chain = '{chain}' AND seq >= :since AND seq <= :last"  # noqa: S608
    for chain in CHAINS
}
_NAME: Final = 22
_AT: Final = VERIFIED.index("at")
_GAP_COLUMNS: Final = ("id", "at", "phase", "detail")
#: Rows between two calls of ``progress``.
_STEP: Final = 5000
Progress = Callable[[int, int], None]


class RecordChange(Struct, frozen=True):
    """The outcome of a transaction on the record. ``told`` are the faults that it found and wrote down."""

    state: State
    blob: bytes
    told: tuple[str, ...] = ()
    removed: int = 0


class ChainedRecord:
    """The record for one process. ``mark`` is the file outside of the database; without one a removed end is not
    noticed.
    """

    def __init__(self, macs: Macs, mark: Path | None, clock: Clock) -> None:
        self._macs = macs
        self._mark = None if mark is None else RecordMark(mark, self._number_of)
        self._clock = clock
        self._known: RecordChange | None = None
        self._is_mark_failing = False

    def begin(self, statements: Statements) -> None:
        """Begin the chains of a database that has none yet; records that are there stay without codes."""
        ((old, seq),) = statements.run("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM traffic")
        blob = self._keep(statements, begin(self._macs, base62(_NAME), seq, old)).blob
        if self._marked() is None:  # else another record stood here: the first change will show it
            self._advance(blob)

    def append(self, statements: Statements, columns: tuple[str, ...], rows: list[Row]) -> RecordChange:
        """Add rows to their chains."""
        state, told = self._current(statements)
        state, columns, placed = extended(state, self._macs, columns, rows)
        statements.put(TRAFFIC, columns, placed)
        return self._keep(statements, state, told)

    def remove(self, statements: Statements, chain: str, most: int, before: float | None = None) -> RecordChange:
        """Remove at most ``most`` of the oldest records of a chain, only those from before ``before`` if it is given.

        An attacker that can change a row could have it removed as an old one. So changed rows are removed too, and the
        removal is put on record.
        """
        state, told = self._current(statements)
        since = state.ends[CHAINS.index(chain)].since
        rows = _until(before, statements.run(_OLDEST[chain], since=since, most=most))
        if rows:
            statements.run(_REMOVE[chain], since=since, last=rows[-1][0])
            covered = [row for row in rows if row[0] > state.uncovered]
            wrong = first_wrong(self._macs, chain, state, covered) if covered else None
            state = self._shortened(state, chain, rows[-1])
            if wrong is not None:
                what = f"expired records differed from what was written: record {wrong.seq}, {wrong.what}"
                state = self._tell(statements, state, what)
                told = (*told, what)
        if not rows and not told:
            return RecordChange(state, b"")
        return replace(self._keep(statements, state, told), removed=len(rows))

    def _shortened(self, state: State, chain: str, last: Row) -> State:
        """Return the state after the records up to ``last`` were removed from a chain."""
        seq, _, pos, mac = last[:4]
        ends = state.ends[CHAINS.index(chain)]
        if type(pos) is int and type(mac) is bytes and ends.first <= pos <= ends.last:
            return shortened(state, chain, pos + 1, mac, seq + 1)
        return shortened(state, chain, ends.first, ends.before, seq + 1)

    def verify(self, statements: Statements, mark: State | None, progress: Progress | None = None) -> Report:
        """Verify every record, on one state of the database. ``mark`` was read before that."""
        ((total,),) = statements.run("SELECT COUNT(*) FROM traffic")
        state = opened(self._macs, self._read(statements)[0])
        verification = Verification(self._macs, state, mark, has_mark=self._mark is not None)
        for row in statements.stream(f"{_ROWS} ORDER BY seq"):
            verification.add(row)
            if progress is not None and not verification.rows % _STEP:
                progress(verification.rows, total)
        return verification.report()

    def marked(self) -> State | None:
        """Return the newest state that was kept outside of the database."""
        return self._marked()

    def committed(self, change: RecordChange) -> None:
        """Take note that the change is in the database, and copy its state to the mark. Raises nothing."""
        if not change.blob:
            return
        self._known = change
        for what in change.told:
            _log.error("the record was changed, or has lost its end: run mcpward log verify (%s)", what)
        self._advance(change.blob)

    def _current(self, statements: Statements) -> tuple[State, tuple[str, ...]]:
        """Return the state to go on from. Faults of the state that is found are put on record, and returned."""
        blob, newest = self._read(statements)
        state, what = self._resumed(statements, blob)
        if newest is not None and newest > state.seq:
            # Foreign rows where ours would go must not stop the record.
            ((added,),) = statements.run(_ADDED, seq=state.seq, far=state.seq + _FAR)
            if added is not None:
                state = replace(state, seq=added)
                what = what or f"record {added} was added without the master key"
        if what is None:
            return state, ()
        return self._tell(statements, state, what), (what,)

    def _resumed(self, statements: Statements, blob: Any) -> tuple[State, str | None]:
        known = self._known
        if known is not None and blob == known.blob:
            return known.state, None
        found = opened(self._macs, blob)
        outside = self._newest_known()
        if outside is None and self._mark is None:
            outside = found
        state, what = resumed(found, outside)
        return self._anew(statements) if state is None else state, what

    def _tell(self, statements: Statements, state: State, what: str) -> State:
        """Put on record what is wrong with it."""
        told = (request_id(), self._clock.now(), GAP, what)
        state, columns, placed = extended(state, self._macs, _GAP_COLUMNS, [told])
        statements.put(TRAFFIC, columns, placed)
        return state

    def _anew(self, statements: Statements) -> State:
        """Begin again if neither signed state is left, after all rows of the table."""
        query = "SELECT COALESCE(MAX(pos), 0) FROM traffic WHERE chain = :chain"
        taken = [int(statements.run(query, chain=chain)[0][0]) for chain in CHAINS]
        ((seq,),) = statements.run("SELECT COALESCE(MAX(seq), 0) FROM traffic")
        return begin(self._macs, base62(_NAME), seq, taken=taken)

    def _newest_known(self) -> State | None:
        mine, marked = (self._known.state if self._known else None), self._marked()
        if mine is None or marked is None:
            return mine or marked
        return max(mine, marked, key=lambda state: state.number)

    def _keep(self, statements: Statements, state: State, told: tuple[str, ...] = ()) -> RecordChange:
        blob = sealed(self._macs, state)
        statements.run(_KEEP, sealed=blob)
        return RecordChange(state, blob, told)

    def _read(self, statements: Statements) -> tuple[Any, int | None]:
        """Return the sealed state, whatever stands there, and the largest ``seq``."""
        ((blob, newest),) = statements.run(_READ)
        return blob, newest

    def _marked(self) -> State | None:
        if self._mark is None:
            return None
        try:
            return opened(self._macs, self._mark.read())
        except OSError as error:
            _log.error("the mark of the record's end cannot be read (%s)", error.strerror)
            return None

    def _number_of(self, content: bytes) -> int | None:
        state = opened(self._macs, content)
        return None if state is None else state.number

    def _advance(self, blob: bytes) -> None:
        if self._mark is None:
            return
        try:
            self._mark.advance(blob)
        except (OSError, ValueError) as error:
            if not self._is_mark_failing:
                _log.error("the mark of the record's end cannot be written: a removed end may go unnoticed (%s)", error)
            self._is_mark_failing = True
        else:
            self._is_mark_failing = False


def _until(before: float | None, rows: list[Row]) -> list[Row]:
    """Return the rows up to the first that is not from before ``before``."""
    if before is None:
        return rows
    recent = (n for n, row in enumerate(rows) if not (isinstance(row[_AT], float) and row[_AT] < before))
    return rows[: next(recent, len(rows))]
