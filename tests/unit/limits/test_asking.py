import asyncio

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.limits.asking import AT_ONCE, Asking, Turn


class Provider:
    """Answers when it is told to, and counts who asks at the same time."""

    def __init__(self, most_failures: int = 1000) -> None:
        self.asking, self.gate = Asking(), asyncio.Event()
        self.failures, self.most_failures = 0, most_failures
        self.asked = self.now = self.peak = 0

    def require(self, bucket: str) -> None:
        if self.failures >= self.most_failures:
            raise Refusal(Reason.ADDRESS_RATE_EXCEEDED)

    async def ask(self, bucket: str = "192.0.2.1", *, is_good: bool = False) -> str:
        try:
            async with Turn(self.asking, bucket, self.require):
                self.asked += 1
                self.now += 1
                self.peak = max(self.peak, self.now)
                await self.gate.wait()
                self.now -= 1
        except Refusal as no:
            return no.reason.value
        self.failures += not is_good
        return "ok" if is_good else "wrong"


async def test_an_address_asks_for_a_few_at_once_and_all_get_their_turn() -> None:
    provider = Provider()
    asked = [asyncio.create_task(provider.ask(is_good=True)) for _ in range(50)]
    await asyncio.sleep(0)
    assert provider.now == AT_ONCE
    provider.gate.set()
    assert await asyncio.gather(*asked) == ["ok"] * 50
    assert (provider.peak, len(provider.asking)) == (AT_ONCE, 0)


async def test_of_made_up_credentials_sent_at_once_few_are_asked_about() -> None:
    provider = Provider(most_failures=10)
    asked = [asyncio.create_task(provider.ask()) for _ in range(100)]
    await asyncio.sleep(0)
    provider.gate.set()
    told = await asyncio.gather(*asked)
    assert 10 <= provider.asked < 10 + AT_ONCE
    assert told.count("address-rate-exceeded") == 100 - provider.asked
    assert len(provider.asking) == 0


async def test_one_address_keeps_no_other_waiting() -> None:
    provider = Provider()
    crowd = [asyncio.create_task(provider.ask()) for _ in range(100)]
    await asyncio.sleep(0)
    other = asyncio.create_task(provider.ask("192.0.2.2", is_good=True))
    await asyncio.sleep(0)
    assert provider.now == AT_ONCE + 1
    provider.gate.set()
    assert await other == "ok"
    await asyncio.gather(*crowd)


async def test_those_who_wait_are_bounded_and_those_who_leave_keep_no_place() -> None:
    provider = Provider()
    crowd = [asyncio.create_task(provider.ask()) for _ in range(AT_ONCE + 256)]
    await asyncio.sleep(0)
    assert await provider.ask() == "identity-unavailable"
    for task in crowd[::2]:
        task.cancel()
    provider.gate.set()
    told = await asyncio.gather(*crowd, return_exceptions=True)
    assert told[1::2] == ["wrong"] * (len(crowd) // 2)
    assert len(provider.asking) == 0


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_a_turn_that_is_called_off_as_it_comes_is_handed_on(turns: int) -> None:
    provider = Provider()
    crowd = [asyncio.create_task(provider.ask()) for _ in range(AT_ONCE)]
    late = [asyncio.create_task(provider.ask()) for _ in range(2)]
    await asyncio.sleep(0)
    provider.gate.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    late[0].cancel()
    told = await asyncio.gather(*crowd, *late, return_exceptions=True)
    assert told[-1] == "wrong"
    assert len(provider.asking) == 0
