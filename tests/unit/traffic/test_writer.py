"""Small batches, a bounded queue that fails closed, and an outage that loses nothing (attack 109)."""

import asyncio

import pytest

from mcpward.traffic.record import Result
from mcpward.traffic.row import COLUMNS
from mcpward.traffic.writer import Writer
from support.clock import ManualClock
from support.records import a_record
from support.sink import SqliteSink
from support.values import a_principal


def record(n=0, outcome=Result.OK, *, principal=None, reason=None, arguments=None, at=0.0, peer="192.0.2.7"):
    chain = "refusals" if outcome is Result.REFUSED else "calls"
    given = {"id": f"{n:016x}", "at": at, "peer": peer, "principal": principal, "arguments": arguments, "chain": chain}
    return a_record(outcome, reason, **given)


def refusal(n=0, *, known, reason="rate-exceeded", peer="192.0.2.7"):
    return record(n, Result.REFUSED, reason=reason, principal=a_principal() if known else None, peer=peer)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in a file
            await asyncio.sleep(0.005)


async def test_records_are_written_in_order_in_batches_of_at_most_64(house):
    here = house(retention_days=36_500)
    for n in range(500):
        assert here.writer.offer(record(n))
    rows = await here.kept()
    assert [int(row["id"], 16) for row in rows] == list(range(500))
    assert here.sink.batches == [64] * 7 + [52]
    assert here.writer.depth == 0


async def test_batches_grow_while_records_pile_up_and_shrink_again(house):
    here = house(retention_days=36_500)
    for n in range(1000):
        assert here.writer.offer(record(n))
    rows = await here.kept()
    assert [int(row["id"], 16) for row in rows] == list(range(1000))
    assert here.sink.batches == [512] + [64] * 7 + [40]


async def test_a_single_record_is_written_without_waiting_for_others(house):
    here = house(retention_days=36_500)
    await here.writer.start()
    here.writer.offer(record())
    await until(here.sink.rows)
    here.writer.offer(record())
    await until(lambda: len(here.sink.rows()) == 2)
    await here.writer.stop()


async def test_a_full_queue_says_so_and_still_takes_calls_that_were_let_in(house):
    here = house(queue=100)
    for n in range(100):
        assert not here.writer.full
        assert here.writer.offer(record(n))
    assert here.traffic.full
    assert here.traffic.writer.refuses
    assert here.writer.offer(record(100))  # was running already
    assert not here.writer.offer(refusal(101, known=True))
    assert here.writer.metrics.lost == {}
    assert here.writer.metrics.refusals == {("orders", "rate-exceeded"): 1}
    rows = await here.kept()
    assert [row["count"] for row in rows if row["chain"] == "refusals"] == [1]  # counted, and reported later


async def test_a_flood_of_unknown_routes_hides_no_wrong_credential_and_stops_no_call(house):
    here = house(queue=100)
    flood = [refusal(n, known=False, reason="route-unknown", peer=f"192.0.2.{n % 250}") for n in range(1000)]
    assert sum(map(here.writer.offer, flood)) == 25
    tried = [refusal(n, known=False, reason="credential-invalid", peer=f"198.51.100.{n % 250}") for n in range(1000)]
    assert sum(map(here.writer.offer, tried)) == 25
    assert here.writer.depth == 50
    assert not here.writer.full
    assert here.writer.offer(refusal(known=True))
    assert here.writer.offer(record())
    rows = await here.kept()
    for reason in ("route-unknown", "credential-invalid"):
        assert sum(row["count"] or 1 for row in rows if row["reason"] == reason) == 1000


async def test_large_arguments_fill_the_queue_by_their_size(house):
    here = house()
    large = record(arguments=b"x" * 16_384)
    offered = 0
    while not here.writer.full:
        here.writer.offer(large)
        offered += 1
    assert offered == 4096


async def test_what_is_written_weighs_nothing_any_more(house):
    here = house(retention_days=36_500)
    for n in range(100):
        here.writer.offer(record(n, arguments=b"x" * n))
    await here.kept()
    assert here.writer._weight == 0


async def test_an_outage_of_the_store_loses_nothing_and_is_logged_once(house, caplog):
    here = house(retention_days=36_500)
    here.sink.lock()
    await here.writer.start()
    for n in range(130):
        here.writer.offer(record(n))
    await until(lambda: here.writer.metrics.failed_writes >= 2)
    assert here.writer.depth == 130  # what is not written counts against the queue
    here.sink.unlock()
    await here.writer.stop()
    assert len(here.sink.rows()) == 130
    assert caplog.text.count("cannot be written") == 1
    assert caplog.text.count("written again") == 1


async def test_stopping_without_a_store_ends_in_time_and_says_what_is_lost(house, caplog):
    here = house()
    here.sink.lock()
    await here.writer.start()
    here.writer.offer(record())
    async with asyncio.timeout(5):
        await here.writer.stop(patience_s=0.05)
    here.sink.unlock()
    assert "records lost" in caplog.text


async def test_old_records_are_forgotten_at_the_start(house):
    here = house(retention_days=30)
    day_s = 86_400.0
    for days in (31, 29):
        row = here.writer.rows.of(record(days, at=here.clock.now() - days * day_s))
        await here.sink.append_intent(COLUMNS, row)
    await here.writer.start()
    await until(lambda: len(here.sink.rows()) == 1)
    await here.writer.stop()
    assert int(here.sink.rows()[0]["id"], 16) == 29


async def test_the_event_loop_turns_while_the_store_writes(house):
    here = house(retention_days=36_500)
    for n in range(640):
        here.writer.offer(record(n))
    turns = 0
    await here.writer.start()

    async def turn():
        nonlocal turns
        while here.writer.depth:
            turns += 1
            await asyncio.sleep(0)

    await turn()
    await here.writer.stop()
    assert turns > 10


async def test_a_writer_can_be_started_again(house):
    here = house(retention_days=36_500)
    for n in range(2):
        here.writer.offer(record(n))
        assert len(await here.kept()) == n + 1


def test_records_may_be_offered_before_any_loop_runs(tmp_path):
    writer = Writer(SqliteSink(tmp_path / "traffic.db"), ManualClock())
    assert writer.offer(record())


@pytest.mark.parametrize("n", [1, 63, 64, 65, 128])
async def test_whatever_number_waits_is_written_by_a_stop(house, n):
    here = house(retention_days=36_500)
    await here.writer.start()
    for i in range(n):
        here.writer.offer(record(i))
    await here.writer.stop()
    assert len(here.sink.rows()) == n


async def test_counted_rows_wait_for_their_turn_and_take_no_place_of_calls(house):
    here = house(queue=400, retention_days=36_500)
    for n in range(2000):
        peer = f"192.0.{n // 250}.{n % 250}"
        here.writer.offer(refusal(n, known=False, reason="credential-invalid", peer=peer))
    here.writer.close_window()
    for n in range(199):
        assert here.writer.offer(record(n))
    assert not here.writer.full
    rows = await here.kept()
    assert sum(row["count"] or 1 for row in rows if row["chain"] == "refusals") == 2000


async def test_a_row_that_was_counted_is_counted_once(house):
    here = house(retention_days=36_500)
    for n in range(100):
        here.writer.offer(refusal(n, known=False, reason="route-unknown"))
    await here.kept()
    assert here.writer.metrics.refusals == {("orders", "route-unknown"): 100}


async def test_while_nothing_can_be_recorded_calls_are_refused_or_run_unrecorded_and_are_counted(house, caplog):
    refuses, continues = house(queue=10), house(queue=10, when_full="continue")
    for here in (refuses, continues):
        for n in range(10):
            here.writer.offer(record(n))
        assert here.traffic.full
    assert refuses.traffic.writer.refuses
    assert not continues.traffic.writer.refuses
    for n in range(5):
        assert not continues.writer.offer(record(n))
    assert continues.writer.depth == 10
    assert continues.writer.metrics.counters["mcpward_traffic_calls_unrecorded"]() == 5
    assert continues.writer.metrics.lost == {("orders", ""): 5}
    assert continues.writer.offer(record(11), always=True)  # its intent is on record
    assert caplog.text.count("unrecorded") == 1
    continues.clock.advance(60.0)
    continues.writer.offer(record(12))
    assert caplog.text.count("unrecorded") == 2


async def test_a_full_disk_lets_nothing_in_at_once_and_is_over_by_itself(house, caplog):
    here = house(retention_days=36_500)
    await here.writer.start()
    here.sink.is_full = True
    here.writer.offer(record())
    await until(lambda: here.writer.full)
    assert not here.writer.is_recording
    here.sink.is_full = False
    await until(lambda: here.writer.is_recording)
    await here.writer.stop()
    assert len(here.sink.rows()) == 1
    assert caplog.text.count("the disk is full") == 1
