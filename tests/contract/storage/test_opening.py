import asyncio
import hashlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import inspect

from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.storage import migrations, sqlite
from mcpward.storage.tables import METADATA
from mcpward.storage.traffic_filter import TrafficFilter
from mcpward.vault.vault_entry import VaultEntry
from support.clock import ManualClock
from support.records import keep
from support.store import open_store

CLOCK = ManualClock()


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def filled(path: Path, rows: int = 400) -> None:
    store = await open_store(url(path), CLOCK, ["aa"])
    await keep(store.traffic, *[{"id": "r", "at": 1.0, "phase": "done", "arguments": "x" * 200}] * rows)
    await store.close()


async def refused_unchanged(path: Path, pattern: str, key_ids: tuple[str, ...] = ()) -> None:
    before = digest(path)
    with pytest.raises(Misconfigured, match=pattern) as refused:
        await open_store(url(path), CLOCK, key_ids)
    assert len(refused.value.findings) == 1
    assert digest(path) == before


async def test_a_new_database_is_private_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "site" / "mcpward.db"
    store = await open_store(url(path), CLOCK)
    await store.ping()
    await keep(store.traffic, {"id": "r", "at": 1.0, "phase": "done"})
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    async with store._connections.durable() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 2
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar_one() == 1
    async with store._connections.bulk() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 1
    await store.close()


async def test_the_tables_are_as_the_migrations_make_them(tmp_path: Path) -> None:
    store = await open_store(url(tmp_path / "a.db"), CLOCK)
    async with store._connections.read() as connection:
        made = await connection.run_sync(
            lambda sync: {
                table: {
                    (column["name"], column["nullable"] and not column["primary_key"], column["primary_key"])  # type: ignore[typeddict-item]  # SQLite's own
                    for column in inspect(sync).get_columns(table)
                }
                for table in inspect(sync).get_table_names()
                if not table.startswith("sqlite_")
            }
        )
    await store.close()
    known = {
        table.name: {
            (column.name, bool(column.nullable), list(table.primary_key).index(column) + 1 if column.primary_key else 0)
            for column in table.columns
        }
        for table in METADATA.tables.values()
    }
    assert made == known


async def test_records_of_an_earlier_release_are_kept_and_have_no_limits_to_tell_of(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    before_limits = 4
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mcpward_schema (version INTEGER PRIMARY KEY)")
        for step in range(1, before_limits + 1):
            for statement in migrations.statements(step, "sqlite"):
                connection.execute(statement)
            connection.execute("INSERT INTO mcpward_schema VALUES (?)", (step,))
        connection.execute("INSERT INTO traffic (id, at, phase) VALUES ('old', 1.0, 'done')")
        connection.commit()
    path.chmod(0o600)
    store = await open_store(url(path), CLOCK)
    await keep(store.traffic, {"id": "new", "at": 2.0, "phase": "done", "limit_name": "read"})
    rows = await store.traffic.select(TrafficFilter(newest_first=False))
    await store.close()
    assert [(row["id"], row["limit_name"], row["would_refuse"]) for row in rows] == [
        ("old", None, None),
        ("new", "read", None),
    ]


async def test_keys_of_an_earlier_release_are_kept_and_may_not_confirm(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    before_consent = 6
    values = ("old", "n", b"d", '["a"]', "[]", 1, "[]", 1.0, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mcpward_schema (version INTEGER PRIMARY KEY)")
        for step in range(1, before_consent):
            for statement in migrations.statements(step, "sqlite"):
                connection.execute(statement)
            connection.execute("INSERT INTO mcpward_schema VALUES (?)", (step,))
        names = "id, name, digest, servers, scopes, access, networks, created_at, revision"
        connection.execute(f"INSERT INTO api_keys ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
    path.chmod(0o600)
    store = await open_store(url(path), CLOCK)
    assert [(key.id, key.may_confirm) for key in await store.keys.list()] == [("old", False)]
    assert await store.keys.edit("old", lambda key: replace(key, may_confirm=True)) is not None
    assert await store.keys.edit("none", lambda key: replace(key, may_confirm=True)) is None
    _, changed = await store.keys.follow().news()
    assert [(key.id, key.may_confirm) for key in changed] == [("old", True)]
    await store.close()


async def test_a_store_opens_again_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await filled(path)
    store = await open_store(url(path), CLOCK, ["aa"])
    assert await store.traffic.prune(before=2.0) == 400
    await store.close()


@pytest.mark.parametrize(
    "content",
    [b"x", b"x" * 511, b"not a database at all" * 400, os.urandom(8192), b"SQLite format 3\0" + b"?" * 8176],
)
async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    await refused_unchanged(path, "damaged|cannot be opened")


@pytest.mark.parametrize("page", range(0, 20, 3))
async def test_a_database_with_a_destroyed_page_is_left_alone(tmp_path: Path, page: int) -> None:
    path = tmp_path / "a.db"
    await filled(path)
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xa5" * 4096)
    await refused_unchanged(path, "damaged|cannot be opened")


async def test_a_truncated_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await filled(path)
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    await refused_unchanged(path, "damaged")


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # as the newer version might like it better
        connection.execute("INSERT INTO mcpward_schema VALUES (?)", (migrations.LATEST + 1,))
        connection.commit()
    await refused_unchanged(path, f"schema {migrations.LATEST + 1}")


async def test_a_newer_version_is_refused_by_the_migration_itself_too(tmp_path: Path, monkeypatch) -> None:
    """Another worker of a newer release may have come between the look and the lock."""
    path = tmp_path / "a.db"
    await filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO mcpward_schema VALUES (?)", (migrations.LATEST + 1,))
        connection.commit()
    monkeypatch.setattr(sqlite, "_look", lambda path: None)
    await refused_unchanged(path, f"schema {migrations.LATEST + 1}")


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (id)")
    await refused_unchanged(path, "another program")


async def test_attack_91_a_database_of_another_master_key_is_left_alone(tmp_path: Path) -> None:
    """Never written with a new key."""
    path = tmp_path / "a.db"
    await filled(path)
    await refused_unchanged(path, "master key", ("bb",))
    for ring in (["bb", "aa"], ["bb"]):  # rotated, then the old one retired
        await (await open_store(url(path), CLOCK, ring)).close()
    await refused_unchanged(path, "master key", ("cc",))


@pytest.mark.parametrize(
    "text", ["", "mysql://x", "sqlite://", "sqlite:///:memory:", "nonsense", "postgresql+psycopg2://u:canary@h/d"]
)
async def test_a_url_that_is_no_store_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        await open_store(text, CLOCK)
    assert "canary" not in repr(refused.value.findings)


async def test_a_folder_in_the_files_place_is_one_finding(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be opened"):
        await open_store(url(tmp_path), CLOCK)


async def test_a_locked_database_is_out_of_reach(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.db"
    await filled(path)
    monkeypatch.setattr(sqlite, "BUSY_MS", 50)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match="locked"):
            await open_store(url(path), CLOCK)


async def test_a_failing_step_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.db"
    broken = (*migrations.STEPS[0], "CREATE TABLE broken (")
    monkeypatch.setattr(migrations, "STEPS", (broken,))
    with pytest.raises(Unreachable):
        await open_store(url(path), CLOCK)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    await (await open_store(url(path), CLOCK)).close()


async def test_workers_of_one_process_open_a_new_store_at_once(tmp_path: Path) -> None:
    stores = await asyncio.gather(*(open_store(url(tmp_path / "a.db"), CLOCK, ["aa"]) for _ in range(6)))
    for store in stores:
        await store.ping()
        await store.close()


WORKER = """
import asyncio, sys
from mcpward.core.clock import SystemClock
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue
from mcpward.vault.vault_entry import VaultEntry
from support.store import open_store

async def work(url, count):
    store = await open_store(url, SystemClock(), ["aa"])
    for _ in range(count):
        _, record = issue(Pepper(b"p" * 32), SystemClock(), name="ann", servers=["orders"])
        await store.keys.add(record)
        print(record.id, flush=True)
    await store.close()

asyncio.run(work(sys.argv[1], int(sys.argv[2])))
"""


def worker(path: Path, count: int) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WORKER, url(path), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


async def test_processes_that_start_at_once_migrate_once_and_share_the_store(tmp_path: Path) -> None:
    path = tmp_path / "site" / "a.db"
    workers = [worker(path, 10) for _ in range(4)]
    said = [each.communicate(timeout=50)[0].split() for each in workers]
    assert [each.returncode for each in workers] == [0] * 4
    store = await open_store(url(path), CLOCK, ["aa"])
    assert {record.id for record in await store.keys.list()} == {key_id for each in said for key_id in each}
    assert max(key.revision for key in await store.keys.list()) == 40
    await store.close()


async def test_an_acknowledged_key_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    acknowledged: set[str] = set()
    for round_ in range(5):
        process = worker(path, 100_000)
        assert process.stdout is not None
        for _ in range(1 + 3 * round_):
            acknowledged.add(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait(timeout=10)
        process.stdout.close()
    store = await open_store(url(path), CLOCK, ["aa"])
    kept = {record.id for record in await store.keys.list()}
    await store.close()
    assert len(acknowledged) >= 35
    assert acknowledged <= kept


async def test_a_copy_taken_in_the_middle_of_writing_opens(tmp_path: Path) -> None:
    """The remains of a kill -9 of the machine: the file and its log without the shared memory."""
    path, copy = tmp_path / "a.db", tmp_path / "copy" / "a.db"
    copy.parent.mkdir()
    store = await open_store(url(path), CLOCK, ["aa"])
    async with store.vault.changing() as changes:
        await changes.put(VaultEntry("1", "secret", b"blob", 1.0, server="a", name="NAME"))
    for suffix in ("", "-wal", ".mark"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    await store.close()
    restored = await open_store(url(copy), CLOCK, ["aa"])
    assert [one.blob for one in await restored.vault.entries()] == [b"blob"]
    await restored.close()
