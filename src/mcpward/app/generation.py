"""The workers that serve one version of configuration and tools, from their start until the last of them has ended."""

import signal
from collections.abc import Callable, Mapping
from typing import Final

from mcpward.app.start_failure import StartFailure
from mcpward.app.worker_control import ALONE, LEAVE, SERVE, TOGETHER
from mcpward.app.worker_process import WorkerProcess
from mcpward.config.model import Settings
from mcpward.core.errors import Finding

#: The time that an old worker may take to close, beyond that of its calls, before it is killed.
_KILL_AFTER_S: Final = 10.0
_DIED: Final = "a worker ended before it was ready"


class Generation:
    """``make`` begins one worker; ``sources`` are the digests of the servers' files when the first was begun."""

    def __init__(self, settings: Settings, sources: Mapping[str, str], make: Callable[[int], WorkerProcess]) -> None:
        self.settings = settings
        self.sources = sources
        self._make = make
        self._ends_at: float | None = None
        self.workers = [make(number) for number in range(settings.site.workers)]

    def listen(self) -> None:
        """Read the messages of the workers."""
        for worker in self.workers:
            worker.listen()

    @property
    def failure(self) -> StartFailure | None:
        """Why it does not become ready, None if nothing has gone wrong."""
        for worker in self.workers:
            if worker.failure is not None:
                return worker.failure
        for worker in self.workers:
            if not worker.is_running:
                worker.listen()  # its last message
                return worker.failure or StartFailure("other", [Finding(f"{_DIED}: {worker.end}")])
        return None

    @property
    def is_ready(self) -> bool:
        """Whether every worker is open and may be let to serve."""
        return all(worker.is_ready for worker in self.workers)

    @property
    def is_serving(self) -> bool:
        """Whether every worker takes connections."""
        return all(worker.is_serving for worker in self.workers)

    def serve(self) -> None:
        """Let those take connections that are ready; others once they are."""
        for worker in self.workers:
            if worker.is_ready and not worker.is_told_to_serve:
                worker.is_told_to_serve = True
                worker.tell(SERVE)

    def replace(self, at: int) -> WorkerProcess:
        """Begin another worker in the place of one that has ended, with the same settings."""
        self.workers[at] = self._make(at)
        return self.workers[at]

    def set_alone(self, *, is_alone: bool) -> None:
        """Notify workers whether there are others; one that is not open yet learns it later."""
        for worker in self.workers:
            if worker.is_serving and worker.is_alone != is_alone:
                worker.is_alone = is_alone
                worker.tell(ALONE if is_alone else TOGETHER)

    # ---- the end ----------------------------------------------------------------------------------------------------

    def leave(self, now: float) -> None:
        """Have the workers finish what runs and end."""
        longest = max((worker.longest_s for worker in self.workers), default=0.0)
        self._ends_at = now + longest + self.settings.site.drain_s + _KILL_AFTER_S
        for worker in self.workers:
            worker.tell(LEAVE)

    @property
    def has_left(self) -> bool:
        """Whether none of the workers takes connections any more."""
        return all(worker.has_left or not worker.is_running for worker in self.workers)

    def look_after_leaving(self, now: float) -> bool:
        """Kill those whose time is over; return whether all have ended."""
        for worker in self.workers:
            if self._ends_at is not None and now > self._ends_at:
                worker.send_signal(signal.SIGKILL)
        return not self.is_running

    @property
    def is_running(self) -> bool:
        """Whether a worker runs."""
        return any(worker.is_running for worker in self.workers)

    def signal(self, number: int) -> None:
        """Send all workers a signal."""
        for worker in self.workers:
            worker.send_signal(number)

    def kill_starting(self) -> None:
        """Kill the workers that are not ready yet: no call is in them."""
        for worker in self.workers:
            if not worker.is_ready:
                worker.send_signal(signal.SIGKILL)

    def join(self) -> None:
        """Wait for the end of all workers."""
        for worker in self.workers:
            worker.join()
