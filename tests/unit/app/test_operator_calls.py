"""An operator's call as a message: made once, by one worker, answered in as many messages as needed (attack 133)."""

import asyncio
import fcntl
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import to_builtins

from mcpward.app.operator_calls import BusCalls
from mcpward.config.load import load
from mcpward.core.errors import Unreachable
from mcpward.identity.named_caller import NamedCaller
from mcpward.operations.operator_call import ASKING, TELLING, CallAnswer, CallRequest, OperatorCall
from mcpward.operations.presence import find_worker, present
from mcpward.operations.remote_call import RemoteCalls
from support.clock import ManualClock
from support.mail import Workers

CALL = OperatorCall(server="orders", tool="find", arguments="{}", caller=NamedCaller(name="alice"))


class Made:
    """Makes calls by writing them down."""

    def __init__(self, body="{}"):
        self.body = body
        self.calls = []

    async def make_on(self, wire, call):
        self.calls.append(call)
        return CallAnswer(body=self.body, hint="a hint")


@asynccontextmanager
async def site(made, tmp_path):
    clock = ManualClock()
    mail = Workers(clock, poll_s=0.005, hurry_s=0.005)
    mail.rooms = {name: mail.open(name) for name in ("w0", "cli")}
    settings = load(None, {}, {"site.data": str(tmp_path)})
    async with mail:
        desk = BusCalls(made, mail["w0"], clock)
        yield RemoteCalls(mail["cli"], settings, clock, "w0", 5.0), mail, clock
        await desk.close()


async def test_a_long_answer_comes_back_whole(tmp_path):
    made = Made('"' + 'é"\\' * 60_000)
    async with site(made, tmp_path) as (remote, _, _):
        answer = await remote.make(CALL)
    assert answer == CallAnswer(body=made.body, hint="a hint")
    assert made.calls == [CALL]


async def test_a_copy_of_a_letter_and_an_old_one_run_nothing(tmp_path):
    made = Made()
    async with site(made, tmp_path) as (_, mail, clock):
        letters = [CallRequest(name="n" * 22, by="cli", at=clock.now(), call=CALL)] * 2
        letters.append(CallRequest(name="o" * 22, by="cli", at=clock.now() - 121, call=CALL))
        letters.append(CallRequest(name="p" * 22, by="cli", at=clock.now(), call=CALL))
        told: asyncio.Queue[Any] = asyncio.Queue()
        mail["cli"]._handlers[TELLING] = told.put_nowait
        for letter in letters:
            assert mail["cli"].send(ASKING, to_builtins(letter), "w0")
        async with asyncio.timeout(5):
            assert {(await told.get())["name"], (await told.get())["name"]} == {"n" * 22, "p" * 22}
    assert len(made.calls) == 2


async def test_a_worker_that_ended_is_told_and_not_waited_for(tmp_path):
    async with site(Made(), tmp_path) as (remote, _, _):
        remote._worker = "gone"
        with pytest.raises(Unreachable, match="ended before it answered"):
            await remote.make(CALL)


def test_a_worker_is_found_while_it_is_there(tmp_path):
    assert find_worker(tmp_path) is None
    with present(tmp_path, "w0"):
        assert find_worker(tmp_path) == "w0"
        assert (tmp_path / "workers").stat().st_mode & 0o777 == 0o700
    assert find_worker(tmp_path) is None
    (tmp_path / "workers" / "dead").touch()  # the remains of a process that was killed: no process holds its lock
    assert find_worker(tmp_path) is None
    assert not (tmp_path / "workers" / "dead").exists()


def test_a_worker_is_found_though_somebody_looked_while_it_took_its_lock(tmp_path, monkeypatch):
    flock = fcntl.flock

    def looked_first(descriptor, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        assert find_worker(tmp_path) is None
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", looked_first)
    with present(tmp_path, "w0"):
        assert fcntl.flock is flock
        assert find_worker(tmp_path) == "w0"
    assert not list((tmp_path / "workers").iterdir())


def test_a_worker_that_cannot_be_found_serves_all_the_same_and_the_log_says_so(tmp_path, caplog):
    (tmp_path / "workers").touch()  # as on a full disk, nothing can be made in it
    with present(tmp_path, "w0"):
        assert find_worker(tmp_path) is None
    assert "mcpward call cannot find this worker" in caplog.text
    with pytest.raises(PermissionError), present(tmp_path, "w0"):
        raise PermissionError  # what fails within is not meant
