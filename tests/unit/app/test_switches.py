"""An author's switches reach every worker, also one that starts later."""

import asyncio

from mcpward.app.switches import Switches
from mcpward.messaging.subscriptions.streams import Streams
from mcpward.sdk.server import Server
from mcpward.tools.registry import Registry
from support.clock import ManualClock
from support.mail import Workers


class House:
    """One worker's copy of a server with three tools, of which the last is off from the beginning."""

    def __init__(self, workers: Workers, name: str) -> None:
        self.source = Server("shop")
        for tool in ("buy", "sell"):
            self.source.tool(name=tool)(lambda: "done")
        self.source.tool(name="steal", enabled=False)(lambda: "done")
        registries = {"shop": Registry("shop", self.source)}
        self.switches = Switches(registries, workers[name], Streams(workers[name]))

    @property
    def off(self) -> set[str]:
        return {name for _, name in self.source.off}


async def told(workers: Workers) -> None:
    for _ in range(3):  # a question, its answer, and the turn of the loop in which a switch is sent
        await asyncio.sleep(0)
        await workers.deliver()


async def test_a_switch_reaches_the_other_workers(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        here, there = House(workers, "a"), House(workers, "b")
        here.source.disable(tool="buy")
        here.source.enable(tool="steal")
        await told(workers)
        assert (here.off, there.off) == ({"buy"}, {"buy"})


async def test_a_worker_that_comes_back_has_off_what_was_switched_off(clock: ManualClock):
    async with Workers(clock, "a", "b", "late", "later") as workers:
        here, there = House(workers, "a"), House(workers, "b")
        here.source.disable(tool="buy")
        there.source.enable(tool="steal")
        await told(workers)
        late = House(workers, "late")
        await told(workers)
        later = House(workers, "later")
        await told(workers)
        assert late.off == later.off == here.off == {"buy"}


async def test_what_a_new_worker_has_heard_itself_is_newer(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        here = House(workers, "a")
        here.source.disable(tool="buy")
        here.source.disable(tool="sell")
        await told(workers)
        new = House(workers, "b")
        new.source.disable(tool="buy")
        new.source.enable(tool="buy")
        await told(workers)
        assert new.off == {"sell", "steal"}
        assert here.off == {"sell", "steal"}
