"""The traffic records: written in batches, an intent at once and durably, read by filter, verified as a whole.

Rows are tuples; the names of their values come with them, as they are in :data:`COLUMNS`. A missing value is null.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, func, inspect, literal_column, select

from mcpward.storage.chained import ChainedRecord, Progress, RecordChange
from mcpward.storage.connections import Connections
from mcpward.storage.statements import Statements
from mcpward.storage.tables import TRAFFIC, TRAFFIC_STATE
from mcpward.storage.traffic_filter import TrafficFilter, narrowed, written
from mcpward.traffic.chain import CHAINS, PLACE
from mcpward.traffic.record import CALLS, REFUSALS
from mcpward.traffic.verification import Finding, Report

#: The contents of a record and its chain; not its place there, nor its code.
COLUMNS: Final = tuple(column.name for column in TRAFFIC.c if column.name == "chain" or column.name not in PLACE)
_SHOWN: Final = [column for column in TRAFFIC.c if column.name == "seq" or column.name in COLUMNS]
#: Rows that are removed in one transaction: it shuts other writers out.
_REMOVED_AT_ONCE: Final = 500


class TrafficTable:
    """Fits ``traffic.writer``'s port for records."""

    def __init__(self, connections: Connections, record: ChainedRecord) -> None:
        self._connections = connections
        self._record = record

    async def append(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Keep a batch, all of it or nothing."""
        if rows:
            await self._change(lambda statements: self._record.append(statements, columns, rows), is_durable=False)

    async def append_intent(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
        """Keep one record; it is on the disk when the call returns."""
        await self._change(lambda statements: self._record.append(statements, columns, [row]), is_durable=True)

    async def select(self, wanted: TrafficFilter) -> list[dict[str, Any]]:
        """Return the records that agree with ``wanted``, each with its ``seq``."""
        statement = narrowed(select(*_SHOWN), wanted).limit(wanted.limit)
        statement = statement.order_by(TRAFFIC.c.seq.desc() if wanted.newest_first else TRAFFIC.c.seq)
        async with self._connections.read() as connection:
            return [dict(row) for row in (await connection.execute(statement)).mappings()]

    async def stream(self, wanted: TrafficFilter, take: Callable[[dict[str, Any]], None]) -> int:
        """Hand every record that agrees with ``wanted`` to ``take``, the oldest first; return how many there were.

        They are those of one moment, however long it takes and whatever is written meanwhile, and are never in memory
        all at once. ``limit`` and ``newest_first`` mean nothing here. ``take`` may be called in another thread.
        """
        sql, values = written(narrowed(select(*_SHOWN), wanted).order_by(TRAFFIC.c.seq))
        names = [column.name for column in _SHOWN]

        def work(statements: Statements) -> int:
            count = 0
            for row in statements.stream(sql, **values):
                take(dict(zip(names, row, strict=True)))
                count += 1
            return count

        return await self._connections.examine(work)

    async def count(self, wanted: TrafficFilter) -> int:
        """Return how many records agree with ``wanted``, whatever its ``limit``."""
        statement = narrowed(select(func.count()).select_from(TRAFFIC), wanted)
        async with self._connections.read() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def known(self, column: str) -> list[str]:
        """Return every value of a column that holds texts, in order. Looks at the whole record."""
        wanted = TRAFFIC.c[column]
        statement = select(wanted).where(wanted.is_not(None)).distinct().order_by(wanted)
        async with self._connections.read() as connection:
            return [str(value) for value in (await connection.execute(statement)).scalars()]

    async def prune(self, before: float) -> int:
        """Drop the records from before ``before`` (wall-clock seconds) and return how many there were.

        Each chain loses its oldest records up to the first that is recent enough.
        """
        count = 0
        for chain in CHAINS:
            while removed := await self.prune_oldest(chain, _REMOVED_AT_ONCE, before):
                count += removed
        return count

    async def prune_oldest(self, chain: str, rows: int, before: float | None = None) -> int:
        """Drop at most ``rows`` of the oldest records of a chain, and return how many there were.

        With ``before`` only those from before that time (wall-clock seconds).
        """
        change = await self._change(
            lambda statements: self._record.remove(statements, chain, rows, before), is_durable=False, adds=False
        )
        return change.removed

    async def counts(self) -> dict[str, int]:
        """Return the number of records of each chain."""
        refusals = select(func.count()).select_from(TRAFFIC).where(_is_of(REFUSALS))
        async with self._connections.read() as connection:
            of_all = int((await connection.execute(select(func.count()).select_from(TRAFFIC))).scalar_one())
            refused = int((await connection.execute(refusals)).scalar_one())
        return {CALLS: max(0, of_all - refused), REFUSALS: refused}

    async def verify(self, progress: Progress | None = None) -> Report:
        """Verify all records against their codes and the mark outside of the database; changes nothing.

        ``progress`` is called from a thread with the number of rows seen and of all.
        """
        if not await self._has_tables():
            what = "the tables of the record were removed or changed"
            return Report(chains=(), uncovered=0, gaps=(), findings=(Finding(kind="removed", what=what),))
        marked = self._record.marked()  # before the rows: it is never newer than the database
        return await self._connections.examine(lambda statements: self._record.verify(statements, marked, progress))

    async def _change(
        self, work: Callable[[Statements], RecordChange], *, is_durable: bool, adds: bool = True
    ) -> RecordChange:
        return await self._connections.write(work, self._record.committed, is_durable=is_durable, adds=adds)

    async def _has_tables(self) -> bool:
        async with self._connections.read() as connection:
            return await connection.run_sync(
                lambda sync: all(
                    inspect(sync).has_table(table.name)
                    and {column["name"] for column in inspect(sync).get_columns(table.name)} >= set(table.c.keys())
                    for table in (TRAFFIC, TRAFFIC_STATE)
                )
            )


def _is_of(chain: str) -> ColumnElement[bool]:
    """Written out, not bound: only so does SQLite see that the partial index of refusals fits."""
    return TRAFFIC.c.chain == literal_column(f"'{CALLS if chain == CALLS else REFUSALS}'")
