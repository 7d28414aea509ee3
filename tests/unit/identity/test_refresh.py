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
        self.reads = 0
        self.gate: asyncio.Event | None = None
        self.polled = asyncio.Event()

    def put(self, record: KeyRecord) -> None:
        self.revision += 1
        self.keys[record.id] = replace(record, revision=self.revision)

    async def changed_since(self, revision: int) -> tuple[int, list[KeyRecord]]:
        self.polled.set()
        self.reads += 1
        answer = self.revision, [record for record in self.keys.values() if record.revision > revision]
        if self.gate is not None:
            await self.gate.wait()
        if self.is_out:
            raise OSError("the disk is gone")
        return answer

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


async def test_a_key_that_was_made_a_moment_ago_is_found_by_a_look_that_all_share() -> None:
    site = Site()
    await site.refresher.poll()
    secret, record = issue(PEPPER, site.clock, name="ben", servers=["orders"])
    site.shelf.put(record)
    before = site.shelf.reads
    assert all(await asyncio.gather(*(site.refresher.look() for _ in range(100))))
    assert site.shelf.reads == before + 1
    assert site.keys.verify(secret.reveal(), "orders", "192.0.2.7") is not None
    await site.refresher.stop()


async def test_unknown_keys_have_the_store_read_four_times_a_second_however_many_they_are() -> None:
    site = Site()
    began = asyncio.get_running_loop().time()
    for number in range(4):
        looks = [asyncio.create_task(site.refresher.look()) for _ in range(50)]
        site.clock.advance(0.05)
        assert all(await asyncio.gather(*looks))
        site.clock.advance(0.20 if number else 0.0)  # what a look has waited for meanwhile
    assert site.shelf.reads == 4
    assert asyncio.get_running_loop().time() - began >= 0.2
    await site.refresher.stop()


async def test_whoever_comes_while_the_store_is_read_gets_a_look_of_its_own() -> None:
    site = Site()
    site.shelf.gate = asyncio.Event()
    first = asyncio.create_task(site.refresher.look())
    await asyncio.wait_for(site.shelf.polled.wait(), 5)
    secret, record = issue(PEPPER, site.clock, name="ben", servers=["orders"])
    second = asyncio.create_task(site.refresher.look())
    await asyncio.sleep(0)
    site.shelf.put(record)
    site.shelf.gate.set()
    assert await first
    assert await second
    assert site.keys.verify(secret.reveal(), "orders", "192.0.2.7") is not None
    await site.refresher.stop()


async def test_a_look_that_fails_says_so_and_a_stop_ends_the_one_that_waits() -> None:
    site = Site()
    site.shelf.is_out = True
    assert not await site.refresher.look()
    waiting = asyncio.create_task(site.refresher.look())  # its turn is in a quarter of a second
    await asyncio.sleep(0)
    site.shelf.is_out = False
    await site.refresher.stop()
    assert not await waiting
