"""The thread that keeps the caches in step: what it sees, when it trusts it; a slow serving loop is no outage."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.clock import SystemClock
from mcpward.core.ended_cache import EndedCache
from mcpward.core.errors import Refusal, Untrusted
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue
from mcpward.identity.keys.follower import AUDIT_EVERY, Follower, StoreCaches
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.refresh import Refresher
from mcpward.identity.keys.url_cache import UrlCache
from support.clock import ManualClock
from support.shelf import Shelf

PEPPER = Pepper(b"p" * 32)


class Site:
    def __init__(self, interval_s: float = 0.001, clock: Any = None) -> None:
        self.clock: Any = clock or ManualClock()  # some tests need the machine's
        self.shelf: Any = Shelf()
        self.keys, self.urls, self.ended = KeyCache(PEPPER, self.clock), UrlCache(PEPPER, self.clock), EndedCache()
        self.books = StoreCaches(self.keys, self.urls, self.ended, EndedCache())
        self.follower = Follower(self.shelf.reader(), self.books, self.clock, interval_s)
        self.refresher = Refresher(self.shelf.reader, self.books, self.shelf, self.shelf, self.clock, interval_s)
        secret, self.record = issue(PEPPER, self.clock, name="ann", servers=["orders"])
        self.key = secret.reveal()
        self.shelf.put(self.record)

    def opens(self) -> bool:
        return self.keys.verify(self.key, "orders", "192.0.2.7") is not None

    async def polls(self, count: int = 2) -> None:
        """Wait in a thread, so that this loop goes on. The second poll began after whatever was changed."""
        await asyncio.to_thread(self.shelf.await_polls, count)


def stand_still(seconds: float) -> None:
    """The work of a tool that computes on the loop."""
    time.sleep(seconds)


async def test_the_books_are_full_before_the_first_request() -> None:
    site = Site()
    await site.refresher.start()
    assert site.opens()
    await site.refresher.stop()


async def test_a_revocation_an_ended_session_and_a_used_state_arrive_with_the_next_poll() -> None:
    site = Site()
    await site.follower.poll()
    site.shelf.put(replace(site.record, revoked_at=site.clock.now()))
    site.shelf.sessions.append(("s1", site.clock.now() + 60))
    site.shelf.states.append(("t1", site.clock.now() + 60))
    await site.follower.poll()
    assert not site.opens()
    assert site.ended.has("s1")
    assert site.books.spent.has("t1")


async def test_a_store_whose_counters_stand_still_is_fresh_without_reading_its_tables() -> None:
    site = Site()
    site.shelf.has_counters = True
    await site.follower.poll()
    for _ in range(3):
        site.clock.advance(3.1)
        await site.follower.poll()
        assert site.opens()
    assert (site.shelf.looks, site.shelf.reads) == (5, 1)
    site.shelf.put(replace(site.record, revoked_at=site.clock.now()))
    await site.follower.poll()
    assert not site.opens()
    site.clock.advance(60)
    await site.follower.poll()
    assert site.shelf.wholes == 1  # once a minute all of it is judged anew, whatever the counters say


async def test_attack_124_counters_that_change_while_the_rows_are_read_are_not_taken_for_theirs() -> None:
    site = Site()
    site.shelf.has_counters = True
    answer = site.shelf.answer

    def changing() -> None:
        answer()
        site.shelf.sessions.append(("s1", 2e9))  # committed between the look at the counters and the end of the rows
        site.shelf.answer = answer

    site.shelf.answer = changing
    await site.follower.poll()
    site.shelf.sessions.clear()  # and put back as it was
    await site.follower.poll()
    assert site.shelf.reads == 2


async def test_a_change_that_could_not_be_read_is_read_by_the_next_poll() -> None:
    site = Site()
    site.shelf.has_counters = True
    await site.follower.poll()
    site.shelf.put(replace(site.record, revoked_at=site.clock.now()))
    site.shelf.is_out = True
    with pytest.raises(OSError, match="gone"):
        await site.follower.poll()
    site.shelf.is_out = False
    await site.follower.poll()
    assert not site.opens()


async def test_the_polls_have_a_thread_of_their_own() -> None:
    site = Site()
    await site.refresher.start()
    site.shelf.put(replace(site.record, revoked_at=site.clock.now()))
    await site.polls()
    await site.refresher.stop()
    assert not site.opens()
    assert site.shelf.threads == {"mcpward-keys"}


@pytest.mark.slow
async def test_attack_123_a_loop_that_stands_still_makes_no_book_stale_and_hides_no_revocation() -> None:
    """The serving loop is this test's own. It does nothing else for longer than a snapshot is trusted."""
    site = Site(interval_s=0.25, clock=SystemClock())
    await site.refresher.start()
    other, record = issue(PEPPER, site.clock, name="ben", servers=["orders"])
    site.shelf.put(record)
    stand_still(1.5)  # longer than a key counts as confirmed
    assert site.keys.is_confirmed
    assert site.opens()
    assert site.keys.again(site.record.id, "orders", "192.0.2.7") is not None
    site.shelf.put(replace(record, revoked_at=site.clock.now()))
    stand_still(1.0)
    assert site.keys.verify(other.reveal(), "orders", "192.0.2.7") is None
    await site.refresher.stop()


async def test_an_outage_is_survived_and_fails_closed(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    await site.refresher.start()
    site.shelf.is_out = True
    await site.polls(3)
    assert site.opens()
    site.clock.advance(3.1)
    with pytest.raises(Refusal):
        site.opens()
    assert site.keys.is_stale
    site.shelf.is_out = False
    await site.polls()
    await site.refresher.stop()
    assert site.opens()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the store cannot be read",
        "the store can be read again",
    ]


@pytest.mark.parametrize("what", ["is_forged", "is_replaced"])
async def test_attack_124_a_forged_store_opens_nothing_from_the_moment_that_it_is_seen(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    await site.follower.poll()
    setattr(site.shelf, what, True)
    for _ in range(3):
        with pytest.raises(Untrusted):
            await site.follower.poll()
        with pytest.raises(Refusal):
            site.opens()
    running = asyncio.create_task(site.follower.run())
    await site.polls(2) if what == "is_forged" else await asyncio.sleep(0.01)
    setattr(site.shelf, what, False)
    await site.polls()
    site.follower.stop()
    await running
    assert site.opens()
    told = [record.message for record in caplog.records]
    assert [line.count("every key is refused until that is settled") for line in told] == [1, 0]


async def test_all_is_read_anew_once_in_a_minute() -> None:
    site = Site()
    await site.follower.poll()
    for _ in range(3):
        site.clock.advance(59.0)
        await site.follower.poll()
    assert site.shelf.wholes == 1


async def test_attack_126_ended_sessions_and_used_states_are_audited_in_turn_and_no_poll_waits_for_it() -> None:
    site = Site()
    ids = site.shelf.ended
    ids.gate = asyncio.Event()
    auditing = asyncio.create_task(site.follower.audit())
    await asyncio.sleep(0)
    await asyncio.wait_for(site.follower.poll(), 5.0)
    assert (site.opens(), ids.audits, auditing.done()) == (True, 1, False)
    ids.gate.set()
    await auditing
    for _ in range(3):
        await site.follower.audit()
    assert (ids.audits, site.shelf.spent.audits) == (2, 2)


@pytest.mark.parametrize("which", ["ended", "spent"])
async def test_attack_124_ids_that_an_audit_finds_forged_open_nothing_until_they_are_good_again(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    ids = getattr(site.shelf, which)
    running = asyncio.create_task(site.follower.run())
    await site.polls()
    ids.is_forged = True
    await site.polls(4 * AUDIT_EVERY)
    for _ in range(3):
        with pytest.raises(Refusal):
            site.opens()
        await site.polls()
    with pytest.raises(Untrusted):
        await site.follower.poll()
    ids.is_forged = False
    await site.polls(3)
    assert site.opens()
    site.follower.stop()
    await running
    told = [record.message for record in caplog.records]
    assert [line.count("every key is refused until that is settled") for line in told] == [1, 0]


async def test_a_slow_answer_is_as_old_as_its_question() -> None:
    site = Site()
    answer = site.shelf.answer

    def slowly() -> None:
        answer()
        site.clock.advance(3.1)

    site.shelf.answer = slowly
    await site.follower.poll()
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
    await site.follower.poll()
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
    await site.follower.poll()
    secret, record = issue(PEPPER, site.clock, name="ben", servers=["orders"])
    site.shelf.put(record)
    before = site.shelf.reads
    assert all(await asyncio.gather(*(site.follower.look() for _ in range(100))))
    assert site.shelf.reads == before + 1
    assert site.keys.verify(secret.reveal(), "orders", "192.0.2.7") is not None


async def test_unknown_keys_have_the_store_read_four_times_a_second_however_many_they_are() -> None:
    site = Site()
    began = asyncio.get_running_loop().time()
    for number in range(4):
        looks = [asyncio.create_task(site.follower.look()) for _ in range(50)]
        site.clock.advance(0.05)
        assert all(await asyncio.gather(*looks))
        site.clock.advance(0.20 if number else 0.0)  # what a look has waited for meanwhile
    assert site.shelf.reads == 4
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_whoever_comes_while_the_store_is_read_gets_a_look_of_its_own() -> None:
    site = Site()
    site.shelf.gate = asyncio.Event()
    first = asyncio.create_task(site.follower.look())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert site.shelf.reads == 1
    secret, record = issue(PEPPER, site.clock, name="ben", servers=["orders"])
    second = asyncio.create_task(site.follower.look())
    await asyncio.sleep(0)
    site.shelf.put(record)
    site.shelf.gate.set()
    assert await first
    assert await second
    assert site.keys.verify(secret.reveal(), "orders", "192.0.2.7") is not None


async def test_a_look_from_the_serving_loop_is_done_in_the_thread_and_none_is_after_the_end() -> None:
    site = Site(interval_s=60.0)
    assert not await site.refresher.look()
    await site.refresher.start()
    secret, record = issue(PEPPER, site.clock, name="ben", servers=["orders"])
    site.shelf.put(record)
    assert await site.refresher.look()
    assert site.keys.verify(secret.reveal(), "orders", "192.0.2.7") is not None
    site.shelf.is_out = True
    site.clock.advance(1.0)
    assert not await site.refresher.look()
    site.shelf.is_out = False
    await site.refresher.stop()
    assert not await site.refresher.look()
    assert site.shelf.threads == {"mcpward-keys"}
