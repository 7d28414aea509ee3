"""What an idle keep-alive connection costs: memory of the server before and after thousands of them."""

import asyncio
import os
import resource
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import load
from bench.peers import Peer, machine
from bench.process import BenchFailed, cores
from bench.report import write
from bench.wire import answer_end, is_good

AT_ONCE = 50
SPARE_FILES = 200


def measure(peers: Sequence[Peer], wanted: int, console: Console) -> None:
    """Print and save the memory of each peer's idle connections. Each has made one call before it falls silent."""
    count = _may_open(wanted)
    if count < wanted:
        console.print(f"the file limit of this machine allows {count} connections", style="yellow")
    os.sched_setaffinity(0, {cores()[1]})
    drawn = Table(box=SIMPLE_HEAD, title=f"{count:,} idle keep-alive connections")
    drawn.add_column("server")
    for heading in ("MB before", "MB with them", "KB each", "call beside them, ms"):
        drawn.add_column(heading, justify="right")
    found = []
    for peer in peers:
        with console.status(peer.name):
            before, during, call_ms = _peer(peer, count)
        each = (during - before) / count
        drawn.add_row(peer.title, f"{before / 1e6:.1f}", f"{during / 1e6:.1f}", f"{each / 1024:.1f}", f"{call_ms:.2f}")
        found.append({"name": peer.name, "before": before, "during": during, "each": each, "call_ms": call_ms})
    console.print(drawn)
    console.print(f"written: {write('idle.json', {'machine': machine(), 'connections': count, 'rows': found})}")


def _may_open(wanted: int) -> int:
    """Raise the limit of open files, for this process and the servers it starts, as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + SPARE_FILES
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed - SPARE_FILES


def _peer(peer: Peer, count: int) -> tuple[int, int, float]:
    with peer.listening() as server:
        running = server.running
        calls = server.calls()
        load.apply(running.port, calls, 32, 1.0)  # warm: what is allocated once is not a connection's
        before = running.resident_bytes()
        try:
            return before, *uvloop.run(_hold(running.port, calls, count, running.resident_bytes))
        except (OSError, TimeoutError) as failed:
            raise BenchFailed(f"{peer.name}: {failed!r}") from None


async def _hold(port: int, calls: Iterator[bytes], count: int, resident) -> tuple[int, float]:
    held: list[asyncio.StreamWriter] = []
    readers: list[asyncio.StreamReader] = []
    try:
        async with asyncio.timeout(180):
            while len(held) < count:
                opened = [asyncio.open_connection("127.0.0.1", port) for _ in range(min(AT_ONCE, count - len(held)))]
                pairs = await asyncio.gather(*opened)
                held += [writer for _, writer in pairs]
                readers += [reader for reader, _ in pairs]
                await asyncio.gather(
                    *(
                        _call(reader, writer, call)
                        for (reader, writer), call in zip(pairs, islice(calls, len(pairs)), strict=True)
                    )
                )
            during = resident()
            call_ms = await _beside(readers, held, calls)
        if any(reader.at_eof() for reader in readers):
            raise BenchFailed("the server closed idle connections while they were counted")
    finally:
        for writer in held:
            writer.close()
    return during, call_ms


async def _beside(readers, writers, calls) -> float:
    """Median time of a call on one of the connections while the others are silent."""
    took = []
    for reader, writer, call in zip(readers[:200], writers, calls, strict=False):
        started = time.perf_counter()
        await _call(reader, writer, call)
        took.append(time.perf_counter() - started)
    return sorted(took)[len(took) // 2] * 1e3


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: bytes) -> None:
    writer.write(call)
    answer = b""
    while not answer_end(answer):
        more = await reader.read(65536)
        if not more:
            raise BenchFailed(f"a connection was closed by the server: {answer[:300]!r}")
        answer += more
    if not is_good(answer):
        raise BenchFailed(f"an answer was not the result: {answer[:400]!r}")
