"""Verifies a record that is handed over row by row, oldest first: what was changed, removed or added, and where first.

A fold over the rows: it holds the newest code of each chain and nothing else, however many rows come.
"""

from collections.abc import Iterable
from hmac import compare_digest
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.traffic.chain import CHAINS, COVERED, GAP, PLACE, Ends, Mac, Macs, Row, State, code

#: The values of a row that is handed over, in this order.
VERIFIED: Final = (*PLACE, *COVERED)
_AT: Final = COVERED.index("at")
_ID: Final = COVERED.index("id")
_PHASE: Final = COVERED.index("phase")
_DETAIL: Final = COVERED.index("detail")
_MOST_GAPS: Final = 100


class Finding(Struct, frozen=True, kw_only=True):
    """The first fault of its chain. ``seq``, ``at`` and ``id`` are those of the record where it shows.

    ``kind``: ``changed``, ``removed`` (``count`` records before this one, or the newest), ``added``,
    ``state`` or ``mark`` (what is signed in the database, or outside of it).
    """

    kind: str
    what: str
    chain: str | None = None
    seq: int | None = None
    at: float | None = None
    id: str | None = None
    count: int | None = None


class Gap(Struct, frozen=True):
    """A record of mcpward's own about missing records."""

    seq: int
    at: float
    detail: str


class Verified(Struct, frozen=True, kw_only=True):
    """One chain: the number of unchanged records, and their time span.

    ``unverifiable`` more were written under master keys that the ring does not hold (``keys``). ``missing`` positions
    are left out by gaps that mcpward wrote down itself.
    """

    chain: str
    records: int
    since: float | None
    until: float | None
    unverifiable: int
    keys: tuple[str, ...]
    missing: int
    finding: Finding | None


class Report(Struct, frozen=True, kw_only=True):
    """The findings, the lowest ``seq`` first. ``uncovered`` records are from before there were codes."""

    chains: tuple[Verified, ...]
    uncovered: int
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]

    @property
    def records(self) -> int:
        """The number of unchanged records."""
        return sum(chain.records for chain in self.chains)

    @property
    def missing(self) -> int:
        """The number of missing records, as mcpward wrote down itself."""
        return sum(chain.missing for chain in self.chains)

    @property
    def lost_keys(self) -> tuple[str, ...]:
        """The ids of master keys without which some records cannot be verified."""
        return tuple(dict.fromkeys(key_id for chain in self.chains for key_id in chain.keys))


class Verification:
    """Takes the rows, by ascending ``seq``. ``mark`` is the state that was kept outside of the database.

    It must have been read before the rows. Without ``has_mark`` none is kept.
    """

    def __init__(self, macs: Macs, state: State | None, mark: State | None, *, has_mark: bool = True) -> None:
        self.rows = 0
        self._findings = _compared(state, mark, has_mark=has_mark)
        self._state = known = state or mark
        self._walks: dict[str, _Walk] = {}
        if known is not None:
            is_fit = mark is not None and mark.record == known.record and mark.number <= known.number
            witnessed = mark.ends if mark is not None and is_fit else (None, None)
            self._walks = {
                chain: _Walk(macs, chain, ends, known.seq, seen)
                for chain, ends, seen in zip(CHAINS, known.ends, witnessed, strict=True)
            }
        self._uncovered = 0
        self._gaps: list[Gap] = []
        self._is_outside = False

    def add(self, row: Row) -> None:
        """Look at the next row, whose values are those of :data:`VERIFIED`."""
        self.rows += 1
        seq, chain, pos, mac = row[:4]
        if pos is None and mac is None and self._is_old(seq):
            self._uncovered += 1
            return
        walk = self._walks.get(chain) if isinstance(chain, str) else None
        if walk is not None:
            covered = row[4:]
            if walk.follow(seq, pos, mac, covered) and covered[_PHASE] == GAP and len(self._gaps) < _MOST_GAPS:
                self._gaps.append(Gap(seq, covered[_AT], covered[_DETAIL] or ""))
        elif not self._is_outside and self._walks:
            self._is_outside = True
            self._findings.append(_finding("added", "it belongs to no chain", None, seq, row[4:]))

    def report(self) -> Report:
        """Return the findings, after the last row."""
        chains = tuple(walk.ended() for walk in self._walks.values())
        found = [*self._findings, *(chain.finding for chain in chains if chain.finding is not None)]
        found.sort(key=lambda finding: float("inf") if finding.seq is None else finding.seq)
        return Report(chains=chains, uncovered=self._uncovered, gaps=tuple(self._gaps), findings=tuple(found))

    def _is_old(self, seq: Any) -> bool:
        state = self._state
        return state is not None and seq <= state.uncovered and self._uncovered < state.old


def first_wrong(macs: Macs, chain: str, state: State, rows: Iterable[Row]) -> Finding | None:
    """Look at the oldest rows of a chain, and return what is wrong with the first that is not as it was written."""
    walk = _Walk(macs, chain, state.ends[CHAINS.index(chain)], state.seq, None)
    for row in rows:
        walk.follow(row[0], row[2], row[3], row[4:])
    return walk.finding


class _Walk:
    """One chain, followed from its oldest record to its newest. Ends at the first thing that is wrong."""

    def __init__(self, macs: Macs, chain: str, ends: Ends, newest: int, seen: Ends | None) -> None:
        self._macs = macs
        self._chain = chain
        self._ends = ends
        self._newest = newest
        self._seen = seen
        self._last, self._mac = ends.first - 1, ends.before
        self._seq: int | None = None
        self._records = self._unverifiable = self._missing = 0
        self._since: float | None = None
        self._until: float | None = None
        self._key: Mac | None = None
        self._key_ends = 0
        self._lost: dict[str, None] = {}
        self.finding: Finding | None = None

    def follow(self, seq: int, pos: Any, mac: Any, covered: Row) -> bool:
        """Look at the next record of the chain; say whether its code is right."""
        if self.finding is not None:
            return False
        wrong = self._wrong(seq, pos, mac, covered)
        if wrong is not None:
            kind, what, count = wrong
            self.finding = replace(_finding(kind, what, self._chain, seq, covered), count=count)
            return False
        is_verified = self._key is not None
        self._missing += pos - self._last - 1
        self._last, self._mac, self._seq = pos, mac, seq
        if not is_verified:
            self._unverifiable += 1
            return False
        self._records += 1
        self._until = covered[_AT]
        if self._since is None:
            self._since = self._until
        return True

    def ended(self) -> Verified:
        """Return the findings, after the last record."""
        ends = self._ends
        if self.finding is None and self._mac != ends.mac:
            count = ends.last - self._last
            what = f"the newest {count} are gone" if count > 0 else "the chain does not end as it was signed"
            kind = "removed" if count > 0 else "changed"
            self.finding = Finding(
                kind=kind, what=what, chain=self._chain, seq=self._seq, at=self._until, count=count or None
            )
        elif self.finding is None:
            self._missing += ends.last - self._last
        return Verified(
            chain=self._chain,
            records=self._records,
            since=self._since,
            until=self._until,
            unverifiable=self._unverifiable,
            keys=tuple(self._lost),
            missing=self._missing,
            finding=self.finding,
        )

    def _wrong(self, seq: int, pos: Any, mac: Any, covered: Row) -> tuple[str, str, int | None] | None:
        """Return what is wrong with this record, as kind, words and number of records; None if nothing is."""
        if seq > self._newest:
            return "added", "it is behind the newest record", None
        if type(pos) is not int or type(mac) is not bytes:
            return "changed", "it has no position in its chain", None
        expected = self._last + 1
        if not self._ends.first <= pos <= self._ends.last:
            return "added", "it is outside the signed ends of its chain", None
        self._take_key(pos)
        # A code whose key is not there cannot be checked: the next one that can be covers it.
        is_right = pos == expected if self._key is None else self._is_right(self._key, seq, pos, mac, covered)
        if is_right and (self._seen is None or pos != self._seen.last or mac == self._seen.mac):
            return None
        if pos > expected:
            return "removed", f"{pos - expected} before this one are gone", pos - expected
        if pos < expected:
            return "added", "its position in the chain belongs to another record", None
        return "changed", "it differs from what was written, or stands at another position", None

    def _is_right(self, key: Mac, seq: int, pos: int, mac: bytes, covered: Row) -> bool:
        try:
            return compare_digest(code(key, self._chain, pos, seq, self._mac, covered), mac)
        except (TypeError, ValueError, OverflowError):  # a text that is none, a number that is too large
            return False

    def _take_key(self, pos: int) -> None:
        """Take the key that codes from this position on were made with."""
        if pos < self._key_ends:
            return
        keys = self._ends.keys
        self._key_ends = next((since for _, since in keys if since > pos), self._ends.last + 1)
        key_id = self._ends.key_of(pos)
        self._key = None if key_id is None else self._macs.under(key_id)
        if self._key is None:
            self._lost[key_id or "unknown"] = None


def _finding(kind: str, what: str, chain: str | None, seq: int, covered: Row) -> Finding:
    at, name = covered[_AT], covered[_ID]
    return Finding(
        kind=kind,
        what=what,
        chain=chain,
        seq=seq,
        at=at if isinstance(at, float) else None,
        id=name if isinstance(name, str) else None,
    )


def _compared(state: State | None, mark: State | None, *, has_mark: bool) -> list[Finding]:
    """Compare what the database says of itself with what was kept outside of it."""
    findings = []
    if state is None:
        what = "the signed state in the database is missing, was changed, or was signed under another master key"
        findings.append(Finding(kind="state", what=what))
    if not has_mark:
        return findings
    if mark is None:
        what = "the mark outside the database is missing or was changed: newer records may have been removed"
        findings.append(Finding(kind="mark", what=what))
    elif state is None:
        return findings
    elif mark.record != state.record:
        findings.append(Finding(kind="mark", what="the mark outside the database belongs to another record"))
    elif mark.number > state.number:
        count = sum(max(0, new.last - old.last) for old, new in zip(state.ends, mark.ends, strict=True))
        what = f"the database is older than the mark outside it: the newest {count} are gone"
        findings.append(Finding(kind="removed", what=what, count=count))
    elif mark.number == state.number and mark != state:
        findings.append(Finding(kind="state", what="the database does not match the mark outside it"))
    return findings
