"""Notifies workers of others' changes: every change takes the next number of its table, in its own transaction.

The counter's row is locked until the change commits, so numbers become visible in their order and none is skipped.
"""

from typing import Any

from sqlalchemy import Row, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.storage.connections import Connections
from mcpward.storage.tables import REVISIONS


async def take_next(connection: AsyncConnection, name: str, count: int = 1) -> int:
    """Count ``count`` changes of ``name`` and return the number of the last one."""
    mine = REVISIONS.c.name == name
    await connection.execute(update(REVISIONS).where(mine).values(value=REVISIONS.c.value + count))
    return int((await connection.execute(select(REVISIONS.c.value).where(mine))).scalar_one())


async def changes(connections: Connections, name: str, table: Table, since: int) -> tuple[int, list[Row[Any]]]:
    """Return the number to ask with next time, and the rows changed after ``since``.

    A counter that stands before ``since`` belongs to a restored backup: everything is returned again.
    """
    async with connections.read() as connection:
        counter = (await connection.execute(select(REVISIONS.c.value).where(REVISIONS.c.name == name))).scalar_one()
        if counter == since:
            return since, []
        known = since if counter > since else 0
        found = await connection.execute(select(table).where(table.c.revision > known).order_by(table.c.revision))
        rows = list(found.all())
    return max([counter, *(row.revision for row in rows)]), rows
