"""The servers and their URLs at the last start: what clients may know. Secrets of URLs are not among it."""

from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import delete, insert, or_, select

from mcpward.storage.connections import Connections
from mcpward.storage.tables import SERVED


class ServedUrl(Struct, frozen=True):
    """``path`` is that of a server, without the path of the public URL; ``//host/mcp`` at a host of its own.

    ``base`` is the site's public URL, "" if it has none.
    """

    path: str
    server: str
    base: str = ""


class ServedTable:
    """One row for each URL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def servers(self) -> tuple[str, ...]:
        """Return the names of the servers of the last start, in their order."""
        statement = select(SERVED.c.server).distinct().order_by(SERVED.c.server)
        async with self._connections.read() as connection:
            return tuple((await connection.execute(statement)).scalars())

    async def replace(self, urls: Collection[ServedUrl], *, only: str | None = None) -> list[ServedUrl]:
        """Keep what is served from now on, and return what was served before.

        With ``only``, the site serves only one of its servers: rows of the others stay, unless they are at its
        paths.
        """
        mine = or_(SERVED.c.server == only, SERVED.c.path.in_([url.path for url in urls]))
        async with self._connections.bulk() as connection:
            known, gone = select(SERVED).order_by(SERVED.c.path), delete(SERVED)
            if only is not None:
                known, gone = known.where(mine), gone.where(mine)
            rows = (await connection.execute(known)).all()
            before = [ServedUrl(row.path, row.server, row.base) for row in rows]
            if set(before) != set(urls):
                await connection.execute(gone)
                if urls:
                    values = [{"path": url.path, "server": url.server, "base": url.base} for url in urls]
                    await connection.execute(insert(SERVED), values)
        return before
