"""Sealed states are used once; what is in doubt is refused."""

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.messaging.used_states import UsedStates
from support.clock import ManualClock


class Ids:
    """Fits ``messaging.used_states.SpentIds``, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, float] = {}
        self.prunes = 0
        self.is_out = False

    async def spend(self, state_id: str, forget_at: float) -> bool:
        if self.is_out:
            raise OSError("the disk is gone")
        is_first = state_id not in self.kept
        self.kept.setdefault(state_id, forget_at)
        return is_first

    async def has(self, state_id: str) -> bool:
        return state_id in self.kept

    async def prune(self, now: float) -> None:
        self.prunes += 1
        self.kept = {key: until for key, until in self.kept.items() if until > now}


@pytest.fixture
def ids() -> Ids:
    return Ids()


async def test_a_state_is_used_once(ids: Ids, clock: ManualClock):
    one, two = UsedStates(ids, clock), UsedStates(ids, clock)
    assert await one.spend("s1", clock.now() + 600, "k1")
    assert not await one.spend("s1", clock.now() + 600, "k1")
    assert not await two.spend("s1", clock.now() + 600, "k1")
    assert await two.spend("s2", clock.now() + 600, "k1")


async def test_a_state_that_is_too_old_is_not_kept_but_refused(ids: Ids, clock: ManualClock):
    assert not await UsedStates(ids, clock).spend("s1", clock.now(), "k1")
    assert ids.kept == {}


async def test_a_used_state_is_forgotten_in_time_but_not_while_a_clock_that_is_set_back_would_let_it_work(
    ids: Ids, clock: ManualClock
):
    """Attack 105."""
    spent = UsedStates(ids, clock)
    until = clock.now() + 600
    assert await spent.spend("s1", until, "k1")
    clock.advance(3600)
    assert await spent.spend("s2", clock.now() + 600, "k1")
    clock.shift_wall(-3600)
    assert not await spent.spend("s1", until, "k1")
    clock.shift_wall(3600)
    clock.advance(601)
    assert await spent.spend("s3", clock.now() + 600, "k1")
    assert ids.kept.keys() == {"s2", "s3"}


async def test_forgetting_costs_one_look_a_minute(ids: Ids, clock: ManualClock):
    spent = UsedStates(ids, clock)
    for n in range(100):
        clock.advance(1)
        await spent.spend(f"s{n}", clock.now() + 600, "k1")
    assert ids.prunes == 1


async def test_without_the_store_nothing_is_let_through(ids: Ids, clock: ManualClock):
    ids.is_out = True
    with pytest.raises(OSError, match="gone"):
        await UsedStates(ids, clock).spend("s1", clock.now() + 600, "k1")


async def test_a_state_that_was_given_back_is_used_once_more_at_whichever_worker(ids: Ids, clock: ManualClock):
    one, two = UsedStates(ids, clock), UsedStates(ids, clock)
    until = clock.now() + 600
    for spent in (one, two, one):
        assert await spent.spend("s1", until, "k1")
        await spent.give_back("s1", until, "k1")
    await two.give_back("s1", until, "k1")  # no call has used it since
    assert await two.spend("s1", until, "k1")
    assert not await one.spend("s1", until, "k1")
    assert not await two.spend("s1", until, "k1")
    await one.give_back("nobody's", until, "k1")
    assert await one.spend("nobody's", until, "k1")
    assert not await two.spend("nobody's", until, "k1")


async def test_attack_133_what_a_caller_leaves_behind_is_bounded_and_no_other_pays(ids: Ids, clock: ManualClock):
    spent = UsedStates(ids, clock)
    for n in range(20_000):
        assert await spent.spend(f"s{n}", clock.now() + 600, "k1")
    with pytest.raises(Refusal) as no:
        await spent.spend("one more", clock.now() + 600, "k1")
    assert no.value.reason is Reason.RATE_EXCEEDED
    assert len(ids.kept) == 20_000
    assert await spent.spend("another's", clock.now() + 600, "k2")
    clock.advance(7200)
    with pytest.raises(Refusal):
        await spent.spend("one more", clock.now() + 600, "k1")
    clock.advance(7200)
    assert await spent.spend("one more", clock.now() + 600, "k1")


async def test_callers_without_end_take_no_memory_without_end(ids: Ids, clock: ManualClock):
    spent = UsedStates(ids, clock)
    for n in range(120_000):
        assert await spent.spend(f"s{n}", clock.now() + 600, f"k{n}")
    assert len(spent._counts) + len(spent._counts_before) <= 100_000
