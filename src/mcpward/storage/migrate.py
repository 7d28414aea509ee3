"""Brings a database up to date, once, however many workers start at the same moment: all of it or nothing."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.storage import migrations, sqlite
from mcpward.storage.chained import ChainedRecord
from mcpward.storage.connections import Connections
from mcpward.storage.opening import Accept, Opening
from mcpward.storage.statements import ConnectionStatements
from mcpward.storage.tables import RING, SCHEMA

# Any number that no other program in the same PostgreSQL server uses: "mcpward" in ASCII.
_ADVISORY_LOCK = int.from_bytes(b"mcpward")


async def migrate(
    connections: Connections,
    clock: Clock,
    where: str,
    key_ids: Sequence[str],
    opening: Opening,
    record: ChainedRecord,
    accept: Accept | None = None,
) -> None:
    """Take the missing steps in one exclusive transaction, and judge what is there; then set the mark.

    ``key_ids`` are the ids of the site's root keys, newest first; a database that was made under none of them is
    refused (attack 91): written with another key, it would lock all callers out. Raises :class:`Misconfigured` with
    nothing written; :class:`Untrusted` for a store that is forged or older than its mark, unless ``accept`` takes it.
    """
    async with connections.durable() as connection:  # SQLite: BEGIN IMMEDIATE shuts every other writer out
        if connections.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        version = await _version(connection)
        if version > migrations.LATEST:
            raise sqlite.newer(version, where)
        for step in range(version + 1, migrations.LATEST + 1):
            for statement in migrations.statements(step, connections.dialect):
                await connection.exec_driver_sql(statement)
            await connection.execute(insert(SCHEMA).values(version=step))
            if step == migrations.CHAINED:  # only here: a database that has no state later was tampered with
                await connection.run_sync(lambda sync: record.begin(ConnectionStatements(sync)))
        if key_ids:
            await _witness(connection, clock, where, key_ids)
        marked = await opening.judge(connection, where, accept)
    await asyncio.to_thread(opening.settle, marked)


async def _version(connection: AsyncConnection) -> int:
    has_schema = await connection.run_sync(lambda sync: inspect(sync).has_table(SCHEMA.name))
    if not has_schema:
        await connection.exec_driver_sql(f"CREATE TABLE {SCHEMA.name} (version INTEGER PRIMARY KEY)")
        return 0
    return max((await connection.scalars(select(SCHEMA.c.version))).all(), default=0)


async def _witness(connection: AsyncConnection, clock: Clock, where: str, key_ids: Sequence[str]) -> None:
    seen = set((await connection.scalars(select(RING.c.key_id))).all())
    if seen and seen.isdisjoint(key_ids):
        what = "the master key is not the one that this database was made with"
        raise Misconfigured([Finding(what, where, "restore the master key, or set another database in store.url")])
    if key_ids[0] not in seen:
        await connection.execute(insert(RING).values(key_id=key_ids[0], seen_at=clock.now()))
