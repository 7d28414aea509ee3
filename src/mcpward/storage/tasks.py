"""Tasks and the answers to their questions. Text of a caller or a tool is sealed here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import structs
from sqlalchemy import ColumnElement, Row, and_, case, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.storage.connections import Connections
from mcpward.storage.tables import TASK_ANSWERS, TASKS
from mcpward.tasks.record import UNFINISHED, Caps, Record, Status

_UNFINISHED: Final = TASKS.c.status.in_(sorted(status.value for status in UNFINISHED))
#: So many dead tasks are written down at once; the rest has the next turn.
_STALE: Final = 256
# Any number that no other program in the same PostgreSQL server uses.
_ADVISORY_LOCK: Final = int.from_bytes(b"mc-tasks")


class TaskTable:
    """Fits ``tasks.record.Store``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(self, record: Record, caps: Caps) -> bool:
        """Keep a new task, on the disk when the call returns; False if there is no room."""
        async with self._connections.durable() as connection:
            if self._connections.dialect == "postgresql":  # one start at a time, as SQLite has it: counts are exact
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            if not await _has_room(connection, record, caps):
                return False
            await connection.execute(insert(TASKS).values(_row(record)))
        return True

    async def remove(self, task_id: str) -> None:
        """Forget a task."""
        async with self._connections.bulk() as connection:
            await connection.execute(delete(TASKS).where(TASKS.c.id == task_id))

    async def find(self, task_id: str, owner: str, server: str) -> Record | None:
        """Return the task if it is this owner's at this server. One statement for every caller."""
        found = await self.find_all([task_id], owner, server)
        return found[0] if found else None

    async def find_all(self, task_ids: Sequence[str], owner: str, server: str) -> list[Record]:
        """Return those of the tasks that are this owner's at this server. One statement, or two if one asks."""
        async with self._connections.read() as connection:
            rows = (await connection.execute(select(TASKS).where(_mine(task_ids, owner, server)))).all()
            asking = [row.id for row in rows if row.requests is not None]
            answered: dict[str, set[str]] = {}
            if asking:
                keys = select(TASK_ANSWERS.c.task_id, TASK_ANSWERS.c.key).where(TASK_ANSWERS.c.task_id.in_(asking))
                for row in (await connection.execute(keys)).all():
                    answered.setdefault(row.task_id, set()).add(row.key)
        return [_record(row, frozenset(answered.get(row.id, ()))) for row in rows]

    async def known(self, task_ids: Sequence[str], owner: str, server: str) -> list[tuple[str, str, float]]:
        """Return id, tool and end of life of those of the tasks that are this owner's at this server. One statement."""
        statement = select(TASKS.c.id, TASKS.c.tool, TASKS.c.expires_at).where(_mine(task_ids, owner, server))
        async with self._connections.read() as connection:
            return [(row.id, row.tool, row.expires_at) for row in (await connection.execute(statement)).all()]

    async def show(
        self, task_id: str, status: Status, requests: str | None, at: float, taken: Sequence[str] = ()
    ) -> None:
        """Set the status and open questions of an unfinished task, and forget the answers that were taken."""
        values = {"status": status.value, "requests": requests, "updated_at": at}
        async with self._connections.bulk() as connection:
            await connection.execute(update(TASKS).where(TASKS.c.id == task_id, _UNFINISHED).values(values))
            if taken:
                gone = and_(TASK_ANSWERS.c.task_id == task_id, TASK_ANSWERS.c.key.in_(taken))
                await connection.execute(delete(TASK_ANSWERS).where(gone))

    async def say(self, task_id: str, message: str, at: float) -> None:
        """Set the message of an unfinished task."""
        values = {"message": message, "updated_at": at}
        async with self._connections.bulk() as connection:
            await connection.execute(update(TASKS).where(TASKS.c.id == task_id, _UNFINISHED).values(values))

    async def answer(self, task_id: str, answers: Mapping[str, str], at: float) -> None:
        """Keep answers; those that were given before stay as they are."""
        mine = TASK_ANSWERS.c.task_id == task_id
        async with self._connections.bulk() as connection:
            # The task's row is locked by this, so that two callers cannot both be the first.
            open_ = await connection.execute(
                update(TASKS).where(TASKS.c.id == task_id, _UNFINISHED).values(updated_at=at)
            )
            if not open_.rowcount:
                return
            known = set((await connection.scalars(select(TASK_ANSWERS.c.key).where(mine))).all())
            new = [
                {"task_id": task_id, "key": key, "sealed": sealed}
                for key, sealed in answers.items()
                if key not in known
            ]
            if new:
                await connection.execute(insert(TASK_ANSWERS), new)

    async def answers(self, task_id: str) -> dict[str, str]:
        """Return the answers that have not been taken yet, by key."""
        statement = select(TASK_ANSWERS.c.key, TASK_ANSWERS.c.sealed).where(TASK_ANSWERS.c.task_id == task_id)
        async with self._connections.read() as connection:
            return {row.key: row.sealed for row in (await connection.execute(statement)).all()}

    async def ask_cancel(self, task_id: str) -> None:
        """Note that the caller wants an unfinished task to end."""
        async with self._connections.bulk() as connection:
            await connection.execute(update(TASKS).where(TASKS.c.id == task_id, _UNFINISHED).values(is_cancel_asked=1))

    async def finish(
        self,
        task_id: str,
        status: Status,
        ending: str | None,
        message: str | None,
        at: float,
        *,
        beat_at: float | None = None,
    ) -> bool:
        """Set the final status, on the disk when the call returns; False if that was done before."""
        this = and_(TASKS.c.id == task_id, _UNFINISHED)
        if beat_at is not None:
            this = and_(this, TASKS.c.beat_at == beat_at)
        values: dict[str, Any] = {
            "status": status.value,
            "ending": ending,
            "message": message,
            "requests": None,
            "updated_at": at,
            "size": len(ending or "") + len(message or ""),
        }
        async with self._connections.durable() as connection:
            done = await connection.execute(update(TASKS).where(this).values(values))
            if done.rowcount:
                await connection.execute(delete(TASK_ANSWERS).where(TASK_ANSWERS.c.task_id == task_id))
        return bool(done.rowcount)

    async def beat(self, task_ids: Sequence[str], at: float) -> dict[str, bool]:
        """Note that the tasks still run. Returns those that are unfinished, with whether their caller wants an end."""
        these = and_(TASKS.c.id.in_(task_ids), _UNFINISHED)
        async with self._connections.bulk() as connection:
            await connection.execute(update(TASKS).where(these).values(beat_at=at))
            found = await connection.execute(select(TASKS.c.id, TASKS.c.is_cancel_asked).where(these))
            return {row.id: bool(row.is_cancel_asked) for row in found.all()}

    async def stale(self, before: float) -> list[Record]:
        """Return some unfinished tasks whose last heartbeat was before that time."""
        statement = select(TASKS).where(_UNFINISHED, TASKS.c.beat_at < before).limit(_STALE)
        async with self._connections.read() as connection:
            return [_record(row) for row in (await connection.execute(statement)).all()]

    async def prune(self, now: float) -> None:
        """Forget the tasks that have expired at ``now``."""
        over = select(TASKS.c.id).where(TASKS.c.expires_at <= now)
        async with self._connections.read() as connection:
            if (await connection.execute(over.limit(1))).one_or_none() is None:
                return  # the usual case takes no write lock
        async with self._connections.bulk() as connection:
            await connection.execute(delete(TASK_ANSWERS).where(TASK_ANSWERS.c.task_id.in_(over)))
            await connection.execute(delete(TASKS).where(TASKS.c.expires_at <= now))


def _mine(task_ids: Sequence[str], owner: str, server: str) -> ColumnElement[bool]:
    return and_(TASKS.c.id.in_(task_ids), TASKS.c.owner == owner, TASKS.c.server == server)


async def _has_room(connection: AsyncConnection, record: Record, caps: Caps) -> bool:
    kept, size = func.count(), func.coalesce(func.sum(TASKS.c.size), 0)
    unfinished = func.coalesce(func.sum(case((_UNFINISHED, 1), else_=0)), 0)
    mine = and_(TASKS.c.owner == record.owner, TASKS.c.server == record.server)
    own = (await connection.execute(select(unfinished, kept, size).where(mine))).one()
    if own[0] >= caps.unfinished or own[1] >= caps.kept or own[2] >= caps.kept_bytes:
        return False
    of_all = (await connection.execute(select(kept, size).select_from(TASKS))).one()
    return bool(of_all[0] < caps.all_kept and of_all[1] < caps.all_bytes)


def _row(record: Record) -> dict[str, Any]:
    row = structs.asdict(record)
    del row["answered"]
    return row | {"status": record.status.value, "is_cancel_asked": int(record.is_cancel_asked), "size": 0}


def _record(row: Row[Any], answered: frozenset[str] = frozenset()) -> Record:
    fields = dict(row._mapping)  # noqa: SLF001 - the documented way to a row's names, public in spite of its name
    del fields["size"]
    fields["status"] = Status(fields["status"])
    fields["is_cancel_asked"] = bool(fields["is_cancel_asked"])
    return Record(**fields, answered=answered)
