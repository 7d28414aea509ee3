"""How a process stops: it announces the stop and still serves, then takes no new connections, and ends after its calls.

A load balancer learns of a stop by asking ``/readyz``, and sends calls until then. So after SIGTERM a process answers
503 there for ``site.shutdown_delay_s`` while calls still pass, and closes its listener then. Ctrl-C has no such delay.
A second signal stops at once: running calls are cancelled, answered so and recorded.

A worker that leaves for a new generation is not stopping. It takes no connections any more and ends its streams, but
calls and tasks have all of their own time. The site stays ready all the while.
"""

import asyncio
import signal
from collections.abc import Callable
from math import ceil
from types import FrameType
from typing import Final

import uvicorn

from mcpward.app.worker import Worker
from mcpward.core.clock import SystemClock
from mcpward.ingress.connection import Connection

#: From the supervisor to its workers. A worker cannot count the SIGTERMs that it gets: a service manager sends one to
#: every process of the service, and the supervisor another; and the terminal sends SIGINT to all of them.
STOP_WITHOUT_DELAY: Final = signal.SIGUSR1
STOP_AT_ONCE: Final = signal.SIGUSR2
_TICK_S: Final = 0.05
#: How long a connection of a worker that leaves may be idle before it is closed. A request that comes meanwhile is
#: answered with ``Connection: close``, so a busy client meets no connection that closes while it writes.
MOVE_S: Final = 2.0
#: How long a worker that leaves answers others at least: a new one asks what was switched off.
ANSWER_S: Final = 1.0
_CLOCK: Final = SystemClock()


class Server(uvicorn.Server):
    """uvicorn's server with a delay before its stop. ``has_supervisor`` distinguishes a worker of a supervisor's."""

    def __init__(self, config: uvicorn.Config, delay_s: float, *, has_supervisor: bool = False) -> None:
        super().__init__(config)
        self._delay_s = delay_s
        self._drain_s = config.timeout_graceful_shutdown or 0
        self._has_supervisor = has_supervisor
        self._has_delay = True
        self._is_leaving = False
        self._is_ending = False
        self._cut_at: float | None = None
        self.left: Callable[[], None] = lambda: None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """Take SIGTERM and SIGINT, and SIGHUP as the latter: a closed terminal stops without the delay."""
        if self._has_supervisor:
            if sig == signal.SIGTERM:
                self._stop_leaving(self._delay_s)
                self.should_exit = True
        elif self.should_exit:
            self._end_at_once()
        else:
            self._has_delay = sig == signal.SIGTERM
            self.should_exit = True

    def obey(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """Take the supervisor's message."""
        self._has_delay = False
        self._stop_leaving(0.0)
        self.should_exit = True
        if sig == STOP_AT_ONCE:
            self._end_at_once()

    def leave(self) -> None:
        """Finish what runs, in its own time; may be called by another thread."""
        self._is_leaving = True
        self.should_exit = True

    def set_alone(self, is_alone: bool) -> None:
        """Notify the worker whether there are others; may be called by another thread."""
        worker = self._worker
        if worker is not None:
            worker.set_alone(is_alone)

    async def main_loop(self) -> None:
        """Serve until stopped, and for the delay after that; or until it must leave."""
        await super().main_loop()
        worker = self._worker
        if worker is None:
            return
        if self._is_leaving:
            await self._move_callers(worker)
        elif self._has_delay and self._delay_s:
            worker.front.stopping = True
            end = worker.clock.monotonic() + self._delay_s
            while worker.clock.monotonic() < end and not self._is_hurried():  # noqa: ASYNC110  # a signal sets it
                await asyncio.sleep(_TICK_S)

    async def _move_callers(self, worker: Worker) -> None:
        """Take no connections, end the streams, and wait until callers have their next connection elsewhere."""
        for server in self.servers:
            server.close()
        worker.leave()
        self.left()
        self.config.timeout_graceful_shutdown = ceil(worker.longest_s)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.is_answering:
                connection.shutdown()
        began = worker.clock.monotonic()
        while self._cut_at is None and (spent := worker.clock.monotonic() - began) < MOVE_S:
            if spent > ANSWER_S and not self.server_state.connections:
                return
            await asyncio.sleep(_TICK_S)

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for the calls that run; at a second signal do as if their time were over."""
        finished = asyncio.ensure_future(self._finish())
        try:
            while not finished.done():
                if self._is_ending or self._is_cut():
                    raise TimeoutError
                await asyncio.wait([finished], timeout=_TICK_S)
        finally:
            finished.cancel()

    async def _finish(self) -> None:
        await super()._wait_tasks_to_complete()
        worker = self._worker
        if self._is_leaving and worker is not None:
            await worker.finish_tasks()

    def _stop_leaving(self, delay_s: float) -> None:
        """Limit the calls that have their own time to the time of a stop."""
        if self._is_leaving and self._cut_at is None:
            self._cut_at = _CLOCK.monotonic() + delay_s + self._drain_s

    def _is_cut(self) -> bool:
        return self._cut_at is not None and _CLOCK.monotonic() >= self._cut_at

    def _is_hurried(self) -> bool:
        return self._is_ending or not self._has_delay

    @property
    def _worker(self) -> Worker | None:
        return self.lifespan.state.get("worker") if self.started else None

    def _end_at_once(self) -> None:
        self._is_ending = True
        worker = self._worker
        if worker is not None:
            worker.end_at_once()
