"""Earlier names of servers: a record keeps the name under which it was written, and is found by the present one.

Every row has a code, and the store is judged by it before any record is looked up. Otherwise a writer of the database
file without the master key could show one server's records as another's.
"""

from sqlalchemy import ColumnElement, exists, or_

from mcpward.storage.register import Register
from mcpward.storage.tables import RENAMED, TRAFFIC


class RenamedTable:
    """Every earlier name of a server, with the moment (wall clock) up to which it was its name."""

    def __init__(self, register: Register) -> None:
        self._register = register

    async def add(self, old: str, new: str, at: float) -> None:
        """Note that a server has another name from a moment on; its own earlier names are earlier ones of that."""
        async with self._register.changing() as changes:
            earlier, known = [
                {(row["old"], row["at"]) for row in await changes.find(RENAMED.c.new == name)} for name in (old, new)
            ]
            rows = ({(name, then) for name, then in earlier if name != new} | {(old, at)}) - known
            for name, then in sorted(rows):
                await changes.insert({"old": name, "new": new, "at": then})


def of_server(name: str) -> ColumnElement[bool]:
    """Return the condition for records of a server: under its name, or under an earlier one while it had that."""
    earlier = exists().where(RENAMED.c.new == name, RENAMED.c.old == TRAFFIC.c.server, RENAMED.c.at >= TRAFFIC.c.at)
    return or_(TRAFFIC.c.server == name, earlier)
