"""The traffic records: written in batches, an intent at once and durably, read by filter.

Rows are tuples; the names of their values come with them, as they are in :data:`COLUMNS`. What is missing is null.
"""

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, delete, func, insert, literal_column, or_, select

from mcpward.storage.lanes import Lanes
from mcpward.storage.tables import TRAFFIC
from mcpward.traffic.record import CALLS, REFUSALS

COLUMNS: Final = tuple(column.name for column in TRAFFIC.c if column.name != "seq")
_EQUAL: Final = ("server", "tool", "principal", "key_id", "reason", "outcome", "peer")


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

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def append(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Keep a batch, all of it or nothing."""
        if rows:
            await self._lanes.put(TRAFFIC, columns, rows)

    async def append_intent(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
        """Keep one record; it is on the disk when the call returns."""
        async with self._lanes.durable() as connection:
            await connection.execute(insert(TRAFFIC), dict(zip(columns, row, strict=True)))

    async def select(self, wanted: TrafficFilter) -> list[dict[str, Any]]:
        """Give the records that agree with ``wanted``, each with its ``seq``."""
        statement = select(TRAFFIC).limit(wanted.limit)
        statement = statement.order_by(TRAFFIC.c.seq.desc() if wanted.newest_first else TRAFFIC.c.seq)
        for name in _EQUAL:
            if (value := getattr(wanted, name)) is not None:
                statement = statement.where(TRAFFIC.c[name] == value)
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
        """Drop the records from before ``before`` (wall-clock seconds) and say how many there were."""
        async with self._lanes.bulk() as connection:
            return int((await connection.execute(delete(TRAFFIC).where(TRAFFIC.c.at < before))).rowcount)

    async def prune_oldest(self, chain: str, rows: int) -> int:
        """Drop up to ``rows`` records from the oldest end of a chain, and say how many there were."""
        oldest = select(TRAFFIC.c.seq).where(_is_of(chain)).order_by(TRAFFIC.c.seq).limit(rows)
        async with self._lanes.bulk() as connection:
            return int((await connection.execute(delete(TRAFFIC).where(TRAFFIC.c.seq.in_(oldest)))).rowcount)

    async def counts(self) -> dict[str, int]:
        """Give the number of records of each chain."""
        refusals = select(func.count()).select_from(TRAFFIC).where(_is_of(REFUSALS))
        async with self._lanes.read() as connection:
            of_all = int((await connection.execute(select(func.count()).select_from(TRAFFIC))).scalar_one())
            refused = int((await connection.execute(refusals)).scalar_one())
        return {CALLS: max(0, of_all - refused), REFUSALS: refused}


def _is_of(chain: str) -> ColumnElement[bool]:
    """Written out, not bound: only so does SQLite see that the partial index of refusals fits."""
    return TRAFFIC.c.chain == literal_column(f"'{CALLS if chain == CALLS else REFUSALS}'")
