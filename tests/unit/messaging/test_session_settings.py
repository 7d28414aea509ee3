"""A session's settings hold at every worker, are bounded, and are forgotten with the session."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.messaging.session_record import LEVELS, MAX_URI_LENGTH, MAX_URIS, SessionRecord
from mcpward.messaging.session_settings import SessionSettings
from mcpward.messaging.settings_cache import SettingsCache
from support.clock import ManualClock
from support.facts import facts_of
from support.values import a_call, a_principal

DAY = 24 * 3600.0


class Shelf:
    """A store in memory, whose outages a test may order."""

    def __init__(self) -> None:
        self.rows: dict[str, SessionRecord] = {}
        self.revision = 0
        self.is_out = False
        self.polled = asyncio.Event()
        self.pruned_at: list[float] = []

    async def change(self, blank: SessionRecord, change: Callable[[SessionRecord], SessionRecord]) -> SessionRecord:
        before = self.rows.get(blank.session, blank)
        after = change(before)
        if after == before:
            return before
        self.revision += 1
        self.rows[blank.session] = replace(after, revision=self.revision)
        return self.rows[blank.session]

    async def changed_since(self, revision: int) -> tuple[int, list[SessionRecord]]:
        self.polled.set()
        if self.is_out:
            raise OSError("the disk is gone")
        known = revision if revision <= self.revision else 0
        newer = [row for row in self.rows.values() if row.revision > known]
        return self.revision, sorted(newer, key=lambda row: row.revision)

    async def forget(self, session: str) -> None:
        self.rows.pop(session, None)

    async def prune(self, now: float) -> None:
        self.pruned_at.append(now)
        self.rows = {key: row for key, row in self.rows.items() if row.forget_at > now}


def within(session: str | None = "s1", key: str = "api-key:ann") -> Call:
    return a_call(a_principal(key), session=session)


def worker(shelf: Shelf, clock: ManualClock, book: SettingsCache | None = None) -> SessionSettings:
    return SessionSettings(shelf, clock, interval_s=0.001, book=book)


async def refused(coroutine) -> Refusal:
    with pytest.raises(Refusal) as no:
        await coroutine
    return no.value


async def next_polls(shelf: Shelf, count: int = 2) -> None:
    for _ in range(count):  # the second began after the change
        shelf.polled.clear()
        await asyncio.wait_for(shelf.polled.wait(), 5)


async def test_a_session_without_settings_is_silent_and_watches_nothing(clock: ManualClock):
    settings = worker(Shelf(), clock)
    assert settings.level("s1") is None
    assert settings.uris("s1") == frozenset()


async def test_what_is_set_holds_here_at_once_and_elsewhere_with_the_next_poll(clock: ManualClock):
    shelf = Shelf()
    one, two = worker(shelf, clock), worker(shelf, clock)
    await one.set_level(within(), "warning")
    await one.subscribe(within(), "orders://a")
    await one.subscribe(within("s2"), "orders://b")
    assert (one.level("s1"), one.uris("s1"), one.uris("s2")) == ("warning", {"orders://a"}, {"orders://b"})
    assert two.level("s1") is None
    await two.poll()
    assert (two.level("s1"), two.uris("s1"), two.uris("s2")) == ("warning", {"orders://a"}, {"orders://b"})
    await two.unsubscribe(within(), "orders://a")
    await one.poll()
    assert one.uris("s1") == frozenset()


async def test_workers_change_one_session_without_undoing_each_other(clock: ManualClock):
    shelf = Shelf()
    one, two = worker(shelf, clock), worker(shelf, clock)
    await one.set_level(within(), "debug")
    await two.subscribe(within(), "orders://a")  # has not polled: it knows nothing of the level
    assert two.level("s1") == "debug"
    await one.poll()
    assert one.uris("s1") == {"orders://a"}


@pytest.mark.parametrize("level", sorted(LEVELS))
async def test_the_eight_levels_may_be_set(clock: ManualClock, level: str):
    settings = worker(Shelf(), clock)
    await settings.set_level(within(), level)
    assert settings.level("s1") == level


@pytest.mark.parametrize("level", ["", "DEBUG", "trace", "debug ", "9"])
async def test_any_other_level_is_refused(clock: ManualClock, level: str):
    settings = worker(Shelf(), clock)
    assert (await refused(settings.set_level(within(), level))).reason is Reason.PARAMS_INVALID
    assert settings.level("s1") is None


async def test_settings_without_a_session_are_refused(clock: ManualClock):
    settings = worker(Shelf(), clock)
    for change in (settings.set_level(within(None), "info"), settings.subscribe(within(None), "orders://a")):
        assert (await refused(change)).reason is Reason.SESSION_MISSING


async def test_a_session_watches_a_bounded_number_of_resources(clock: ManualClock):
    settings = worker(Shelf(), clock)
    for number in range(MAX_URIS):
        await settings.subscribe(within(), f"orders://{number}")
    no = await refused(settings.subscribe(within(), "orders://one/more"))
    assert no.reason is Reason.RATE_EXCEEDED
    assert facts_of(no)["policy"] == "subscriptions"
    assert facts_of(no)["retry_after_s"] > 0
    await settings.subscribe(within(), "orders://0")  # watched already
    await settings.unsubscribe(within(), "orders://0")
    await settings.subscribe(within(), "orders://one/more")
    assert len(settings.uris("s1")) == MAX_URIS


async def test_a_session_holds_bounded_uris(clock: ManualClock):
    settings = worker(Shelf(), clock)
    await settings.subscribe(within(), "x" * (MAX_URI_LENGTH - 1))
    assert (await refused(settings.subscribe(within(), "yy"))).reason is Reason.RATE_EXCEEDED


async def test_a_callers_oldest_session_is_forgotten_first(clock: ManualClock):
    settings = worker(Shelf(), clock, SettingsCache(per_principal=2, capacity=3))
    await settings.set_level(within("b1", "api-key:bob"), "info")
    for session in ("a1", "a2", "a1", "a3"):
        await settings.set_level(within(session), "info" if settings.level(session) is None else "error")
    assert [settings.level(session) for session in ("a1", "a2", "a3", "b1")] == ["error", None, "info", "info"]
    await settings.set_level(within("c1", "api-key:cyd"), "info")
    assert settings.level("b1") is None  # the oldest of all


async def test_unsubscribing_from_nothing_keeps_nothing(clock: ManualClock):
    shelf, book = Shelf(), SettingsCache()
    settings = worker(shelf, clock, book)
    for number in range(100):
        await settings.unsubscribe(within(f"s{number}"), "orders://a")
    assert len(book) == len(shelf.rows) == 0


async def test_an_ended_session_is_forgotten(clock: ManualClock):
    shelf, book = Shelf(), SettingsCache()
    settings = worker(shelf, clock, book)
    await settings.subscribe(within(), "orders://a")
    await settings.forget("s1")
    await settings.forget("never-was")
    assert settings.uris("s1") == frozenset()
    assert len(book) == len(shelf.rows) == 0


async def test_a_session_is_forgotten_when_its_token_has_run_out(clock: ManualClock):
    shelf = Shelf()
    settings = worker(shelf, clock)
    await settings.set_level(within(), "info")
    clock.advance(DAY - 1)
    await settings.subscribe(within(), "orders://a")  # a change makes no token live longer
    await settings.prune()
    assert settings.level("s1") == "info"
    clock.advance(1)
    await settings.prune()
    assert settings.level("s1") is None
    assert shelf.rows == {}


def test_an_older_state_of_a_session_does_not_undo_a_newer_one():
    """A poll that was on its way while this worker changed the session."""
    book = SettingsCache()
    older = SessionRecord(session="s1", principal="api-key:ann", forget_at=1.0, level="info", revision=1)
    book.put(replace(older, level="error", revision=2))
    book.apply(1, [older])
    found = book.find("s1")
    assert found is not None
    assert found.level == "error"


async def test_a_restored_store_is_learnt_anew(clock: ManualClock):
    shelf = Shelf()
    settings = worker(shelf, clock)
    for session in ("s1", "s2", "s3"):
        await settings.set_level(within(session), "info")
    await settings.poll()
    backup = Shelf()
    await worker(backup, clock).set_level(within("s1"), "error")
    shelf.rows, shelf.revision = backup.rows, backup.revision
    await settings.poll()
    assert [settings.level(session) for session in ("s1", "s2", "s3")] == ["error", None, None]


async def test_the_background_task_keeps_in_step_and_prunes(clock: ManualClock):
    shelf = Shelf()
    await worker(shelf, clock).set_level(within(), "info")
    settings = worker(shelf, clock)
    await settings.start()
    assert settings.level("s1") == "info"  # the first request finds it
    await worker(shelf, clock).set_level(within("s2"), "error")
    await next_polls(shelf)
    assert settings.level("s2") == "error"
    clock.advance(DAY)
    await next_polls(shelf)
    await settings.stop()
    assert settings.level("s1") is None
    assert len(shelf.pruned_at) == 1


async def test_an_outage_leaves_what_is_known_in_force(clock: ManualClock, caplog: pytest.LogCaptureFixture):
    shelf = Shelf()
    settings = worker(shelf, clock)
    await settings.start()
    await settings.set_level(within(), "info")
    shelf.is_out = True
    await next_polls(shelf, 4)
    assert settings.level("s1") == "info"
    shelf.is_out = False
    await next_polls(shelf, 3)
    await settings.stop()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the settings of sessions cannot be read",
        "the settings of sessions can be read again",
    ]


async def test_a_store_that_cannot_be_read_opens_no_site(clock: ManualClock):
    shelf = Shelf()
    shelf.is_out = True
    settings = worker(shelf, clock)
    with pytest.raises(OSError, match="disk"):
        await settings.start()
    await settings.stop()
