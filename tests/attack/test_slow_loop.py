"""A tool that holds the event loop, and a process that stands still: no good key is refused, no bad one let in."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from mcpward.config.load import load
from mcpward.core.clock import SystemClock
from mcpward.operations.site import open_site
from support.hostile import Siege, besieged
from support.stops import worker_of
from support.ward import LAVISH

SLOW = '''
import time
from mcpward import Server

server = Server("slow")


@server.tool(read_only=True)
async def hold(seconds: float) -> str:
    """Compute on the event loop."""
    time.sleep(seconds)
    return "held"
'''
SERVERS = "".join(
    f'[servers.{name}]\nsource = "{source}"\n[servers.{name}.limits]\n{LAVISH}'
    for name, source in (("demo", "slow.py"), ("orders", "tools.py"))
)
HELD_S = 5.0


@contextmanager
def held_by_a_tool(siege: Siege) -> Iterator[None]:
    """The attacker's own call takes the loop of the whole process."""
    call = threading.Thread(
        target=siege.ward.call,
        args=("hold", {"seconds": HELD_S}),
        kwargs={"key": siege.attacker_key, "path": "/demo/mcp"},
    )
    call.start()
    try:
        yield
    finally:
        call.join()


@contextmanager
def stopped(siege: Siege) -> Iterator[None]:
    """The whole process stands still, all of its threads: what C code that keeps the interpreter does, too."""
    process = worker_of(siege.ward)
    os.kill(process, signal.SIGSTOP)
    timer = threading.Timer(HELD_S, os.kill, (process, signal.SIGCONT))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def revoke(folder: Path, key: str) -> None:
    """Revoke as ``mcpward key revoke`` does, without the time that a command takes to start."""
    settings = load(folder / "mcpward.toml", {}, {"site.data": str(folder / ".mcpward")})

    async def work() -> None:
        async with open_site(settings, SystemClock()) as site:
            assert await site.store.keys.revoke(key.removeprefix("sk-mcpward-")[:12], time.time())

    asyncio.run(work())


@pytest.mark.parametrize("holding", [held_by_a_tool, stopped])
def test_attack_123_a_loop_that_stands_still_refuses_no_good_key_and_serves_no_revoked_one(
    tmp_path: Path, holding: Callable[[Siege], AbstractContextManager[None]]
):
    (tmp_path / "slow.py").write_text(SLOW)
    with besieged(tmp_path, servers=SERVERS) as siege, ThreadPoolExecutor(12) as pool:
        ward = siege.ward
        gone = ward.create_key("orders", name="gone")

        def call(key: str) -> int:
            return ward.call("echo", {"text": "x"}, key=key, path="/orders/mcp").status_code

        assert (call(siege.honest_key), call(gone)) == (200, 200)
        with holding(siege):
            time.sleep(0.3)  # the loop is held by now
            meanwhile = [pool.submit(call, siege.honest_key) for _ in range(6)]
            revoke(tmp_path, gone)
            late = [pool.submit(call, gone) for _ in range(3)]  # sent after the revocation was acknowledged
        after = [call(siege.honest_key) for _ in range(10)]
        assert {one.result() for one in meanwhile} == {200}
        assert {one.result() for one in late} == {401}
        assert set(after) == {200}
