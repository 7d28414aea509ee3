import asyncio
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from mcpward.core.ended import EndedBook
from mcpward.core.errors import Refusal
from mcpward.crypto.digest import Pepper
from mcpward.identity.api_key import issue
from mcpward.identity.keybook import KeyBook
from mcpward.identity.records import KeyRecord, UrlRecord
from mcpward.identity.refresh import Refresher
from mcpward.identity.unlisted import UrlBook
from support.clock import ManualClock

PEPPER = Pepper(b"p" * 32)


class Shelf:
    """A store in memory for all three ports, whose outages a test may order."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyRecord] = {}
        self.ended: list[tuple[str, float]] = []
        self.revision = 0
        self.used: dict[str, float] = {}
        self.is_out = False
        self.polled = asyncio.Event()

    def put(self, record: KeyRecord) -> None:
        self.revision += 1
        self.keys[record.id] = replace(record, revision=self.revision)

    async def changed_since(self, revision: int) -> tuple[int, list[KeyRecord]]:
        self.polled.set()
        if self.is_out:
            raise OSError("the disk is gone")
        return self.revision, [record for record in self.keys.values() if record.revision > revision]

    async def touch(self, used: Mapping[str, float]) -> None:
        if self.is_out:
            raise OSError("the disk is gone")
        self.used.update(used)

    async def ended_since(self, revision: int) -> tuple[int, list[tuple[str, float]]]:
        return len(self.ended), self.ended[revision:]

    async def prune(self, now: float) -> None:
        """Nothing is kept long here."""


class NoUrls:
    async def changed_since(self, revision: int) -> tuple[int, list[UrlRecord]]:
        return revision, []


class Site:
    def __init__(self, interval_s: float = 0.001) -> None:
        self.clock, self.shelf = ManualClock(), Shelf()
        self.keys, self.urls, self.ended = KeyBook(PEPPER, self.clock), UrlBook(PEPPER, self.clock), EndedBook()
        self.refresher = Refresher(
            keys=self.shelf,
            urls=NoUrls(),
            ended=self.shelf,
            key_book=self.keys,
            url_book=self.urls,
            ended_book=self.ended,
            clock=self.clock,
            interval_s=interval_s,
        )
        secret, self.record = issue(PEPPER, self.clock, name="ann", servers=["orders"])
        self.key = secret.reveal()
        self.shelf.put(self.record)

    def opens(self) -> bool:
        return self.keys.verify(self.key, "orders", "192.0.2.7") is not None


async def test_the_books_are_full_before_the_first_request() -> None:
    site = Site()
    await site.refresher.start()
    assert site.opens()
    await site.refresher.stop()


async def test_a_revocation_and_an_ended_session_arrive_with_the_next_poll() -> None:
    site = Site()
    await site.refresher.poll()
    site.shelf.put(replace(site.record, revoked_at=site.clock.now()))
    site.shelf.ended.append(("s1", site.clock.now() + 60))
    await site.refresher.poll()
    assert not site.opens()
    assert site.ended.has("s1")


async def test_the_background_task_keeps_polling() -> None:
    site = Site()
    await site.refresher.start()
    site.shelf.put(replace(site.record, revoked_at=site.clock.now()))
    for _ in range(2):  # the second poll began after the change
        site.shelf.polled.clear()
        await asyncio.wait_for(site.shelf.polled.wait(), 5)
    await site.refresher.stop()
    assert not site.opens()


async def test_an_outage_is_survived_and_fails_closed(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    await site.refresher.start()
    site.shelf.is_out = True
    for _ in range(3):
        site.shelf.polled.clear()
        await asyncio.wait_for(site.shelf.polled.wait(), 5)
    assert site.opens()
    site.clock.advance(3.1)
    with pytest.raises(Refusal):
        site.opens()
    site.shelf.is_out = False
    for _ in range(2):
        site.shelf.polled.clear()
        await asyncio.wait_for(site.shelf.polled.wait(), 5)
    await site.refresher.stop()
    assert site.opens()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the store cannot be read",
        "the store can be read again",
    ]


async def test_a_slow_answer_is_as_old_as_its_question() -> None:
    site = Site()
    ask = site.shelf.changed_since

    async def slowly(revision: int) -> tuple[int, list[KeyRecord]]:
        answer = await ask(revision)
        site.clock.advance(3.1)
        return answer

    site.shelf.changed_since = slowly
    await site.refresher.poll()
    with pytest.raises(Refusal):
        site.opens()


async def test_a_site_that_cannot_read_its_keys_does_not_open() -> None:
    site = Site()
    site.shelf.is_out = True
    with pytest.raises(OSError, match="gone"):
        await site.refresher.start()


async def test_last_use_is_written_in_batches_and_at_the_end() -> None:
    site = Site()
    await site.refresher.start()
    site.opens()
    assert site.shelf.used == {}
    await site.refresher.stop()
    assert site.shelf.used == {site.record.id: site.clock.now()}
    assert site.keys.used == {}


async def test_last_use_that_could_not_be_written_is_kept_for_the_next_time() -> None:
    site = Site()
    await site.refresher.poll()
    site.opens()
    site.shelf.is_out = True
    with pytest.raises(OSError, match="gone"):
        await site.refresher.flush()
    assert site.keys.used == {site.record.id: site.clock.now()}


async def test_ended_sessions_are_forgotten_when_their_tokens_have_run_out() -> None:
    site = Site()
    site.ended.add("s1", site.clock.now() + 1)
    site.clock.advance(1)
    await site.refresher.flush()
    assert not site.ended.has("s1")
