import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from mcpward.core import authority
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.limits.rates.credential_lookups import AT_PROVIDER, AT_STORE, MOST_WAITING, CredentialLookups

HERE, THERE = "192.0.2.1", "192.0.2.2"
PROVIDER = authority.provider("main")
STRANGERS = AT_PROVIDER.slots - AT_PROVIDER.kept


class House:
    """A provider that answers when the test says so, asked for addresses with so many failures each."""

    def __init__(self, failures: int = 1000) -> None:
        self.asking, self.gate = CredentialLookups(self), asyncio.Event()
        self.left: dict[str, int] = {}
        self.failures = failures
        self.asked: Counter[str] = Counter()
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.counted: list[str] = []

    def require_failure(self, bucket: str) -> None:
        if self.left.get(bucket, self.failures) <= 0:
            raise Refusal(Reason.ADDRESS_RATE_EXCEEDED)

    def has_failure_beside(self, bucket: str, pending: int) -> bool:
        return self.left.get(bucket, self.failures) > pending

    def count_outcome(self, bucket: str, error: BaseException | None) -> None:
        if error is not None:
            self.left[bucket] = self.left.get(bucket, self.failures) - 1
            self.counted.append(bucket)

    async def ask(self, bucket: str = HERE, *, is_good: bool = False, whom: str = PROVIDER) -> str:
        async def question() -> str:
            self.asked[bucket] += 1
            self.now[bucket] += 1
            self.peak[bucket] = max(self.peak[bucket], self.now[bucket])
            try:
                await self.gate.wait()
            finally:
                self.now[bucket] -= 1
            if not is_good:
                raise Refusal(Reason.CREDENTIAL_INVALID)
            return "good"

        try:
            return await self.asking.ask(whom, bucket, question)
        except Refusal as no:
            if no.reason is Reason.CREDENTIAL_INVALID:
                self.left[bucket] = self.left.get(bucket, self.failures) - 1
            return no.reason.value

    def crowd(self, count: int, bucket: str = HERE, *, is_good: bool = False) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.ask(bucket, is_good=is_good)) for _ in range(count)]


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_address_asks_for_a_few_at_once_and_all_get_their_turn() -> None:
    house = House()
    crowd = house.crowd(50, is_good=True)
    await turns()
    assert house.now[HERE] == AT_PROVIDER.address
    house.gate.set()
    assert await asyncio.gather(*crowd) == ["good"] * 50
    assert (house.peak[HERE], len(house.asking)) == (AT_PROVIDER.address, 0)


@pytest.mark.parametrize("failures", [1, 2, 3, 10])
async def test_of_made_up_credentials_sent_at_once_no_more_are_asked_about_than_may_fail(failures: int) -> None:
    house = House(failures)
    crowd = house.crowd(103)
    await turns()
    house.gate.set()
    told = Counter(await asyncio.gather(*crowd))
    assert house.asked[HERE] == failures
    assert told == {"credential-invalid": failures, "address-rate-exceeded": 103 - failures}
    assert len(house.asking) == 0


async def test_good_credentials_sent_at_once_are_all_let_in_though_few_may_fail() -> None:
    house = House(1)
    crowd = house.crowd(50, is_good=True)
    house.gate.set()
    assert await asyncio.gather(*crowd) == ["good"] * 50


async def test_a_place_is_taken_until_the_answer_is_there_and_a_failure_counts_though_the_caller_has_left() -> None:
    house = House(3)
    for _ in range(5):
        crowd = house.crowd(20)
        await turns()
        for task in crowd:
            task.cancel()
        await asyncio.wait(crowd)
    assert house.asked[HERE] == 3
    assert house.now[HERE] == 3
    house.gate.set()
    await turns(5)
    assert house.counted == [HERE] * 3
    assert await house.ask() == "address-rate-exceeded"
    assert len(house.asking) == 0


async def test_crowds_of_strangers_leave_places_for_addresses_that_have_succeeded() -> None:
    house = House()
    house.gate.set()
    assert await house.ask(THERE, is_good=True) == "good"
    house.gate.clear()
    crowd = [task for number in range(50) for task in house.crowd(10, f"198.51.100.{number}")]
    await turns()
    assert sum(house.now.values()) == STRANGERS
    known = house.crowd(2, THERE, is_good=True)
    stranger = asyncio.create_task(house.ask(HERE, is_good=True))
    await turns()
    assert (house.now[THERE], house.now[HERE]) == (2, 0)
    house.gate.set()
    assert await asyncio.gather(*known, stranger) == ["good"] * 3
    await asyncio.gather(*crowd)
    assert len(house.asking) == 0


async def test_crowds_of_strangers_leave_room_to_wait_for_addresses_that_have_succeeded() -> None:
    house = House()
    house.gate.set()
    assert await house.ask(THERE, is_good=True) == "good"
    house.gate.clear()
    crowd = [task for number in range(20) for task in house.crowd(200, f"198.51.100.{number}")]
    await turns(5)
    assert await house.ask(HERE) == "identity-unavailable"
    known = house.crowd(50, THERE, is_good=True)
    await turns()
    house.gate.set()
    assert await asyncio.gather(*known) == ["good"] * 50
    await asyncio.gather(*crowd)
    assert len(house.asking) == 0


async def test_addresses_have_their_turns_one_after_the_other() -> None:
    house = House()
    crowd = [task for bucket in "abc" for task in house.crowd(100, bucket)]
    await turns()
    late = asyncio.create_task(house.ask(HERE, is_good=True))
    await turns()
    house.gate.set()
    assert await late == "good"
    assert sum(house.asked.values()) <= STRANGERS * 3
    await asyncio.gather(*crowd)


async def test_who_waits_for_the_store_waits_for_no_provider() -> None:
    house = House()
    crowd = [task for bucket in "abcd" for task in house.crowd(10, bucket)]
    await turns()
    key = asyncio.create_task(house.ask(HERE, is_good=True, whom=authority.STORE))
    await turns()
    assert house.now[HERE] == 1
    assert AT_STORE.slots > AT_PROVIDER.slots
    house.gate.set()
    assert await key == "good"
    await asyncio.gather(*crowd)


async def test_those_who_wait_are_bounded_and_those_who_leave_keep_no_place() -> None:
    house = House()
    crowd = house.crowd(AT_PROVIDER.address + MOST_WAITING)
    await turns()
    assert await house.ask() == "identity-unavailable"
    for task in crowd[AT_PROVIDER.address :: 2]:
        task.cancel()
    house.gate.set()
    told = await asyncio.gather(*crowd, return_exceptions=True)
    assert told.count("credential-invalid") == AT_PROVIDER.address + MOST_WAITING // 2
    assert len(house.asking) == 0


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpward.limits.rates.credential_lookups._LONGEST_WAIT_S", 0.01)
    house = House()
    crowd = house.crowd(AT_PROVIDER.address)
    await turns()
    assert await house.ask() == "identity-unavailable"
    house.gate.set()
    await asyncio.gather(*crowd)
    assert len(house.asking) == 0


@pytest.mark.parametrize("count", range(8))
async def test_a_turn_that_is_called_off_as_it_comes_is_handed_on(count: int) -> None:
    house = House()
    crowd = house.crowd(AT_PROVIDER.address)
    late = house.crowd(2)
    await turns()
    house.gate.set()
    await turns(count)
    late[0].cancel()
    with suppress(asyncio.CancelledError):
        await late[0]
    assert await asyncio.wait_for(late[1], 5) == "credential-invalid"
    await asyncio.gather(*crowd)
    await turns(5)
    assert len(house.asking) == 0
