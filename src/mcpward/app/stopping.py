"""How a process stops: it says so and still serves, then takes nobody new and finishes what runs, then ends.

A load balancer learns of a stop by asking ``/readyz``, and goes on sending calls until it has. So after SIGTERM a
process answers 503 there for ``site.shutdown_delay_s`` while calls still pass, and closes its listener then. Ctrl-C has
no such delay. A second signal means now: calls that run are cancelled, told so and recorded.
"""

import asyncio
import signal
from types import FrameType
from typing import Final

import uvicorn

from mcpward.app.worker import Worker

#: From the supervisor to its workers. A worker cannot count the SIGTERMs that it gets: a service manager sends one to
#: every process of the service, and the supervisor another; and the terminal sends SIGINT to all of them.
STOP_WITHOUT_DELAY: Final = signal.SIGUSR1
STOP_AT_ONCE: Final = signal.SIGUSR2
_TICK_S: Final = 0.05


class Server(uvicorn.Server):
    """uvicorn's server with a delay before its stop. ``has_supervisor`` tells a worker of several."""

    def __init__(self, config: uvicorn.Config, delay_s: float, *, has_supervisor: bool = False) -> None:
        super().__init__(config)
        self._delay_s = delay_s
        self._has_supervisor = has_supervisor
        self._has_delay = True
        self._is_ending = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """Take SIGTERM and SIGINT, and SIGHUP as the latter: a terminal that is gone asks nobody for patience."""
        if self._has_supervisor:
            if sig == signal.SIGTERM:
                self.should_exit = True
        elif self.should_exit:
            self._end_at_once()
        else:
            self._has_delay = sig == signal.SIGTERM
            self.should_exit = True

    def obey(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """Take what the supervisor says."""
        self._has_delay = False
        self.should_exit = True
        if sig == STOP_AT_ONCE:
            self._end_at_once()

    async def main_loop(self) -> None:
        """Serve until told to stop, and for the delay after that."""
        await super().main_loop()
        worker = self._worker
        if worker is None or not self._has_delay or not self._delay_s:
            return
        worker.front.stopping = True
        end = worker.clock.monotonic() + self._delay_s
        while worker.clock.monotonic() < end and not self._is_hurried():  # noqa: ASYNC110  # a signal handler sets it
            await asyncio.sleep(_TICK_S)

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for the calls that run; at a second signal do as if their time were over."""
        finished = asyncio.ensure_future(super()._wait_tasks_to_complete())
        try:
            while not finished.done():
                if self._is_ending:
                    raise TimeoutError
                await asyncio.wait([finished], timeout=_TICK_S)
        finally:
            finished.cancel()

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
