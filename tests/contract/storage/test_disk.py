"""The space on the disk for keys, and the reserve of revocations (attack 127). The disk is a real one."""

import os
import stat

import pytest

from mcpward.storage.disk import Disk, is_full
from mcpward.traffic.row import COLUMNS
from mcpward.traffic.sink import NoRoom
from support.records import keep

MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "mcpward.db")


def test_the_reserve_is_made_of_real_blocks_and_is_private(disk, tmp_path):
    disk.fill_reserve()
    made = (tmp_path / "mcpward.db-reserve").stat()
    assert made.st_size == disk.reserve == 4 * MIB
    assert made.st_blocks * 512 >= disk.reserve
    assert stat.S_IMODE(made.st_mode) == 0o600
    assert disk.has_reserve


def test_a_hole_is_no_reserve(disk, tmp_path):
    path = tmp_path / "mcpward.db-reserve"
    path.touch()
    os.truncate(path, disk.reserve)
    assert not disk.has_reserve
    disk.fill_reserve()
    assert disk.has_reserve


def test_the_reserve_is_given_up_on_a_full_disk_only_and_once(disk):
    disk.fill_reserve()
    assert not disk.release_reserve()
    disk.floor = disk.free() + 64 * MIB
    assert disk.release_reserve()
    assert not disk.has_reserve
    assert not disk.release_reserve()


def test_the_reserve_is_not_filled_where_that_would_fill_the_disk(disk):
    disk.floor = disk.free()
    disk.fill_reserve()
    assert not disk.has_reserve


def test_a_reserve_that_is_a_link_is_not_followed(disk, tmp_path):
    (tmp_path / "elsewhere").touch()
    (tmp_path / "mcpward.db-reserve").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        disk.fill_reserve()
    assert not (tmp_path / "elsewhere").stat().st_size


async def test_the_record_leaves_room_and_everything_else_is_written_still(store):
    disk = store._connections.disk
    if disk is None:
        return
    await store.record.try_write()
    disk.floor = disk.free() + 64 * MIB
    with pytest.raises(NoRoom):
        await store.record.append(COLUMNS, [(None,) * len(COLUMNS)])
    with pytest.raises(NoRoom):
        await store.record.try_write()
    await store.sessions.end("a session", 1.0)  # an act of an operator takes the same way
    usage = await store.record.usage()
    assert usage.growth == 0
    assert await store.record.prune(before=1.0) == 0


async def test_usage_follows_what_is_kept_and_what_is_removed(store):
    if store._connections.disk is None:
        return
    empty = (await store.record.usage()).used
    rows = [{"id": "r", "at": 1.0, "phase": "done", "arguments": "x" * 1000}] * 2000
    await keep(store.traffic, *rows)
    full = await store.record.usage()
    assert 2_000_000 < full.used - empty < 3_000_000
    while await store.record.prune_oldest("calls", 500):
        pass
    after = await store.record.usage()
    assert after.used - empty < 100_000
    assert after.free > 1_900_000


async def test_results_of_tasks_do_not_count_as_record(store):
    """They have a bound of their own, and would else push the record out."""
    if store._connections.disk is None:
        return
    before = (await store.record.usage()).used
    async with store._connections.bulk() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO tasks (id, owner, server, tool, worker, status, created_at, updated_at, expires_at, beat_at,"
            " ending, is_cancel_asked, size) VALUES ('a', 'o', 's', 't', 'w', 'completed', 0, 0, 9e9, 0,"
            " ?, 0, 4000000)",
            ("x" * 4_000_000,),
        )
    assert (await store.record.usage()).used - before < 100_000


async def test_a_log_that_has_grown_is_cut_off(store, opener):
    connections = store._connections
    if connections.disk is None:
        return
    await keep(store.traffic, *[{"id": "r", "at": 1.0, "phase": "done", "arguments": "x" * 4000}] * 1000)
    assert connections.disk.log_size() > MIB
    await connections.cut_log()
    assert connections.disk.log_size() == 0
    await store.record.tend()
    assert connections.disk.has_reserve


def test_other_errors_are_no_full_disk():
    assert is_full(NoRoom())
    assert not is_full(ValueError())
    assert not is_full(None)
