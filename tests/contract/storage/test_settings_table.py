import asyncio

import pytest

from mcpward.core.errors import Refusal
from mcpward.messaging.session_record import SessionRecord
from mcpward.storage.settings import SettingsTable


def blank(session: str = "s1", principal: str = "api-key:ann", forget_at: float = 100.0) -> SessionRecord:
    return SessionRecord(session=session, principal=principal, forget_at=forget_at)


def subscribe(uri: str):
    return lambda record: record.subscribed(uri)


async def test_a_setting_is_seen_by_the_other_worker_and_the_next_start(opener) -> None:
    one, two = await opener(), await opener()
    await one.settings.change(blank(), lambda record: record.at_level("debug"))
    await two.settings.change(blank(forget_at=999.0), subscribe("orders://schema"))
    kept = await one.settings.change(blank(), subscribe("orders://é"))
    assert (kept.level, kept.uris, kept.forget_at) == ("debug", {"orders://schema", "orders://é"}, 100.0)
    revision, records = await (await opener()).settings.changed_since(0)
    assert records == [kept]
    assert await two.settings.changed_since(revision) == (revision, [])
    await one.settings.change(blank("s2"), lambda record: record.at_level("error"))
    assert [record.session for record in (await two.settings.changed_since(revision))[1]] == ["s2"]


async def test_what_changes_nothing_is_not_written(store) -> None:
    assert await store.settings.change(blank(), lambda record: record.unsubscribed("orders://x")) == blank()
    assert await store.settings.changed_since(0) == (0, [])
    kept = await store.settings.change(blank(), subscribe("orders://x"))
    assert await store.settings.change(blank(), subscribe("orders://x")) == kept
    assert await store.settings.changed_since(0) == (kept.revision, [kept])


async def test_a_refused_change_leaves_nothing_behind(store) -> None:
    kept = await store.settings.change(blank(), subscribe("orders://x"))
    with pytest.raises(Refusal):
        await store.settings.change(blank(), lambda record: record.at_level("loud"))
    assert await store.settings.changed_since(0) == (kept.revision, [kept])


async def test_a_callers_oldest_session_is_forgotten_and_no_one_elses(store) -> None:
    table = SettingsTable(store._connections, per_principal=2)
    for session, principal in (("b1", "bob"), ("a1", "ann"), ("a2", "ann")):
        await table.change(blank(session, principal), lambda record: record.at_level("info"))
    await table.change(blank("a1", "ann"), lambda record: record.at_level("error"))  # now a2 is the oldest
    await table.change(blank("a3", "ann"), lambda record: record.at_level("info"))
    assert [record.session for record in (await table.changed_since(0))[1]] == ["b1", "a1", "a3"]


async def test_the_oldest_session_of_all_is_forgotten_when_there_are_too_many(store) -> None:
    table = SettingsTable(store._connections, capacity=3)
    for number in range(5):
        await table.change(blank(f"s{number}", f"p{number}"), lambda record: record.at_level("info"))
    assert [record.session for record in (await table.changed_since(0))[1]] == ["s2", "s3", "s4"]


async def test_what_has_run_out_or_was_ended_is_forgotten(opener) -> None:
    one, two = await opener(), await opener()
    for session, forget_at in (("s1", 10.0), ("s2", 20.0), ("s3", 30.0)):
        await one.settings.change(blank(session, forget_at=forget_at), lambda record: record.at_level("info"))
    await two.settings.prune(now=10.0)
    await two.settings.prune(now=10.0)
    await two.settings.forget("s3")
    await two.settings.forget("s3")
    assert [record.session for record in (await one.settings.changed_since(0))[1]] == ["s2"]


async def test_workers_that_change_one_session_at_once_lose_nothing(opener) -> None:
    workers = [await opener() for _ in range(4)]
    uris = [f"orders://{number}" for number in range(24)]
    await asyncio.gather(*(workers[at % 4].settings.change(blank(), subscribe(uri)) for at, uri in enumerate(uris)))
    revision, records = await workers[0].settings.changed_since(0)
    assert revision == 24
    assert [record.uris for record in records] == [frozenset(uris)]
