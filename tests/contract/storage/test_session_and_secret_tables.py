from mcpward.storage.journal import Journal
from mcpward.storage.sessions import EndedSessions
from mcpward.storage.tables import ENDED


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


async def test_a_secret_has_one_place_by_server_and_name(opener) -> None:
    one, two = await opener(), await opener()
    await one.secrets.set("a", "NAME", b"\x00\xff")
    await one.secrets.set("a", "NAME", b"newer")
    await one.secrets.set("b", "NAME", b"other")
    assert await two.secrets.get("a", "NAME") == b"newer"
    assert await two.secrets.get("a", "name") is None
    assert await two.secrets.list("a") == {"NAME": b"newer"}
    assert await two.secrets.remove("a", "NAME") is True
    assert await two.secrets.remove("a", "NAME") is False
    assert await one.secrets.list("a") == {}
    assert await one.secrets.list("b") == {"NAME": b"other"}


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
