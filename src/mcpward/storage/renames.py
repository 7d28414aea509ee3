"""Earlier names of servers: a record keeps the name under which it was written, and is found by the present one."""

from sqlalchemy import ColumnElement, exists, insert, or_, select

from mcpward.storage.lanes import Lanes
from mcpward.storage.tables import RENAMED, TRAFFIC


class RenamedTable:
    """Every earlier name of a server, with the moment (wall clock) up to which it was its name."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def add(self, old: str, new: str, at: float) -> None:
        """Note that a server has another name from a moment on; its own earlier names are earlier ones of that."""
        async with self._lanes.durable() as connection:
            earlier, known = [
                {(row.old, row.at) for row in await connection.execute(select(RENAMED).where(RENAMED.c.new == name))}
                for name in (old, new)
            ]
            rows = ({(name, then) for name, then in earlier if name != new} | {(old, at)}) - known
            values = [{"old": name, "new": new, "at": then} for name, then in sorted(rows)]
            if values:
                await connection.execute(insert(RENAMED), values)


def of_server(name: str) -> ColumnElement[bool]:
    """Return the condition for records of a server: under its name, or under an earlier one while it had that."""
    earlier = exists().where(RENAMED.c.new == name, RENAMED.c.old == TRAFFIC.c.server, RENAMED.c.at >= TRAFFIC.c.at)
    return or_(TRAFFIC.c.server == name, earlier)
