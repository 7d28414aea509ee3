import pytest
from msgspec.structs import replace

from mcpward.core.errors import Untrusted
from mcpward.storage.journal import Journal
from mcpward.storage.sessions import EndedSessions
from mcpward.storage.tables import ENDED
from mcpward.vault.vault_entry import VaultEntry


async def test_an_ended_session_is_seen_by_the_other_worker_until_it_is_forgotten(opener) -> None:
    one, two = await opener(), await opener()
    await one.sessions.end("s1", forget_at=10.0)
    await one.sessions.end("s1", forget_at=99.0)
    await one.sessions.end("s2", forget_at=20.0)
    followed = two.sessions.follow()
    assert await followed.news() == [("s1", 10.0), ("s2", 20.0)]
    assert await followed.news() == []
    await two.sessions.prune(now=10.0)
    assert await one.sessions.follow().news() == [("s2", 20.0)]
    await two.sessions.prune(now=10.0)
    await one.sessions.end("s3", forget_at=30.0)
    assert await followed.news() == [("s3", 30.0)]


async def test_rows_of_the_vault_are_changed_and_seen_by_the_other_worker(opener) -> None:
    one, two = await opener(), await opener()
    followed = two.vault.follow()
    first = VaultEntry("1", "secret", b"\x00\xff", 1.0, server="a", name="NAME", version=1, hosts=("x.example",))
    async with one.vault.changing() as changes:
        await changes.put(VaultEntry("k", "key", b"key", 0.5))
        await changes.put(first)
    _, seen = await followed.news()
    assert {each.id for each in seen} == {"1", "k"}
    (kept,) = [each for each in await two.vault.entries() if each.kind == "secret"]
    assert replace(kept, revision=0) == first
    async with one.vault.changing() as changes:
        await changes.put(replace(first, ends_at=9.0))
        await changes.put(VaultEntry("2", "secret", b"newer", 2.0, server="a", name="NAME", version=2))
        assert {each.id for each in changes.entries} == {"1", "2", "k"}
    assert await two.vault.servers() == {"a": 1}
    _, seen = await followed.news()
    assert {(each.id, each.ends_at) for each in seen} == {("1", 9.0), ("2", None)}
    await two.vault.touch({("a", "NAME"): 77.0})
    assert {each.id: each.last_used_at for each in await one.vault.entries()} == {"1": None, "2": 77.0, "k": None}
    async with two.vault.changing() as changes:
        for each in changes.entries:
            if each.kind == "secret":
                await changes.remove(each)
    is_whole, seen = await followed.news()
    assert is_whole
    assert [each.id for each in seen] == ["k"]


async def test_a_row_that_was_written_without_the_master_key_is_not_taken(opener) -> None:
    store = await opener()
    async with store.vault.changing() as changes:
        await changes.put(VaultEntry("1", "secret", b"blob", 1.0, server="a", name="NAME", hosts=("x.example",)))
    async with store._connections.durable() as connection:
        await connection.exec_driver_sql("UPDATE vault SET hosts = '[]'")
    with pytest.raises(Untrusted):
        await store.vault.entries()


async def test_more_ended_sessions_than_workers_remember_are_not_kept(store) -> None:
    """Attack 126: a caller that may begin a session may end it, as often as its rate allows."""
    table = EndedSessions(Journal(store._connections, store._integrity, "sessions", ENDED, capacity=3))
    reader = table.follow()
    for number in range(10):
        await table.end(f"s{number}", 100.0)
        await reader.news()
    assert [session for session, _ in await table.follow().news()] == ["s7", "s8", "s9"]
    while not await reader.audit():
        pass
