"""Messages between workers, kept for a minute. Bulk: they need to survive a process, not a power cut.

A batch takes its numbers from a counter whose row stays locked until the commit. So messages become visible in the
order of their numbers. With the database's own sequence, readers would miss the messages of a transaction that commits
late.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, insert, or_, select

from mcpward.messaging.bus.outbox import BusMessage
from mcpward.storage.connections import Connections
from mcpward.storage.revisions import take_next
from mcpward.storage.tables import MAIL, REVISIONS

_COUNTER: Final = "mail"
#: Messages read at once: of the longest, some twenty megabytes.
_AT_ONCE: Final = 64
_newest = select(REVISIONS.c.value).where(REVISIONS.c.name == _COUNTER)


class BusTable:
    """Fits ``channel.outbox.PostOffice``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def newest(self) -> int:
        """Return the number of the last message."""
        async with self._connections.read() as connection:
            return int((await connection.execute(_newest)).scalar_one())

    async def put(self, messages: Sequence[BusMessage]) -> None:
        """Keep these messages, all or none."""
        if not messages:
            return
        async with self._connections.bulk() as connection:
            first = await take_next(connection, _COUNTER, len(messages)) - len(messages) + 1
            await connection.execute(insert(MAIL), [_row(seq, message) for seq, message in enumerate(messages, first)])

    async def since(self, seq: int, reader: str) -> tuple[int, list[BusMessage]]:
        """Return the number to ask with next time, and messages after ``seq`` for ``reader`` that others sent.

        At most so many at once. No news costs one look at one row. A counter that stands before ``seq`` belongs to a
        restored backup, whose messages are old.
        """
        async with self._connections.read() as connection:
            newest = int((await connection.execute(_newest)).scalar_one())
            if newest <= seq:
                return newest, []
            is_mine = or_(MAIL.c.addressee.is_(None), MAIL.c.addressee == reader)
            mine = select(MAIL).where(MAIL.c.seq > seq, is_mine, MAIL.c.sender != reader)
            rows = (await connection.execute(mine.order_by(MAIL.c.seq).limit(_AT_ONCE))).all()
        messages = [BusMessage(row.sender, row.addressee, row.kind, row.sealed) for row in rows]
        if len(rows) == _AT_ONCE:
            return rows[-1].seq, messages
        return max([newest, *(row.seq for row in rows)]), messages

    async def forget(self, through: int) -> None:
        """Forget every message up to this number."""
        old = MAIL.c.seq <= through
        async with self._connections.read() as connection:
            if (await connection.execute(select(MAIL.c.seq).where(old).limit(1))).one_or_none() is None:
                return  # the usual case takes no write lock
        async with self._connections.bulk() as connection:
            await connection.execute(delete(MAIL).where(old))


def _row(seq: int, message: BusMessage) -> dict[str, object]:
    return {
        "seq": seq,
        "sender": message.sender,
        "addressee": message.addressee,
        "kind": message.kind,
        "sealed": message.sealed,
    }
