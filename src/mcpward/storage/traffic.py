"""The traffic records: written in batches, an intent at once and durably, read by filter, verified as a whole.

Rows are tuples; the names of their values come with them, as they are in :data:`COLUMNS`. What is missing is null.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, func, inspect, literal_column, or_, select

from mcpward.storage.chained import ChainedRecord, Change, Progress
from mcpward.storage.lanes import Lanes
from mcpward.storage.renames import of_server
from mcpward.storage.statements import Statements
from mcpward.storage.tables import TRAFFIC, TRAFFIC_STATE
from mcpward.traffic.chain import CHAINS, PLACE
from mcpward.traffic.record import CALLS, REFUSALS
from mcpward.traffic.verification import Finding, Report

#: What a record says, and of which chain it is; not its place there, nor its code.
COLUMNS: Final = tuple(column.name for column in TRAFFIC.c if column.name == "chain" or column.name not in PLACE)
_SHOWN: Final = [column for column in TRAFFIC.c if column.name == "seq" or column.name in COLUMNS]
#: Rows that are removed in one transaction: it shuts other writers out.
_REMOVED_AT_ONCE: Final = 500
_EQUAL: Final = ("tool", "principal", "key_id", "reason", "outcome", "peer")


class TrafficFilter(Struct, frozen=True, kw_only=True):
    """Which records to give: every field that is set must agree; ``since`` ≤ at < ``until``, wall-clock seconds.

    ``by_limit`` names a limit that refused, or would have, were it enforced; ``would_refuse`` narrows to the latter
    (without ``by_limit`` to any such limit). ``after_id`` is the ``seq`` of the last record already seen (for
    following); ``limit`` counts records.
    """

    server: str | None = None
    tool: str | None = None
    principal: str | None = None
    key_id: str | None = None
    reason: str | None = None
    outcome: str | None = None
    peer: str | None = None
    by_limit: str | None = None
    would_refuse: bool = False
    since: float | None = None
    until: float | None = None
    after_id: int | None = None
    limit: int = 100
    newest_first: bool = True


def _of_limits(statement: Select[Any], wanted: TrafficFilter) -> Select[Any]:
    name = wanted.by_limit
    if name is None:
        return statement.where(TRAFFIC.c.would_refuse.is_not(None)) if wanted.would_refuse else statement
    is_meant: ColumnElement[bool] = ("," + TRAFFIC.c.would_refuse + ",").contains(f",{name},", autoescape=True)
    return statement.where(is_meant if wanted.would_refuse else or_(TRAFFIC.c.limit_name == name, is_meant))


class TrafficTable:
    """Fits ``traffic.writer``'s port for records."""

    def __init__(self, lanes: Lanes, record: ChainedRecord) -> None:
        self._lanes = lanes
        self._record = record

    async def append(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Keep a batch, all of it or nothing."""
        if rows:
            await self._change(lambda statements: self._record.append(statements, columns, rows), is_durable=False)

    async def append_intent(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
        """Keep one record; it is on the disk when the call returns."""
        await self._change(lambda statements: self._record.append(statements, columns, [row]), is_durable=True)

    async def select(self, wanted: TrafficFilter) -> list[dict[str, Any]]:
        """Give the records that agree with ``wanted``, each with its ``seq``."""
        statement = select(*_SHOWN).limit(wanted.limit)
        statement = statement.order_by(TRAFFIC.c.seq.desc() if wanted.newest_first else TRAFFIC.c.seq)
        for name in _EQUAL:
            if (value := getattr(wanted, name)) is not None:
                statement = statement.where(TRAFFIC.c[name] == value)
        if wanted.server is not None:
            statement = statement.where(of_server(wanted.server))
        statement = _of_limits(statement, wanted)
        if wanted.since is not None:
            statement = statement.where(TRAFFIC.c.at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(TRAFFIC.c.at < wanted.until)
        if wanted.after_id is not None:
            statement = statement.where(TRAFFIC.c.seq > wanted.after_id)
        async with self._lanes.read() as connection:
            return [dict(row) for row in (await connection.execute(statement)).mappings()]

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
        """Give the number of records of each chain."""
        refusals = select(func.count()).select_from(TRAFFIC).where(_is_of(REFUSALS))
        async with self._lanes.read() as connection:
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
        return await self._lanes.examine(lambda statements: self._record.verify(statements, marked, progress))

    async def _change(self, work: Callable[[Statements], Change], *, is_durable: bool, adds: bool = True) -> Change:
        return await self._lanes.write(work, self._record.committed, is_durable=is_durable, adds=adds)

    async def _has_tables(self) -> bool:
        async with self._lanes.read() as connection:
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
