import asyncio
import gc
import itertools
import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from mcpward.storage.traffic import COLUMNS
from mcpward.storage.traffic_filter import TrafficFilter
from mcpward.traffic.chain import CHAINS
from support.records import keep, keep_intent

NUMBERS = ("at", "status", "duration_us", "bytes_in", "bytes_out", "count", "last_at")
#: Records go to SQLite without SQLAlchemy in between.
REFUSED = (IntegrityError, sqlite3.IntegrityError)


def row(**fields: Any) -> dict[str, Any]:
    return {"id": "r", "at": 1.0, "phase": "done", "server": "orders"} | fields


async def ids(store, **wanted: Any) -> list[str]:
    return [each["id"] for each in await store.traffic.select(TrafficFilter(**({"newest_first": False} | wanted)))]


async def test_every_column_comes_back_and_what_is_missing_is_null(store) -> None:
    full = {name: name for name in COLUMNS} | {
        "at": 1.5,
        "status": 200,
        "duration_us": 3_000_000_000,
        "bytes_in": 1,
        "bytes_out": 2**40,
        "count": 2**40,
        "last_at": 2.5,
        "chain": "refusals",
    }
    await keep(store.traffic, full, row())
    first, second = await store.traffic.select(TrafficFilter(newest_first=False))
    assert first == full | {"seq": 1}
    assert second == dict.fromkeys(COLUMNS) | {"chain": "calls"} | row() | {"seq": 2}


@pytest.mark.parametrize("size", [1, 15, 16, 17, 64, 85, 300])
async def test_rows_come_back_in_their_order_whatever_they_have_in_common(store, size: int) -> None:
    batches = [
        [row()] * size,
        [row(id=f"{n}") for n in range(size)],
        [row(id=f"{n}", reason="busy" if n == size - 1 else None, status=200 + n % 2) for n in range(size)],
        [
            row(**{name: n if name in NUMBERS else f"{name}{n}" for name in COLUMNS} | {"chain": CHAINS[n % 2]})
            for n in range(size)
        ],
    ]
    for batch in batches:
        await keep(store.traffic, *batch)
    kept = await store.traffic.select(TrafficFilter(newest_first=False, limit=10_000))
    assert kept == [
        dict.fromkeys(COLUMNS) | {"chain": "calls"} | each | {"seq": seq}
        for seq, each in enumerate(itertools.chain(*batches), start=1)
    ]


async def test_texts_are_kept_as_they_are_and_never_become_statements(store) -> None:
    """Attacks 68 and 110: quotes, line ends, control characters."""
    nasty = ["'; DROP TABLE traffic; --", 'a\nb\r"\x1b[31m', "?", ":tool", "%s", "{blob}"]
    await keep(store.traffic, *[row(tool=text) for text in nasty])
    assert [each["tool"] for each in await store.traffic.select(TrafficFilter(newest_first=False))] == nasty
    for text in nasty:
        assert len(await ids(store, tool=text)) == 1


@pytest.mark.parametrize("name", ["server", "tool", "principal", "key_id", "reason", "outcome", "peer"])
async def test_each_filter_selects(store, name: str) -> None:
    await keep(store.traffic, row(id="yes", **{name: "x"}), row(id="no", **{name: "y"}), row(id="null", **{name: None}))
    assert await ids(store, **{name: "x"}) == ["yes"]


async def test_a_limit_is_found_where_it_refused_and_where_it_would_have(store) -> None:
    await keep(
        store.traffic,
        row(id="refused", limit_name="stripe"),
        row(id="would", would_refuse="read,stripe"),
        row(id="other", limit_name="stripe2", would_refuse="xstripe,stripe-eu,str_pe"),
        row(id="none"),
    )
    assert await ids(store, by_limit="stripe") == ["refused", "would"]
    assert await ids(store, by_limit="stripe", would_refuse=True) == ["would"]
    assert await ids(store, would_refuse=True) == ["would", "other"]
    assert await ids(store, by_limit="str_pe") == ["other"]
    for nothing in ("%", "_", "stripe,", "read,stripe2", "' OR 1=1 --", ""):
        assert await ids(store, by_limit=nothing) == []


async def test_times_order_and_limit(store) -> None:
    await keep(store.traffic, *[row(id=str(at), at=float(at)) for at in range(6)])
    assert await ids(store, since=1.0, until=3.0) == ["1", "2"]
    assert await ids(store, limit=2) == ["0", "1"]
    assert await ids(store, limit=2, newest_first=True) == ["5", "4"]


async def test_following_sees_each_record_once(opener) -> None:
    one, two = await opener(), await opener()
    await keep(one.traffic, row(id="1"), row(id="2"))
    seen = await two.traffic.select(TrafficFilter(newest_first=False))
    await keep(one.traffic, row(id="3"))
    assert await ids(two, after_id=seen[-1]["seq"]) == ["3"]


async def test_a_number_is_not_given_twice_when_all_records_are_gone(store) -> None:
    await keep(store.traffic, row(at=1.0), row(at=2.0))
    assert await store.traffic.prune(before=2.0) == 1
    assert await store.traffic.prune(before=3.0) == 1
    await keep(store.traffic, row(id="next"))
    assert await ids(store, after_id=2) == ["next"]


async def test_a_batch_is_kept_whole_or_not_at_all(store) -> None:
    with pytest.raises(REFUSED):
        await keep(store.traffic, row(), row(phase=None))
    assert await ids(store) == []
    await store.traffic.append(COLUMNS, [])
    await keep(store.traffic, row())
    assert await ids(store) == ["r"]


async def test_an_error_of_the_database_does_not_quote_the_record(store) -> None:
    """Attack 85: an exception's text goes to the log."""
    with pytest.raises(REFUSED) as failed:
        await keep(store.traffic, row(phase=None, arguments="canary-value"))
    with pytest.raises(REFUSED) as failed_alone:
        await keep_intent(store.traffic, row(phase=None, arguments="canary-value"))
    assert "canary" not in f"{failed.value} {failed.value!r} {failed_alone.value} {failed_alone.value!r}"


async def test_batches_and_intents_of_several_workers_do_not_lock_each_other_out(opener) -> None:
    stores = [await opener() for _ in range(3)]
    batches = [keep(store.traffic, *[row()] * 64) for store in stores for _ in range(5)]
    intents = [keep_intent(store.traffic, row(id="intent", phase="intent")) for store in stores for _ in range(10)]
    await asyncio.gather(*batches, *intents)
    assert len(await ids(stores[0], limit=10_000)) == 3 * (5 * 64 + 10)


async def test_a_write_cancelled_at_any_moment_leaves_the_store_usable_and_nothing_open(store) -> None:
    for steps in range(0, 900, 15):
        task = asyncio.create_task(keep_intent(store.traffic, row()))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(keep_intent(store.traffic, row(id="after")), 10)
    assert "after" in await ids(store)
    gc.collect()  # a lost connection is reported here, as a warning: an error


def rows_of(chain: str, count: int) -> list[dict[str, Any]]:
    return [row(id=f"{chain}{n}", chain=chain) for n in range(count)]


async def test_the_oldest_of_a_chain_go_and_the_other_chain_stays(store) -> None:
    await keep(store.traffic, *rows_of("calls", 3), *rows_of("refusals", 5), *rows_of("calls", 2))
    assert await store.traffic.counts() == {"calls": 5, "refusals": 5}
    assert await store.traffic.prune_oldest("refusals", 2) == 2
    assert await store.traffic.prune_oldest("calls", 4) == 4
    assert await ids(store) == ["refusals2", "refusals3", "refusals4", "calls1"]
    assert await store.traffic.prune_oldest("refusals", 10) == 3
    assert await store.traffic.prune_oldest("refusals", 10) == 0
    assert await store.traffic.counts() == {"calls": 1, "refusals": 0}


async def test_the_oldest_refusals_are_found_by_their_index(store) -> None:
    """However many calls lie before them: a flood must not make the store look through the whole record."""
    if store._connections.dialect != "sqlite":
        return
    plan = "EXPLAIN QUERY PLAN SELECT seq FROM traffic WHERE chain = 'refusals' ORDER BY seq LIMIT 10"
    async with store._connections.read() as connection:
        assert "traffic_refusals" in str((await connection.exec_driver_sql(plan)).all())


async def test_a_record_verifies_whoever_wrote_it_and_whatever_was_pruned(opener) -> None:
    stores = [await opener() for _ in range(2)]
    for at in (1.0, 2.0):
        await asyncio.gather(
            *[
                keep(store.traffic, *[row(at=at, chain="refusals" if n % 3 else "calls") for n in range(20)])
                for store in stores
            ],
            *[keep_intent(store.traffic, row(at=at, phase="intent")) for store in stores],
        )
    seen: list[tuple[int, int]] = []
    report = await stores[0].traffic.verify(lambda done, of: seen.append((done, of)))
    assert (report.findings, report.gaps, report.records, report.uncovered) == ((), (), 84, 0)
    assert await stores[1].traffic.prune(before=2.0) == 42
    report = await stores[0].traffic.verify()
    assert (report.findings, report.records) == ((), 42)
    assert [chain.since for chain in report.chains] == [2.0, 2.0]
    assert await stores[0].traffic.prune_oldest("refusals", 5) == 5
    await keep(stores[1].traffic, row(outcome="ok"))
    report = await stores[1].traffic.verify()
    assert (report.findings, report.records) == ((), 38)


async def test_a_row_that_was_changed_removed_or_added_is_named(opener) -> None:
    one = await opener()
    await keep(one.traffic, *[row(id=str(n)) for n in range(9)])
    for statement, kind, seq in (
        ("UPDATE traffic SET server = 'other' WHERE seq = 7", "changed", 7),
        ("DELETE FROM traffic WHERE seq IN (4, 5)", "removed", 6),
        ("INSERT INTO traffic (seq, id, at, phase, chain) VALUES (90, 'r', 1.0, 'done', 'calls')", "removed", 6),
        ("DELETE FROM traffic WHERE seq BETWEEN 6 AND 9", "added", 90),
        ("DELETE FROM traffic WHERE seq = 90", "removed", 3),
        ("DELETE FROM traffic_state", "state", None),
    ):
        async with one._connections.durable() as connection:
            await connection.exec_driver_sql(statement)
        (first, *_) = (await one.traffic.verify()).findings
        assert (first.kind, first.seq) == (kind, seq), statement


async def test_a_stream_gives_what_a_filter_finds_once_and_oldest_first(store) -> None:
    await keep(store.traffic, *(row(id=f"{n}", tool="a" if n % 2 else "b", at=float(n)) for n in range(1201)))
    await keep(store.traffic, row(id="act", phase="act", way="operator"))
    seen: list[str] = []
    wanted = TrafficFilter(tool="a", since=3.0, until=1000.0, limit=1)
    assert await store.traffic.stream(wanted, lambda each: seen.append(each["id"])) == len(seen)
    assert seen == [f"{n}" for n in range(3, 1000, 2)]
    assert await store.traffic.count(wanted) == len(seen)
    assert await store.traffic.count(TrafficFilter()) == 1202
    assert await store.traffic.count(TrafficFilter(acts=False)) == 1201
    assert await ids(store, acts=True) == await ids(store, way="operator") == ["act"]
    assert await store.traffic.count(TrafficFilter(last_id=10, after_id=4)) == 6
    assert await store.traffic.known("tool") == ["a", "b"]


async def test_a_stream_narrowed_to_a_limit_has_no_other_rows_whatever_its_name_holds(store) -> None:
    await keep(store.traffic, row(id="1", would_refuse="read,write"), row(id="2", would_refuse="rea%"), row(id="3"))
    seen: list[str] = []
    for name in ("read", "rea%", "' OR 1=1 --"):
        await store.traffic.stream(TrafficFilter(by_limit=name), lambda each: seen.append(each["id"]))
    assert seen == ["1", "2"]
