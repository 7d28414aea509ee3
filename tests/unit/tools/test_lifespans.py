"""Servers start and stop as their authors say; what goes wrong is named with the author's line."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from mcpward import Server, env
from mcpward.core.errors import Misconfigured
from mcpward.sdk.place import place_of
from mcpward.sdk.signature import where
from mcpward.tools import lifespans
from mcpward.tools.lifespans import LifespanEnded, Lifespans


class Shop:
    """The value that a lifespan yields."""


def line_of(function, offset: int) -> str:
    return place_of(__file__, function.__code__.co_firstlineno + offset)


@asynccontextmanager
async def lying() -> AsyncIterator[Shop]:
    yield {}  # type: ignore[misc]  # that is the lie


def leave() -> None:
    raise SystemExit(3)


async def unset() -> None:
    _ = env.NOWHERE_AT_ALL


async def through_a_library() -> None:
    await asyncio.wait_for(unset_file(), 1)


async def unset_file() -> None:
    json.loads("no JSON")


async def grouped() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(unset())


@pytest.mark.parametrize(
    "start, said, place, hint",
    [
        (leave, "on_start function 'leave' failed: SystemExit: 3", line_of(leave, 1), "nothing is served until"),
        (unset, "the secret NOWHERE_AT_ALL is not set", line_of(unset, 1), "export NOWHERE_AT_ALL=…"),
        (grouped, "the secret NOWHERE_AT_ALL is not set", line_of(unset, 1), "nothing is served"),
        (through_a_library, "'through_a_library' failed: JSONDecodeError", line_of(unset_file, 1), "nothing is served"),
    ],
)
async def test_a_start_that_fails_is_told_with_the_innermost_line_of_the_author(start, said, place, hint):
    server = Server("demo")
    server.on_start(start)
    with pytest.raises(Misconfigured) as refused:
        async with Lifespans().open({"demo": server}):
            pytest.fail("it is served")
    (finding,) = refused.value.findings
    assert said in finding.what
    assert finding.where == place
    assert hint in finding.hint


async def test_a_lifespan_that_yields_something_else_than_it_says_does_not_start():
    with pytest.raises(Misconfigured) as refused:
        async with Lifespans().open({"demo": Server("demo", lifespan=lying)}):
            pytest.fail("it is served")
    (finding,) = refused.value.findings
    assert finding.what == "the lifespan of server 'demo' is annotated to yield a Shop, but yields a dict"
    assert finding.where == where(inspect.unwrap(lying))


async def test_every_server_that_does_not_start_is_told_at_once_and_the_others_are_stopped():
    stopped: list[str] = []
    good, bad, worse = Server("good"), Server("bad"), Server("worse")
    good.on_stop(lambda: stopped.append("good"))
    bad.on_start(leave)
    worse.on_start(unset)
    with pytest.raises(Misconfigured) as refused:
        async with Lifespans().open({"good": good, "bad": bad, "worse": worse}):
            pytest.fail("it is served")
    assert len(refused.value.findings) == 2
    assert stopped == ["good"]


async def test_what_a_lifespan_yields_is_there_while_it_runs_and_no_longer():
    @asynccontextmanager
    async def shop() -> AsyncIterator[Shop]:
        yield Shop()

    held = Lifespans()
    with pytest.raises(LifespanEnded):
        held.value_of("demo")
    async with held.open({"demo": Server("demo", lifespan=shop)}):
        assert isinstance(held.value_of("demo"), Shop)
        assert held.all_run
    with pytest.raises(LifespanEnded):
        held.value_of("demo")
    assert held.all_run


async def test_a_stop_that_does_not_end_is_given_up_and_named(monkeypatch):
    monkeypatch.setattr(lifespans, "STOP_S", 0.05)
    server = Server("demo")

    @server.on_stop
    async def wait() -> None:
        await asyncio.Event().wait()

    with capture_logs() as told:
        async with Lifespans().open({"demo": server}):
            pass
    (line,) = told
    assert line["event"] == "a server did not stop in time"
    assert line["step"] == "on_stop function 'wait'"
    assert line["where"] == where(wait)


async def test_a_start_that_takes_long_says_what_is_waited_for(monkeypatch):
    monkeypatch.setattr(lifespans, "_STILL_S", 0.01)
    server, told_of = Server("demo"), asyncio.Event()

    @server.on_start
    async def load() -> None:
        await told_of.wait()

    with capture_logs() as told:
        asyncio.get_running_loop().call_later(0.1, told_of.set)
        async with Lifespans().open({"demo": server}):
            pass
    assert told[0]["event"] == "a server is still starting"
    assert told[0]["where"] == where(load)
