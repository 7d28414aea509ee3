"""Rows that are changed in place under one counter: keys, secret URLs, secrets; and what authenticates all of them.

A process that changes a row has checked that the set is still the one that was left. So the next change never
legitimises a forgery. That costs a look at the codes of all rows: some milliseconds for ten thousand.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.operator import Operator
from mcpward.storage.acts import Acts, RowChange
from mcpward.storage.connections import Connections
from mcpward.storage.integrity import Counter, Integrity, digest_of, read_counter
from mcpward.storage.mark import Standing
from mcpward.storage.tables import REVISIONS

R = TypeVar("R")
_Row = dict[str, Any]


class Register:
    """The rows of one table."""

    def __init__(
        self, connections: Connections, integrity: Integrity, name: str, table: Table, acts: Acts | None = None
    ) -> None:
        self._connections = connections
        self._acts = acts
        self.integrity = integrity
        self.name = name
        self.table = table
        self.has_revision = "revision" in table.c

    def opened(self, row: Row[Any]) -> _Row:
        """Return the values of a row. Raises :class:`Untrusted` if it was not written with the master key."""
        return self.integrity.require_row(self.table, row)

    @asynccontextmanager
    async def changing(self, by: Operator | None = None) -> "AsyncIterator[Changes]":
        """Open a transaction for changes of rows; it is on the disk, and in the mark, when the block has been left.

        ``by`` makes them if this process has no operator of its own.

        Raises:
            Untrusted: the rows are not those that were left, or older ones with their counter.
        """
        async with self._connections.durable() as connection:
            counter = await read_counter(connection, self.name, lock=True)
            digest = await self.digest(connection)
            if not self.integrity.is_counter(counter, digest):
                raise self.integrity.forged(self.table.name)
            await asyncio.to_thread(self.integrity.require_newest, counter, digest)
            changes = Changes(self, connection, counter.revision)
            yield changes
            standing = await self.close(connection, changes.revision) if changes.revision > counter.revision else None
            noted = await self._acts.put(connection, changes.made, by) if self._acts is not None else None
        if standing is not None:
            await asyncio.to_thread(self.integrity.advance, {self.name: standing})
        if noted is not None and self._acts is not None:
            await self._acts.committed(noted)

    async def close(self, connection: AsyncConnection, revision: int) -> Standing:
        """Write the counter for the rows as they are now."""
        digest = await self.digest(connection)
        values = {"value": revision, "floor": 0, "mac": self.integrity.counter_mac(self.name, revision, 0, digest)}
        await connection.execute(update(REVISIONS).where(REVISIONS.c.name == self.name).values(values))
        return Standing(revision, digest)

    async def digest(self, connection: AsyncConnection) -> str:
        """Return the digest of all rows by their codes."""
        codes = (await connection.execute(select(self.table.c.mac))).scalars()
        return digest_of(bytes(code or b"") for code in codes)

    async def rows(self, connection: AsyncConnection) -> list[_Row]:
        """Return all rows with their codes, not judged."""
        found = await connection.execute(select(self.table))
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - the documented way to a row's names

    async def replace(self, connection: AsyncConnection, rows: list[_Row], revision: int) -> Standing:
        """Write these rows in the place of all, with codes of the newest key, and the counter at ``revision``."""
        coded = [row | {"mac": self.integrity.row_mac(self.table, row)} for row in rows]
        await connection.execute(delete(self.table))
        if coded:
            await connection.execute(insert(self.table), coded)
        return await self.close(connection, revision)

    def follow(self) -> "Followed":
        """Return a reader of what changes, from the beginning."""
        return Followed(self, self._connections)


class Changes:
    """The changes of one transaction. ``revision`` is that of the last one."""

    def __init__(self, register: Register, connection: AsyncConnection, revision: int) -> None:
        self.connection = connection
        self.revision = revision
        self.made: list[RowChange] = []
        self._register = register

    async def find(self, *where: ColumnElement[bool]) -> list[_Row]:
        """Return the rows that fit. Raises :class:`Untrusted` if one of them was not written with the master key."""
        found = await self.connection.execute(select(self._register.table).where(*where))
        return [self._register.opened(row) for row in found]

    async def insert(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._note(None, dict(row))
        await self.connection.execute(insert(self._register.table).values(self._coded(dict(row))))

    async def change(self, row: _Row, **values: Any) -> None:
        """Change a row that :meth:`find` returned."""
        table = self._register.table
        self._note(row, row | values)
        mine = [column == row[column.name] for column in table.primary_key]
        await self.connection.execute(update(table).where(*mine).values(self._coded(row | values)))

    async def remove(self, row: _Row) -> None:
        """Remove a row that :meth:`find` returned."""
        self.revision += 1
        table = self._register.table
        self._note(row, None)
        mine = [column == row[column.name] for column in table.primary_key]
        await self.connection.execute(delete(table).where(*mine))

    def _note(self, before: _Row | None, after: _Row | None) -> None:
        """Remember what was done. A row that takes the place of one that was just removed is a change of it."""
        table, last = self._register.table, self.made[-1] if self.made else None
        if before is None and after is not None and last is not None and last.before is not None and last.after is None:
            old = last.before
            if all(old[column.name] == after[column.name] for column in table.primary_key):
                self.made.pop()
                before = dict(old)
        self.made.append(RowChange(table, before, after))

    def _coded(self, row: _Row) -> _Row:
        self.revision += 1
        if self._register.has_revision:
            row["revision"] = self.revision
        row["mac"] = self._register.integrity.row_mac(self._register.table, row)
        return row


class Followed:
    """A reader's knowledge of a register: the code of each row by its id, and the last counter."""

    def __init__(self, register: Register, connections: Connections) -> None:
        self._register = register
        self._connections = connections
        self._codes: dict[str, bytes] = {}
        self._counter: Counter | None = None

    async def news(self, *, whole: bool = False) -> tuple[bool, list[_Row]]:
        """Return the rows that are new since the last time; with True, all there are, in the place of those known.

        ``whole`` has all of them read and judged anew, whether the counter says that there are news or not.

        Raises:
            Untrusted: the rows are not those that a holder of the master key left, or older than those known.
        """
        if not whole and self._counter is not None:
            async with self._connections.read() as connection:
                if await read_counter(connection, self._register.name) == self._counter:
                    return False, []
        async with self._connections.snapshot() as connection:  # whatever others write meanwhile
            seen = await self._look(connection, whole=whole)
        return self._took(*seen)

    async def _look(
        self, connection: AsyncConnection, *, whole: bool
    ) -> tuple[Counter, dict[str, bytes], list[_Row], bool]:
        """Return the counter, the codes of all rows, the new rows or all, and whether they are all."""
        register, known = self._register, self._counter
        counter = await read_counter(connection, register.name)
        if known is not None and counter.revision < known.revision:
            raise register.integrity.older(register.name, counter.revision, known.revision)
        if known is not None and not whole:
            rows = await self._read(connection, known.revision)
            codes = self._codes | {row["id"]: bytes(row["mac"] or b"") for row in rows}
            if register.integrity.is_counter(counter, digest_of(codes.values())):
                return counter, codes, rows, False
        rows = await self._read(connection, None)
        codes = {row["id"]: bytes(row["mac"] or b"") for row in rows}
        if not register.integrity.is_counter(counter, digest_of(codes.values())):
            raise register.integrity.forged(register.table.name)
        return counter, codes, rows, True

    async def _read(self, connection: AsyncConnection, since: int | None) -> list[_Row]:
        table = self._register.table
        statement = select(table) if since is None else select(table).where(table.c.revision > since)
        found = await connection.execute(statement.order_by(table.c.revision))
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - the documented way to a row's names

    def _took(
        self, counter: Counter, codes: dict[str, bytes], rows: list[_Row], is_whole: bool
    ) -> tuple[bool, list[_Row]]:
        register = self._register
        for row in rows:
            if not register.integrity.is_row(register.table, row):
                raise register.integrity.forged(register.table.name)
        if counter == self._counter and codes == self._codes:
            return False, []  # all of it was judged anew, and nothing of it has changed
        if counter != self._counter:
            register.integrity.advance({register.name: Standing(counter.revision, digest_of(codes.values()))})
        self._counter, self._codes = counter, codes
        return is_whole, [{name: value for name, value in row.items() if name != "mac"} for row in rows]


class FollowedRecords(Generic[R]):
    """A register as one reader knows it, each row as what ``record`` makes of it."""

    def __init__(self, register: Register, record: Callable[[_Row], R]) -> None:
        self._followed = register.follow()
        self._record = record

    async def news(self, *, whole: bool = False) -> tuple[bool, list[R]]:
        """Return the records added or changed since the last time; with True, all of them.

        Raises:
            Untrusted: they are not those that a holder of the master key left.
        """
        is_whole, rows = await self._followed.news(whole=whole)
        return is_whole, [self._record(row) for row in rows]
