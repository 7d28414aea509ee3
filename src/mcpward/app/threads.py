"""The threads of authors' functions in one worker: how many, who uses them, and what the metrics tell of them."""

import asyncio
from collections.abc import Callable
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.exchange import Exchange
from mcpward.tools.pool import Pool
from mcpward.tools.run import Runner
from mcpward.traffic.metrics import Metrics

#: Threads of each server for functions without async. With the defaults a call that has a place finds one at once: a
#: server has as many places, and a caller half of them.
_THREADS: Final = 64


def open_runner(clock: Clock, exchange: Exchange | None, metrics: Metrics, *, longest_text: int) -> Runner:
    """Make what runs tools, and give the event loop its threads."""
    runner = Runner(_THREADS, clock, exchange, longest_text=longest_text)
    asyncio.get_running_loop().set_default_executor(runner.executor)

    def of_all(count: Callable[[Pool], int]) -> Callable[[], float]:
        return lambda: sum(map(count, runner.pools))

    metrics.gauges["mcpward_tool_threads"] = of_all(lambda pool: pool.threads)
    metrics.gauges["mcpward_tool_threads_busy"] = of_all(lambda pool: pool.busy)
    metrics.gauges["mcpward_tool_threads_abandoned"] = of_all(lambda pool: pool.abandoned)
    metrics.gauges["mcpward_tool_threads_waited_for"] = of_all(lambda pool: pool.waiting)
    return runner
