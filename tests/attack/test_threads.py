"""Threads: a caller that begins calls that do not end in time, and hangs up, pays with its own slots (attacks 129,
130).
"""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle

import pytest

from support.hostile import CROWD, STRANGER, Attack, Siege, assert_unharmed, attacking, besieged
from support.raw import Answer, connect
from support.volley import answer_of, call_bytes
from support.ward import LAVISH

_BURST = 110
_SLOW_S = 4.0
#: A caller hangs up after so many seconds: its call has begun.
_BEGUN_S = 0.3

TOOLS = '''
import asyncio
import time
from mcpward import Server

server = Server("threads")


@server.tool(read_only=True)
def echo(text: str) -> str:
    """Give the text back, from a thread of the server."""
    return text


@server.tool(read_only=True)
async def echo_in_thread(text: str) -> str:
    """Give the text back, from a thread of the event loop."""
    return await asyncio.to_thread(lambda: text)


@server.tool(read_only=True)
def slow(seconds: float) -> str:
    """Take a while, in a thread."""
    time.sleep(seconds)
    return "slept"


@server.tool(read_only=True)
async def slow_in_thread(seconds: float) -> str:
    """Take a while, in a thread of the event loop."""
    await asyncio.to_thread(time.sleep, seconds)
    return "slept"


@server.tool(read_only=True)
async def wait(seconds: float) -> str:
    """Wait, then answer."""
    await asyncio.sleep(seconds)
    return "waited"
'''
#: Rates that no test meets; places as they are by default.
RATES = LAVISH.replace("caller_concurrency = 200\n", "")
SERVERS = "".join(
    f'[servers.{name}]\nsource = "threads.py"\n{mode}[servers.{name}.limits]\n{RATES}{places}'
    for name, mode, places in (
        ("demo", "", ""),
        ("orders", "", ""),
        ("open", 'mode = "public"\n', ""),
        ("narrow", 'mode = "public"\n', "concurrency = 1\nqueue = 2\n"),
    )
)


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    folder = tmp_path_factory.mktemp("threads")
    (folder / "threads.py").write_text(TOOLS)
    with besieged(folder, servers=SERVERS) as siege:
        yield siege


def slow_call(siege: Siege, server: str, tool: str, key: str = "", seconds: float = _SLOW_S) -> bytes:
    return call_bytes(
        siege.ward.port, key, tool=tool, arguments={"seconds": seconds}, path=f"/{server}/mcp"
    )  # fmt: skip


def begin(siege: Siege, wires: ExitStack, data: bytes, *sources: str) -> None:
    """Begin a call from each of the addresses."""
    for source in sources:
        wire = wires.enter_context(connect(siege.ward.port, source=source))
        wire.sendall(data)


def hanging_up(siege: Siege, data: bytes, *sources: str, calls: int = _BURST) -> Attack:
    """Begin that many calls in each second, and hang up a moment after each of them has begun."""

    def attack(over: threading.Event) -> None:
        open_for = max(1, int(calls * _BEGUN_S))
        wires: deque[socket.socket] = deque()
        for source in cycle(sources):
            wires.append(connect(siege.ward.port, 10, source=source))
            wires[-1].sendall(data)
            if len(wires) > open_for:
                wires.popleft().close()
            if over.wait(1 / calls):
                break
        for wire in wires:
            wire.close()

    return attack


def attacks(siege: Siege, tool: str) -> list[Attack]:
    """All attackers, with more calls than there are places, and not so many that connections are what is measured."""
    return [
        hanging_up(siege, slow_call(siege, "demo", tool, siege.attacker_key), "127.0.0.1", calls=30),
        hanging_up(siege, slow_call(siege, "open", tool), STRANGER, calls=20),
        hanging_up(siege, slow_call(siege, "open", tool), *CROWD, calls=30),
    ]


def call(siege: Siege, server: str, tool: str, key: str = "", source: str = "127.0.0.1") -> tuple[Answer, float]:
    began = time.monotonic()
    with connect(siege.ward.port, 20, source=source) as wire:
        answer = answer_of(wire, call_bytes(siege.ward.port, key, tool=tool, path=f"/{server}/mcp"))
    return answer, time.monotonic() - began


def assert_served(siege: Siege, server: str, tool: str, key: str = "", source: str = "127.0.0.1") -> None:
    """A call is served within a part of the time that one of the attacker's takes."""
    answer, seconds = call(siege, server, tool, key, source)
    assert (answer.status, answer.json()["result"]["isError"]) == (200, False)
    assert seconds < _SLOW_S / 2


def assert_all_served(siege: Siege, server: str, tool: str, key: str = "", source: str = "127.0.0.1") -> None:
    """So are all calls of two seconds."""
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        assert_served(siege, server, tool, key, source)
        time.sleep(0.02)


@pytest.mark.parametrize("tool", ["echo", "echo_in_thread"])
def test_attack_130_no_thread_of_one_server_is_taken_by_calls_of_others_that_hang_up(siege: Siege, tool: str) -> None:
    attack = attacks(siege, "slow" if tool == "echo" else "slow_in_thread")
    with attacking(*attack):
        assert_all_served(siege, "orders", tool, siege.honest_key)
    assert_unharmed(siege, f"{tool} beside hang-ups", *attack, seconds=2.0, tool=tool)


@pytest.mark.parametrize("tool", ["slow", "slow_in_thread"])
def test_attack_129_calls_that_hang_up_take_no_thread_from_others_of_their_server(siege: Siege, tool: str) -> None:
    other = siege.ward.create_key("demo", name=f"other-{tool}")
    echo = "echo" if tool == "slow" else "echo_in_thread"
    with attacking(hanging_up(siege, slow_call(siege, "demo", tool, siege.attacker_key), "127.0.0.1")):
        assert_all_served(siege, "demo", echo, other)


def test_attack_129_a_stranger_that_hangs_up_takes_no_thread_from_others_of_a_public_server(siege: Siege) -> None:
    with attacking(hanging_up(siege, slow_call(siege, "open", "slow"), STRANGER)):
        assert_all_served(siege, "open", "echo", source="127.0.0.9")


def test_attack_129_slow_calls_of_one_key_delay_no_other_key(siege: Siege) -> None:
    other = siege.ward.create_key("demo", name="other-slow")
    with ExitStack() as wires:
        begin(siege, wires, slow_call(siege, "demo", "slow", siege.attacker_key), *["127.0.0.1"] * 40)
        for _ in range(20):
            assert_served(siege, "demo", "echo", other)


def test_attack_129_a_call_that_hung_up_waits_for_no_place(siege: Siege) -> None:
    """One runs, and callers that hung up have left the queue: there is space in it for others."""
    with ExitStack() as running:
        begin(siege, running, slow_call(siege, "narrow", "wait", seconds=1.5), STRANGER)
        for _ in range(2):
            with ExitStack() as wires:
                begin(siege, wires, slow_call(siege, "narrow", "wait"), CROWD[0], CROWD[1])
                time.sleep(0.1)
        answer, _ = call(siege, "narrow", "echo", source="127.0.0.9")
        assert answer.status == 200, json.dumps(answer.json())
