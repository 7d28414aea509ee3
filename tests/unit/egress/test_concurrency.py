from contextlib import AsyncExitStack

import pytest

from mcpward.egress.concurrency import AT_ONCE, Concurrency
from mcpward.egress.failures import EgressFailed, Failure


async def test_there_are_so_many_places_in_all() -> None:
    lanes = Concurrency()
    async with AsyncExitStack() as held:
        for number in range(512):
            await held.enter_async_context(lanes.enter(f"https://{number // AT_ONCE}.example"))
        with pytest.raises(EgressFailed) as caught:
            await held.enter_async_context(lanes.enter("https://one-more.example"))
        assert caught.value.why is Failure.BUSY
    async with lanes.enter("https://one-more.example"):
        pass


async def test_an_origin_that_nobody_calls_is_forgotten() -> None:
    lanes = Concurrency()
    for number in range(3):
        with pytest.raises(KeyError):
            async with lanes.enter(f"https://{number}.example"), lanes.enter(f"https://{number}.example"):
                raise KeyError
    assert not lanes._endpoints
    assert lanes._users == 0
