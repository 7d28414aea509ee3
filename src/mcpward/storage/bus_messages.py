"""Letters between workers, for a minute. Bulk: they need to survive a process, not the machine's power.

A batch takes its numbers from a counter whose row is locked until the batch is committed, so letters become visible in
the order of their numbers. With the database's own sequence a transaction that commits late would put its letters
behind a reader's back.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, insert, or_, select

from mcpward.messaging.bus.outbox import BusMessage
from mcpward.storage.connections import Connections
from mcpward.storage.revisions import take_next
from mcpward.storage.tables import MAIL, REVISIONS

_COUNTER: Final = "mail"
#: Letters read at once: of the longest, some twenty megabytes.
_AT_ONCE: Final = 64
_newest = select(REVISIONS.c.value).where(REVISIONS.c.name == _COUNTER)


class BusTable:
    """Fits ``channel.outbox.PostOffice``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def newest(self) -> int:
        """Return the number of the last letter."""
        async with self._connections.read() as connection:
            return int((await connection.execute(_newest)).scalar_one())

    async def put(self, letters: Sequence[BusMessage]) -> None:
        """Keep these letters, all or none."""
        if not letters:
            return
        async with self._connections.bulk() as connection:
            first = await take_next(connection, _COUNTER, len(letters)) - len(letters) + 1
            await connection.execute(insert(MAIL), [_row(seq, letter) for seq, letter in enumerate(letters, first)])

    async def since(self, seq: int, reader: str) -> tuple[int, list[BusMessage]]:
        """Return the number to ask with next time, and letters after ``seq`` for ``reader`` that others sent.

        At most so many at once. No news costs one look at one row. A counter that stands before ``seq`` belongs to a
        restored backup, whose letters are old.
        """
        async with self._connections.read() as connection:
            newest = int((await connection.execute(_newest)).scalar_one())
            if newest <= seq:
                return newest, []
            is_mine = or_(MAIL.c.addressee.is_(None), MAIL.c.addressee == reader)
            mine = select(MAIL).where(MAIL.c.seq > seq, is_mine, MAIL.c.sender != reader)
            rows = (await connection.execute(mine.order_by(MAIL.c.seq).limit(_AT_ONCE))).all()
        letters = [BusMessage(row.sender, row.addressee, row.kind, row.sealed) for row in rows]
        if len(rows) == _AT_ONCE:
            return rows[-1].seq, letters
        return max([newest, *(row.seq for row in rows)]), letters

    async def forget(self, through: int) -> None:
        """Forget every letter up to this number."""
        old = MAIL.c.seq <= through
        async with self._connections.read() as connection:
            if (await connection.execute(select(MAIL.c.seq).where(old).limit(1))).one_or_none() is None:
                return  # the usual case takes no write lock
        async with self._connections.bulk() as connection:
            await connection.execute(delete(MAIL).where(old))


def _row(seq: int, letter: BusMessage) -> dict[str, object]:
    return {
        "seq": seq,
        "sender": letter.sender,
        "addressee": letter.addressee,
        "kind": letter.kind,
        "sealed": letter.sealed,
    }
