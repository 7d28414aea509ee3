"""The executors of authors' functions in one worker: threads, the event loop, and the metrics of both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.exchange import Exchange
from mcpward.sdk.server import Server
from mcpward.tools.loop_watch import LoopWatch, Reporter
from mcpward.tools.pool import Pool
from mcpward.tools.run import Runner
from mcpward.traffic.metrics import Metrics

#: Threads of each server for functions without async. With the defaults a call with a slot finds one at once: a server
#: has as many slots, and a caller half of them.
_THREADS: Final = 64


@asynccontextmanager
async def open_runner(
    authors: Mapping[str, Server], clock: Clock, exchange: Exchange | None, metrics: Metrics, longest_text: int
) -> AsyncIterator[Runner]:
    """Make the executors of tools, assign threads to the event loop, and watch for functions that hold it."""
    runner = Runner(_THREADS, clock, exchange, longest_text=longest_text)
    asyncio.get_running_loop().set_default_executor(runner.executor)

    def of_all(count: Callable[[Pool], int]) -> Callable[[], float]:
        return lambda: sum(map(count, runner.pools))

    metrics.gauges["mcpward_tool_threads"] = of_all(lambda pool: pool.threads)
    metrics.gauges["mcpward_tool_threads_busy"] = of_all(lambda pool: pool.busy)
    metrics.gauges["mcpward_tool_threads_abandoned"] = of_all(lambda pool: pool.abandoned)
    metrics.gauges["mcpward_tool_threads_waited_for"] = of_all(lambda pool: pool.waiting)

    def count(server: str, tool: str, seconds: float) -> None:
        key = (server, tool)
        metrics.loop_held[key] = metrics.loop_held.get(key, 0.0) + seconds

    watch = LoopWatch(authors, runner.deadlines, clock, Reporter(clock, count))
    watch.start()
    try:
        yield runner
    finally:
        watch.stop()
        await runner.close()
