"""Distinguishes our rows from foreign ones: a code for every row and every counter, under the site's id and its keys.

A row's code binds all of its values to its table and the site; values without authority (when a key was used last) are
left out. A counter's code binds the whole set of rows, so that an older row cannot replace its successor and none can
be taken away. The mark outside of the database binds the counters, so that the whole database cannot be replaced
either.
"""

import logging
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct, json
from sqlalchemy import Float, Row, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.clock import Clock
from mcpward.core.errors import Misconfigured, Untrusted
from mcpward.crypto.mac import RingMac
from mcpward.storage.mark import Mark, Standing
from mcpward.storage.tables import REVISIONS

_log: Final = logging.getLogger(__name__)
ACCEPT: Final = "list the keys that would be live again: mcpward store accept-older"
#: Written with every use of a key, and grants nothing.
_NO_AUTHORITY: Final = frozenset({"mac", "last_used_at"})


class Counter(Struct, frozen=True):
    """The counter of a table: how many changes there were, up to which its rows are forgotten, and its code."""

    name: str
    revision: int
    floor: int
    mac: bytes


class Integrity:
    """Makes and judges the codes of one site. ``site`` is known once the store has been looked at."""

    def __init__(self, mac: RingMac, mark: Mark, clock: Clock, *, is_place_chosen: bool = False) -> None:
        self._mac = mac
        self._clock = clock
        self.mark = mark
        self.is_place_chosen = is_place_chosen
        self.site = ""
        self.where = ""

    def row_mac(self, table: Table, row: Mapping[str, Any]) -> bytes:
        """Return the code of a row."""
        return self._mac.make(self._text(table, row))

    def is_row(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Return whether a holder of the master key wrote the row, as it is, into this table of this site."""
        code = row["mac"]
        return code is not None and self._mac.matches(self._text(table, row), bytes(code))

    def require_row(self, table: Table, row: Row[Any]) -> dict[str, Any]:
        """Return a row as it was written, without its code.

        Raises:
            Untrusted: it was not written by a holder of the master key.
        """
        values = dict(row._mapping)  # noqa: SLF001 - the documented way to a row's names, public in spite of its name
        if not self.is_row(table, values):
            raise self.forged(table.name)
        del values["mac"]
        return values

    def counter_mac(self, name: str, revision: int, floor: int, digest: str) -> bytes:
        """Return the code of a counter. ``digest`` is that of the codes of all rows under it, or ""."""
        return self._mac.make(self._counted(name, revision, floor, digest))

    def is_counter(self, counter: Counter, digest: str) -> bool:
        """Return whether a holder of the master key left the counter so, over just these rows."""
        text = self._counted(counter.name, counter.revision, counter.floor, digest)
        return self._mac.matches(text, counter.mac)

    def is_newest(self, code: bytes) -> bool:
        """Return whether a code was made with the newest key of the ring."""
        return self._mac.is_newest(code)

    def forged(self, what: str) -> Untrusted:
        """Return the exception for rows that were not left so by a holder of the master key."""
        return Untrusted(f"{what} were changed without the master key", self.where, ACCEPT)

    def older(self, name: str, found: int, known: int) -> Untrusted:
        """Return the exception for a counter that has gone back."""
        what = f"the store is an older copy: {name} at revision {found}, but was at {known} before"
        return Untrusted(what, self.where, ACCEPT)

    def require_newest(self, counter: Counter, digest: str) -> None:
        """Require that a counter, which no other process can change meanwhile, is as far as the mark says. Blocking.

        A mark that cannot be read says nothing: the start has required it, and :meth:`advance` logs what is wrong.

        Raises:
            Untrusted: older rows were put back together with their counter while processes run.
        """
        try:
            marked = self.mark.read()
        except Misconfigured:
            return
        known = None if marked is None or marked.site != self.site else marked.standings.get(counter.name)
        if known is None:
            return
        if counter.revision < known.revision:
            raise self.older(counter.name, counter.revision, known.revision)
        if counter.revision == known.revision and known.digest not in ("", digest):
            raise self.forged(counter.name)

    def advance(self, standings: Mapping[str, Standing]) -> None:
        """Set the mark forward. The change that it follows is committed: a failure is logged, and the next change
        corrects it.
        """
        try:
            self.mark.advance(self.site, standings, self._clock.now())
        except Misconfigured as problem:
            _log.error("%s: %s: the change itself is in force", self.mark.path, problem)

    def _text(self, table: Table, row: Mapping[str, Any]) -> bytes:
        """One spelling for a row, whatever the driver gave. NULL is left out: later releases add columns."""
        values = {
            name: float(row[name]) if is_float else row[name]
            for name, is_float in _columns(table)
            if row.get(name) is not None
        }
        return json.encode([self.site, str(table.name), values])

    def _counted(self, name: str, revision: int, floor: int, digest: str) -> bytes:
        return json.encode([self.site, "counter", name, revision, floor, digest])


@cache
def _columns(table: Table) -> tuple[tuple[str, bool], ...]:
    """Return the columns that a row's code binds, and whether each is a number with a fraction."""
    return tuple(
        (str(column.name), isinstance(column.type, Float))
        for column in table.columns
        if column.name not in _NO_AUTHORITY
    )


def digest_of(codes: Iterable[bytes]) -> str:
    """Return one digest of the codes of a set of rows, whatever their order."""
    return sha256(b"".join(sorted(codes))).hexdigest()


async def read_counter(connection: AsyncConnection, name: str, *, lock: bool = False) -> Counter:
    """Return the counter of ``name``. With ``lock``, no other process changes it until the transaction ends."""
    statement = select(REVISIONS).where(REVISIONS.c.name == name)
    if lock:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one()
    return Counter(row.name, row.value, row.floor, bytes(row.mac or b""))
