"""The record within its size and the disk's, the oldest first (attack 126); whether it can be written (attack 127)."""

import pytest

from mcpward.traffic.metrics import Metrics
from mcpward.traffic.record import CALLS, REFUSALS, Result
from mcpward.traffic.row import COLUMNS, RowMaker
from mcpward.traffic.upkeep import Upkeep
from support.clock import ManualClock
from support.records import a_record
from support.sink import SqliteSink

MIB = 1024**2
ROW = 1024


@pytest.fixture
def sink(tmp_path):
    sink = SqliteSink(tmp_path / "traffic.db")
    sink.row_bytes = ROW
    return sink


def upkeep(sink, max_size=4 * MIB):
    return Upkeep(sink, ManualClock(), Metrics(), retention_days=36_500, max_size=max_size)


async def fill(sink, chain, rows):
    outcome = Result.REFUSED if chain == REFUSALS else Result.OK
    await sink.append(COLUMNS, RowMaker().all([a_record(outcome, chain=chain, id=f"{chain}{n}") for n in range(rows)]))


async def test_within_its_size_nothing_goes(sink):
    await fill(sink, REFUSALS, 2000)
    await fill(sink, CALLS, 2000)
    await upkeep(sink).bound()
    assert await sink.counts() == {CALLS: 2000, REFUSALS: 2000}


async def test_refusals_go_first_and_the_oldest_of_them(sink):
    await fill(sink, CALLS, 3000)
    await fill(sink, REFUSALS, 3000)
    await upkeep(sink).bound()
    counts = await sink.counts()
    assert counts[CALLS] == 3000
    assert sum(counts.values()) * ROW <= 4 * MIB
    ids = [row["id"] for row in sink.rows() if row["chain"] == REFUSALS]
    assert ids == [f"refusals{n}" for n in range(3000 - len(ids), 3000)]


async def test_calls_go_when_refusals_are_within_their_eighth(sink):
    await fill(sink, REFUSALS, 500)
    await fill(sink, CALLS, 8000)
    await upkeep(sink).bound()
    counts = await sink.counts()
    assert counts[REFUSALS] == 500
    assert sum(counts.values()) * ROW <= 4 * MIB
    assert sink.rows()[-1]["id"] == "calls7999"


async def test_the_record_makes_room_for_itself_before_the_disk_is_full(sink):
    await fill(sink, CALLS, 1000)
    sink.growth = 10 * MIB
    await upkeep(sink).bound()
    assert (await sink.counts())[CALLS] == 1000
    sink.growth = 0
    await upkeep(sink).bound()
    assert (await sink.counts()).get(CALLS, 0) < 1000


async def test_what_was_removed_and_what_is_used_is_in_the_metrics(sink):
    await fill(sink, CALLS, 5000)
    metrics = Metrics()
    keeper = Upkeep(sink, ManualClock(), metrics, retention_days=36_500, max_size=4 * MIB)
    await keeper.tick(0)
    await keeper.keep_bounds()
    kept = (await sink.counts())[CALLS]
    assert metrics.counters["mcpward_traffic_rows_removed"]() == 5000 - kept
    assert metrics.gauges["mcpward_traffic_size_bytes"]() == kept * ROW
    assert metrics.gauges["mcpward_traffic_max_size_bytes"]() == 4 * MIB
    assert metrics.gauges["mcpward_traffic_writable"]()


async def test_a_full_disk_is_seen_by_the_next_look_and_its_end_too(sink, caplog):
    keeper = upkeep(sink)
    await keeper.tick(1)
    assert keeper.can_write
    sink.is_full = True
    await keeper.tick(2)
    assert keeper.is_full
    assert not keeper.can_write
    await keeper.tick(3)
    sink.is_full = False
    await keeper.tick(4)
    assert keeper.can_write
    assert caplog.text.count("the disk is full") == 1
    assert caplog.text.count("space again") == 1


async def test_a_store_that_is_locked_is_seen_and_is_no_full_disk(sink):
    keeper = upkeep(sink)
    sink.lock()
    await keeper.tick(0)
    assert not keeper.can_write
    assert not keeper.is_full
    sink.unlock()
    await keeper.tick(1)
    assert keeper.can_write


async def test_the_reserve_and_the_log_are_looked_after(sink):
    keeper = upkeep(sink)
    for number in range(10):
        await keeper.tick(number)
    assert sink.tended == 2
