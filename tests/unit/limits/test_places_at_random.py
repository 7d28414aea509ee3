"""Whatever calls do and in whatever order: no slot is taken twice, none is lost, and no call is left waiting."""

import asyncio
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcpward.core.errors import Refusal
from mcpward.core.values import Pool
from mcpward.limits.concurrency import waiter
from mcpward.limits.concurrency.release import Release
from support.places import places_of, tool_of

SERVER, EACH, QUEUE = 4, 3, 5
POOLS = {"db": 1, "gpu": 1}
TOOLS = {
    "plain": None,
    "db": tool_of("db", "db"),
    "gpu": tool_of("gpu", "gpu"),
    "both": tool_of("both", "gpu", "db"),
    "both2": tool_of("both2", "db", "gpu"),
    "alone": tool_of("alone", concurrency=1),
    "all": tool_of("all", "db", "gpu", concurrency=2),
}
CALLERS = ["key:a", "key:b", "key:c"]


class Call:
    def __init__(self, slots, caller, tool):
        self.caller, self.tool = caller, tool
        self.lease = slots.lease("orders", caller, TOOLS[tool])
        self.end, self.answer, self.question = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.is_running = self.is_asking = self.owes = False
        self.left = []
        self.task = asyncio.create_task(self.run())

    async def run(self):
        with suppress(Refusal, asyncio.CancelledError):
            async with self.lease as lease:
                loan = Release(lease)
                self.is_running = True
                try:
                    while not self.end.is_set():
                        if self.question.is_set():
                            self.question.clear()
                            self.is_running = False
                            self.is_asking = True
                            async with loan.lent():
                                await self.answer.wait()
                            self.is_asking = False
                            self.answer.clear()
                            self.is_running = True
                        await asyncio.sleep(0)
                finally:
                    self.is_running = False


class Site(RuleBasedStateMachine):
    #: How often a waiter may miss one thing for want of another.
    patience = 3

    def __init__(self):
        super().__init__()
        self.usual = waiter._PATIENCE
        setattr(waiter, "_PATIENCE", self.patience)  # noqa: B010 - a constant of the module
        self.loop = asyncio.new_event_loop()
        self.calls: list[Call] = []
        self.gone: list[Call] = []  # their threads go on
        pools = tuple(Pool(name=name, slots=size, queue=QUEUE, queue_timeout_s=60) for name, size in POOLS.items())

        async def make():
            return places_of(SERVER, queue=QUEUE, timeout_s=60, each=EACH, pools=pools)

        self.slots = self.loop.run_until_complete(make())

    def turn(self, turns=8):
        async def pass_by():
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(pass_by())
        self.gone += [call for call in self.calls if call.task.done() and call.left]
        self.calls = [call for call in self.calls if not call.task.done()]

    @rule(caller=st.sampled_from(CALLERS), tool=st.sampled_from(sorted(TOOLS)), turns=st.integers(0, 8))
    def begin(self, caller, tool, turns):
        async def make():
            return Call(self.slots, caller, tool)

        self.calls.append(self.loop.run_until_complete(make()))
        self.turn(turns)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), turns=st.integers(0, 8))
    def end(self, which, turns):
        self.calls[which % len(self.calls)].end.set()
        self.turn(turns)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), turns=st.integers(0, 8))
    def cancel(self, which, turns):
        self.calls[which % len(self.calls)].task.cancel()
        self.turn(turns)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), turns=st.integers(0, 8))
    def ask(self, which, turns):
        self.calls[which % len(self.calls)].question.set()
        self.turn(turns)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), turns=st.integers(0, 8))
    def answer(self, which, turns):
        self.calls[which % len(self.calls)].answer.set()
        self.turn(turns)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), turns=st.integers(0, 8))
    def leave_a_thread(self, which, turns):
        call = self.calls[which % len(self.calls)]
        if call.is_running or call.is_asking:
            call.owes = call.owes or not call.lease.is_held
            call.left.append(call.lease.retain())
        self.turn(turns)

    @precondition(lambda self: self.calls or self.gone)
    @rule(which=st.integers(0, 99), turns=st.integers(0, 8))
    def return_from_a_thread(self, which, turns):
        calls = [call for call in (*self.calls, *self.gone) if call.left]
        if calls:
            self.loop.call_soon(calls[which % len(calls)].left.pop())
        self.gone = [call for call in self.gone if call.left]
        self.turn(turns)

    @invariant()
    def what_goes_on_has_its_places(self):
        assert all(call.lease.is_held for call in (*self.calls, *self.gone) if call.left)

    @invariant()
    def never_more_run_than_there_are_places(self):
        running = [call for call in self.calls if call.is_running and not call.task.done()] + self.gone
        running = [call for call in running if not call.owes]
        assert len(running) <= SERVER
        for caller in CALLERS:
            assert sum(call.caller == caller for call in running) <= EACH
        for name, size in POOLS.items():
            users = [call for call in running if (tool := TOOLS[call.tool]) and name in tool.pools]
            assert len(users) <= size
        assert sum(call.tool == "alone" for call in running) <= 1

    @invariant()
    def who_could_have_a_place_has_it(self):
        self.turn()
        senior = self.slots._by_server["orders"].senior
        for semaphore in self.slots.semaphores:
            assert not semaphore.line or semaphore.free <= 0
            assert len(semaphore.line) <= QUEUE + sum(1 for call in self.calls if call.tool)
        lines = [
            semaphore.line for semaphore in (*self.slots.semaphores, *self.slots._by_server["orders"].crowded.values())
        ]
        assert senior.waiter is None or any(map(len, lines))

    def teardown(self):
        for call in (*self.calls, *self.gone):
            while call.left:
                self.loop.call_soon(call.left.pop())
        for call in self.calls:
            call.end.set()
            call.answer.set()
        for _ in range(400):
            if not self.calls:
                break
            for call in self.calls:
                call.answer.set()
            self.turn(20)
        setattr(waiter, "_PATIENCE", self.usual)  # noqa: B010 - see above
        left = [(call.tool, call.lease.is_held) for call in self.calls]
        by_server = self.slots._by_server["orders"]
        state = [(semaphore.label, semaphore.free, len(semaphore.line)) for semaphore in self.slots.semaphores]
        for call in self.calls:
            call.task.cancel()
        self.turn()
        self.loop.close()
        assert not left
        assert all(semaphore.free == semaphore.slots and not semaphore.line for semaphore in self.slots.semaphores), (
            state
        )
        assert (dict(by_server.counts), by_server.callers_held, by_server.senior.waiter) == ({}, 0, None)


class Impatient(Site):
    patience = 1


TestSite = Site.TestCase
TestSite.settings = settings(max_examples=40, stateful_step_count=40)


TestImpatient = Impatient.TestCase
TestImpatient.settings = settings(max_examples=80, stateful_step_count=40)
