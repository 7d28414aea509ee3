"""The traffic package's needs of a store, on the store that ships: all rows, intents at once, old ones gone."""

import asyncio

import pytest

from mcpward.core.clock import SystemClock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Reply
from mcpward.storage.traffic import COLUMNS
from mcpward.storage.traffic_filter import TrafficFilter
from mcpward.traffic.line import line
from mcpward.traffic.row import COLUMNS as OF_A_ROW
from mcpward.traffic.trail import Traffic
from mcpward.traffic.writer import Writer
from support.records import followed
from support.store import open_store
from support.values import a_call, a_tool, accepted, an_arrival

OK = Reply(status=200, body=b"{}")
NASTY = "line\nbreak \x1b[31m \x00 \ud800 \U000e0041 \u202e"


@pytest.fixture
async def house(tmp_path):
    clock = SystemClock()
    store = await open_store(f"sqlite:///{tmp_path / 'mcpward.db'}", clock)
    writer = Writer(store.record, clock)
    await writer.start()
    yield store.traffic, writer, Traffic(writer, clock, bytes)
    await writer.stop()
    await store.close()


def follow(traffic, clock, reply=OK, **changes):
    return followed(traffic, an_arrival(at=clock.now(), started=clock.monotonic(), **changes), reply)


def test_a_row_has_a_value_for_every_column_of_the_table_and_no_other():
    assert sorted(OF_A_ROW) == sorted(COLUMNS)


async def test_every_record_is_kept_in_order(house):
    table, writer, traffic = house
    for n in range(500):
        with follow(traffic, traffic.clock, id=f"{n:016x}") as trail:
            trail.call, trail.tool = a_call(), a_tool()
    await writer.stop()
    rows = await table.select(TrafficFilter(limit=1000, newest_first=False))
    assert [int(row["id"], 16) for row in rows] == list(range(500))
    assert {row["outcome"] for row in rows} == {"ok"}


async def test_110_whatever_a_caller_writes_is_kept_and_comes_out_as_one_line(house):
    table, writer, traffic = house
    with follow(traffic, traffic.clock, reply=Reply(status=400, reason="tool-unknown")) as trail:
        trail.call = a_call(target=NASTY, method=NASTY, arguments=b'{"a":"\xc2\x9b\xe2\x80\xae"}')
    await writer.stop()
    (row,) = await table.select(TrafficFilter())
    assert line(row).isprintable()
    assert line(row).isascii()


async def test_an_intent_is_readable_when_it_returns_and_its_end_has_the_same_id(house):
    table, writer, traffic = house
    tool = a_tool("cancel_order", Access.DESTRUCTIVE)
    with follow(traffic, traffic.clock) as trail:
        await trail.intent(accepted(a_call(target="cancel_order"), tool))
        (intent,) = await table.select(TrafficFilter())
        assert (intent["phase"], intent["tool"]) == ("intent", "cancel_order")
    await writer.stop()
    end, _ = await table.select(TrafficFilter())
    assert (end["phase"], end["id"]) == ("done", intent["id"])


async def test_intents_of_parallel_calls_are_all_kept(house):
    table, _, traffic = house
    tool = a_tool("cancel_order", Access.DESTRUCTIVE)

    async def call(n):
        with follow(traffic, traffic.clock, id=f"{n}") as trail:
            await trail.intent(accepted(a_call(), tool))

    await asyncio.gather(*[call(n) for n in range(40)])
    rows = await table.select(TrafficFilter(limit=1000))
    assert {row["id"] for row in rows if row["phase"] == "intent"} == {str(n) for n in range(40)}


async def test_a_destructive_call_is_refused_when_the_store_is_gone(tmp_path):
    clock = SystemClock()
    store = await open_store(f"sqlite:///{tmp_path / 'mcpward.db'}", clock)
    traffic = Traffic(Writer(store.record, clock), clock, bytes)
    await store.close()
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    (tmp_path / "mcpward.db").mkdir()
    with follow(traffic, clock) as trail, pytest.raises(Refusal) as no:
        await trail.intent(accepted(a_call(), a_tool("cancel_order", Access.DESTRUCTIVE)))
    assert no.value.reason is Reason.BUSY


async def test_what_is_past_its_time_is_forgotten(house):
    table, writer, traffic = house
    now = traffic.clock.now()
    for days in (31, 29):
        with followed(traffic, an_arrival(id=f"{days}", at=now - days * 86_400.0), OK) as trail:
            await trail.intent(accepted(a_call(), a_tool("cancel_order", Access.DESTRUCTIVE)))
        await writer.stop()  # all is written: an outcome behind a younger record would stay as long as that
        await writer.start()
    await table.prune(now - 30 * 86_400.0)
    assert {row["id"] for row in await table.select(TrafficFilter())} == {"29"}
