"""The load: a closed loop of keep-alive connections in one thread, fast enough not to be what is measured."""

import asyncio
import gc
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

from bench.process import BenchFailed
from bench.wire import answer_end, is_good


@dataclass(frozen=True)
class Load:
    """What one burst of load saw. ``cpu_s`` is what the load itself took: near ``seconds`` it is what was measured."""

    calls: int
    seconds: float
    cpu_s: float
    latencies_ns: array
    last: bytes

    @property
    def rate(self) -> float:
        return self.calls / self.seconds

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.latencies_ns)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] / 1e6


class _Connection(asyncio.Protocol):
    """Sends the next call when the answer to the last one is whole."""

    def __init__(self, burst: "_Burst") -> None:
        self._burst = burst
        self._rest = b""
        self._sent = 0

    def connection_made(self, transport) -> None:
        self._write = transport.write
        self._transport = transport
        self._burst.connections.append(self)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if answer_end(data) != len(data):
            self._rest = data
            return
        now = time.perf_counter_ns()
        self._rest = b""
        burst = self._burst
        burst.latencies.append(now - self._sent)
        if not is_good(data):
            burst.fail(f"an answer was not the result: {data[:400]!r}")
        elif now < burst.until:
            self._sent = now
            self._write(next(burst.requests))
        else:
            burst.last = data
            burst.leave()

    def send(self) -> None:
        self._sent = time.perf_counter_ns()
        self._write(next(self._burst.requests))

    def connection_lost(self, _) -> None:
        self._burst.fail("a connection was closed by the server")

    def close(self) -> None:
        self._transport.close()


class _Burst:
    def __init__(self, requests: Iterator[bytes], seconds: float) -> None:
        self.requests = requests
        self.connections: list[_Connection] = []
        self.latencies = array("Q")
        self.seconds = seconds
        self.until = 0
        self.last = b""
        self._left = 0
        self.over = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        self._left = len(self.connections)
        self.until = time.perf_counter_ns() + int(self.seconds * 1e9)
        for connection in self.connections:
            connection.send()

    def leave(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.over.done():
            self.over.set_result(None)

    def fail(self, why: str) -> None:
        if not self.over.done():
            self.over.set_exception(BenchFailed(why))


async def _burst(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    burst = _Burst(requests, seconds)
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(burst), "127.0.0.1", port)
    try:
        async with asyncio.timeout(seconds + 15):
            started, cpu_started = time.perf_counter(), time.process_time()
            burst.start()
            await burst.over
            took, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    except TimeoutError:
        raise BenchFailed("an answer did not come within 15 s") from None
    finally:
        for connection in burst.connections:
            connection.close()
    return Load(len(burst.latencies), took, cpu_s, burst.latencies, burst.last)


def apply(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    """Load the server at ``port`` for ``seconds``. Raises :class:`BenchFailed` at the first wrong answer."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_burst(port, requests, connections, seconds))
    finally:
        gc.enable()
