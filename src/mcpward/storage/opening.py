"""Judges a database at the start: is it as a holder of the master key left it, and no older than its mark says?

A database without codes is taken over once, at the first start of a release that has them; afterwards the mark says
that it was, and one without codes is refused. The mark is written before (open) and after the commit: a process that is
killed in between leaves a site that starts.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.clock import Clock
from mcpward.core.errors import Misconfigured, Untrusted
from mcpward.core.ids import base62
from mcpward.storage.integrity import ACCEPT, Counter, Integrity, digest_of, read_counter
from mcpward.storage.journal import Journal
from mcpward.storage.mark import Marked, Standing
from mcpward.storage.register import Register
from mcpward.storage.tables import SITE

_SITE_ID: Final = 16
RENAMES: Final = "renames"
VAULTED: Final = "vault"
WAITING: Final = "approvals"
PINNED: Final = "pins"
#: Counters that came after the first release with codes: a mark of before does not know them.
_LATER: Final = frozenset({RENAMES, VAULTED, WAITING, PINNED})
Guarded = Register | Journal
Accept = Callable[["Older"], bool]
"""Asked whether an older or changed store is to be taken for good."""


class Older(Struct, frozen=True):
    """The state to accept: why, how far the mark and the store have come, and the rows by counter.

    ``foreign`` are the rows that were not written with the master key, by counter: they are dropped.
    """

    why: str
    marked_at: float | None
    standings: dict[str, tuple[int, int]]
    rows: dict[str, list[dict[str, Any]]]
    foreign: dict[str, int]


class Opening:
    """Looks at the guarded tables within the transaction that brings the schema up to date."""

    def __init__(self, integrity: Integrity, guarded: list[Guarded], clock: Clock) -> None:
        self._integrity = integrity
        self._guarded = guarded
        self._clock = clock
        self._is_accepted = False

    async def judge(self, connection: AsyncConnection, where: str, accept: Accept | None = None) -> "Marked":
        """Return the mark to write once the transaction is committed.

        Raises:
            Untrusted: the store was changed outside of mcpward, or is older than its mark, and is not accepted.
        """
        integrity = self._integrity
        integrity.where = where
        try:
            marked = integrity.mark.read()
            return await self._judge(connection, marked, where)
        except Untrusted as problem:
            if accept is None:
                raise
            return await self._accept(connection, problem, accept)

    def settle(self, marked: Marked) -> None:
        """Write the mark of what :meth:`judge` has found, which is committed now.

        Raises:
            Misconfigured: it cannot be written.
        """
        mark = self._integrity.mark
        if self._is_accepted:
            mark.write(marked)
        else:
            mark.advance(marked.site, marked.standings, marked.at)

    async def _judge(self, connection: AsyncConnection, marked: Marked | None, where: str) -> Marked:
        integrity = self._integrity
        site = (await connection.execute(select(SITE.c.id))).scalars().first()
        if site is None:
            if marked is not None and not marked.is_open:
                raise Untrusted("the store is empty or older than its mark", where, ACCEPT)
            if marked is None and integrity.is_place_chosen and await self._has_rows(connection):
                raise Untrusted(f"the mark of the store is missing at {integrity.mark.path}", where, ACCEPT)
            return await self._take_over(connection, marked)
        if marked is None:
            raise Untrusted(f"the mark of the store is missing at {integrity.mark.path}", where, ACCEPT)
        if marked.site != site:
            raise Untrusted("the store belongs to another site", where, ACCEPT)
        if marked.is_restored:
            raise Untrusted("the store was restored from a backup: revoked keys are live again", where, ACCEPT)
        integrity.site = site
        standings = {each.name: await self._look(connection, each, marked) for each in self._guarded}
        return Marked(site, self._clock.now(), standings)

    async def _look(self, connection: AsyncConnection, each: Guarded, marked: Marked) -> Standing:
        integrity = self._integrity
        counter = await read_counter(connection, each.name, lock=True)
        if _is_to_begin(each.name, marked) and not counter.mac:
            return await each.replace(connection, await each.rows(connection), counter.revision)
        known = marked.standings.get(each.name, Standing(0))
        if counter.revision < known.revision:
            raise integrity.older(each.name, counter.revision, known.revision)
        rows = await each.rows(connection)
        if isinstance(each, Journal):
            rows = [row for row in rows if row["revision"] > counter.floor]
            each.judge(counter, rows, 0)
            standing = Standing(counter.revision)
        else:
            standing = Standing(counter.revision, digest_of(bytes(row["mac"] or b"") for row in rows))
            if not integrity.is_counter(counter, standing.digest):
                raise integrity.forged(each.table.name)
            if not all(integrity.is_row(each.table, row) for row in rows):
                raise integrity.forged(each.table.name)
            if counter.revision == known.revision and known.digest not in ("", standing.digest):
                raise integrity.forged(each.table.name)
        if integrity.is_newest(counter.mac) and all(integrity.is_newest(bytes(row["mac"])) for row in rows):
            if isinstance(each, Journal):
                each.start_after(counter, rows)
            return standing
        return await each.replace(connection, rows, counter.revision + 1)  # the older root key may be retired now

    async def _take_over(self, connection: AsyncConnection, marked: Marked | None) -> Marked:
        """Return everything its code: a new database, or one of a release that had none."""
        integrity = self._integrity
        integrity.site = base62(_SITE_ID) if marked is None else marked.site
        if marked is None:
            integrity.mark.write(Marked(integrity.site, self._clock.now(), {}, is_open=True))
        await connection.execute(insert(SITE).values(id=integrity.site))
        standings = {}
        for each in self._guarded:
            counter = await read_counter(connection, each.name, lock=True)
            standings[each.name] = await each.replace(connection, await each.rows(connection), counter.revision)
        return Marked(integrity.site, self._clock.now(), standings)

    async def _accept(self, connection: AsyncConnection, problem: Untrusted, accept: Accept) -> Marked:
        """Take rows of any time that a holder of the master key wrote, if the operator says so.

        Rows without a code are taken only if no mark says that there were codes before: a writer of the database can
        change both the site's row and the number of the schema.
        """
        integrity = self._integrity
        marked, is_coded = None, True  # a mark that cannot be read is a sign of codes, too
        with suppress(Misconfigured):
            marked = integrity.mark.read()
            is_coded = marked is not None and not marked.is_open
        found = (await connection.execute(select(SITE.c.id))).scalars().first()
        integrity.site = found or (base62(_SITE_ID) if marked is None else marked.site)
        older = await self._older(connection, problem, marked, is_coded=is_coded or found is not None)
        if not accept(older):
            raise problem
        self._is_accepted = True
        if marked is not None:
            integrity.site = marked.site
        await connection.execute(delete(SITE))
        await connection.execute(insert(SITE).values(id=integrity.site))
        standings = {
            each.name: await each.replace(connection, older.rows[each.name], max(older.standings[each.name]) + 1)
            for each in self._guarded
        }
        return Marked(integrity.site, self._clock.now(), standings)

    async def _older(
        self, connection: AsyncConnection, problem: Untrusted, marked: Marked | None, *, is_coded: bool
    ) -> Older:
        standings, kept, foreign = {}, {}, {}
        for each in self._guarded:
            counter: Counter = await read_counter(connection, each.name, lock=True)
            known = Standing(0) if marked is None else marked.standings.get(each.name, Standing(0))
            standings[each.name] = (counter.revision, known.revision)
            rows = await each.rows(connection)
            takes_all = not is_coded or (_is_to_begin(each.name, marked) and not counter.mac)
            ours = [row for row in rows if takes_all or self._integrity.is_row(each.table, row)]
            kept[each.name], foreign[each.name] = ours, len(rows) - len(ours)
        return Older(str(problem), None if marked is None else marked.at, standings, kept, foreign)

    async def _has_rows(self, connection: AsyncConnection) -> bool:
        return any([await each.rows(connection) for each in self._guarded])


def _is_to_begin(name: str, marked: Marked | None) -> bool:
    """Whether the rows of a counter get their first codes now: the mark knows of others, and not of this one yet."""
    return name in _LATER and marked is not None and name not in marked.standings
