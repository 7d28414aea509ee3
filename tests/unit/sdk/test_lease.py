"""Statements at once: callers take turns, and no place is lost."""

import asyncio

import pytest

from mcpward.core.work import Work, current
from mcpward.sdk.database.lease import Leases


class Table:
    """Statements of callers, and the order in which they began."""

    def __init__(self, size: int) -> None:
        self.leases = Leases(size)
        self.began: list[str] = []
        self.end = asyncio.Event()

    def begin(self, caller: str) -> asyncio.Task[None]:
        async def statement() -> None:
            current.set(Work("orders", caller, None))
            async with self.leases.one():
                self.began.append(caller)
                await self.end.wait()

        return asyncio.create_task(statement())


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_caller_with_many_statements_lets_another_in_before_its_next():
    table = Table(2)
    tasks = [table.begin("a") for _ in range(20)]
    await turns()
    tasks += [table.begin("b") for _ in range(2)]
    await turns()
    assert table.began == ["a", "a"]
    tasks[0].cancel()
    await turns()
    assert table.began == ["a", "a", "b"]
    table.end.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(table.began) == 22
    assert (table.leases._free, table.leases._held) == (2, {})


@pytest.mark.parametrize("handed", [False, True])
async def test_who_is_cancelled_while_it_waits_loses_no_place(handed):
    table = Table(1)
    first, second, third = (table.begin(name) for name in "abc")
    await turns()
    if handed:
        first.cancel()
        await asyncio.sleep(0)
    second.cancel()
    await turns()
    first.cancel()
    await turns()
    assert table.began in (["a", "c"], ["a", "b", "c"])
    table.end.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert (table.leases._free, len(table.leases._turns)) == (1, 0)
