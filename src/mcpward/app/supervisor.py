"""Runs the workers of a site: starts a generation, replaces workers that die, reloads, and passes a stop on to all.

It serves no callers and imports no source of an author's, so that every worker that it forks loads them afresh.
"""

import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

import structlog

from mcpward.app.generation import Generation
from mcpward.app.metric_snapshots import MetricSnapshots
from mcpward.app.reloading import Reloading
from mcpward.app.running_site import RELOAD, SiteFiles
from mcpward.app.start_check import StartCheck, Trial
from mcpward.app.start_failure import StartFailure
from mcpward.app.stopping import STOP_AT_ONCE, STOP_WITHOUT_DELAY
from mcpward.app.terminal import Terminal
from mcpward.core.clock import SystemClock
from mcpward.traffic.metrics import LAST_RELOAD, RELOADS, RELOADS_FAILED, RESTARTS, Metrics

_log: Final = structlog.get_logger("mcpward")
_CLOCK: Final = SystemClock()
_LOOK_S: Final = 0.5
#: A look that comes so late is a fault of this process, not of a worker that has not answered meanwhile.
_LATE_S: Final = 2.0
#: uvicorn's exit code for a failed start.
_COULD_NOT_START: Final = 3
#: How long a worker that is still starting may take to end at a stop: an import that hangs hears no signal.
_STARTING_S: Final = 3.0
#: How long to wait before the start of a worker that has failed is tried again, while others serve.
_RETRY_S: Final = 10.0


class Supervisor:
    """``first`` begins the first generation, after ``trial`` if there is one; ``reloading`` makes the next ones.

    ``files`` is None if the data take no files. ``release`` closes the listeners of this process.
    """

    def __init__(
        self,
        trial: Trial | None,
        first: Callable[[], Generation],
        reloading: Reloading,
        files: SiteFiles | None,
        release: Callable[[], None],
    ) -> None:
        self._trial = trial
        self._first = first
        self._reloading = reloading
        self._release = release
        self._check: StartCheck | None = None
        self._current: Generation
        self._generations: list[Generation] = []
        self._leaving: list[Generation] = []
        self._signals: list[int] = []
        self._terminal = Terminal()
        self._has_hung_up = False
        self._stop: int | None = None
        self._exit_code = 0
        self._looked_at = _CLOCK.monotonic()
        self._restarts = 0
        self._retry_at: dict[int, float] = {}
        metrics = Metrics()
        metrics.counters[RESTARTS] = lambda: self._restarts
        metrics.counters[RELOADS] = lambda: reloading.done
        metrics.counters[RELOADS_FAILED] = lambda: reloading.failed
        metrics.gauges[LAST_RELOAD] = lambda: reloading.done_at
        self._numbers = MetricSnapshots(metrics, None if files is None else files.metrics, "supervisor")

    def run(self) -> int:
        """Serve until stopped, wait for the workers, and return the exit code.

        Raises:
            Misconfigured: the first generation could not start.
            Unreachable: the same.
        """
        with _waking(self._signals) as self._wake:
            try:
                failure = self._begin()
                if failure is None:
                    self._serve()
                self._end()
            except BaseException:
                self._kill()
                raise
        self._numbers.close()
        if failure is not None:
            error = failure.to_error()
            if error is not None:
                raise error
            return 1
        return self._exit_code

    # ---- while it serves -----------------------------------------------------------------------------------------

    def _begin(self) -> StartFailure | None:
        """Start the first generation; return why that was not possible, None if it serves or is to stop."""
        if self._trial is not None:
            self._check = StartCheck(self._trial)
            while not self._stops() and not self._check.has_passed:
                if failure := self._check.failure:
                    return failure
                self._wait()
        if self._stops():
            return None
        self._current = self._first()
        self._generations.append(self._current)
        while not self._stops():
            self._current.listen()
            if failure := self._current.failure:
                self._stop = STOP_AT_ONCE
                return failure
            if self._current.is_ready:
                self._current.serve()
            if self._current.is_serving:
                self._tell_served()
                return None
            self._wait()
        return None

    def _tell_served(self) -> None:
        if self._check is not None:
            self._check.tell_served()
            self._check.join()
            self._check = None

    def _stops(self) -> bool:
        return self._stop is not None

    def _serve(self) -> None:
        while not self._stops():
            self._wait()
            if not self._stops():
                self._look_after_reload()
                self._look_after_current()
                self._look_after_leaving()

    @property
    def _everyone(self) -> list[Generation]:
        return [*self._generations, *self._leaving, *self._reloading.generations]

    def _wait(self) -> None:
        """Wait for a signal, a word or an end, half a second at most; take the signals."""
        workers = [worker for one in self._everyone for worker in one.workers]
        others = [*self._reloading.processes, *([] if self._check is None else [self._check])]
        running = [one for one in (*workers, *others) if one.is_running]
        handles = [self._wake, *(end for one in running for end in (one.pipe, one.sentinel))]
        select.select(handles, [], [], _LOOK_S)
        with suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass
        while self._signals:
            self._take(self._signals.pop(0))

    def _take(self, number: int) -> None:
        if number == RELOAD:
            self._reloading.ask()
        elif number == signal.SIGHUP and not self._terminal.is_lost():
            self._has_hung_up = True
            self._reloading.ask()
        elif number == signal.SIGTERM and self._stop is None:
            self._stop = signal.SIGTERM
        else:
            self._stop = STOP_WITHOUT_DELAY if self._stop is None else STOP_AT_ONCE

    def _look_after_current(self) -> None:
        """Replace each worker that has died, or does not answer, and report it."""
        now, current = _CLOCK.monotonic(), self._current
        was_late, self._looked_at = now - self._looked_at > _LATE_S, now
        current.listen()
        current.serve()
        current.set_alone(is_alone=not (self._leaving or self._reloading.is_busy))
        for at, worker in enumerate(current.workers):
            if was_late:
                worker.forgive()
            is_silent = worker.is_running and worker.is_silent(now)
            if worker.is_running and not is_silent:
                continue
            end = "no answer for some seconds" if is_silent else worker.end
            worker.kill()
            if worker.exit_code == _COULD_NOT_START and not self._may_retry(at, worker.failure, now):
                continue
            self._restarts += 1
            replaced = current.replace(at)
            self._numbers.leave()
            _log.warning("a worker died and was replaced", pid=worker.pid, died_of=end, replaced_by=replaced.pid)

    def _may_retry(self, at: int, failure: StartFailure | None, now: float) -> bool:
        """Return whether it is time to start a worker again that could not start. If no other serves, give up.

        A worker may die while a tool file is half edited: the others go on with the tools that they have.
        """
        if at in self._retry_at:
            return now >= self._retry_at[at] and self._retry_at.pop(at) > 0
        for one in failure.findings if failure is not None else ():
            _log.error("a worker cannot start", what=one.what, where=one.where, hint=one.hint)
        if any(other.is_running and other.is_serving for other in self._current.workers):
            self._retry_at[at] = now + _RETRY_S
        else:
            self._give_up()
        return False

    def _give_up(self) -> None:
        self._exit_code = 1
        self._stop = STOP_WITHOUT_DELAY

    def _look_after_reload(self) -> None:
        if self._has_hung_up and self._terminal.is_lost():  # it was on its way out when the signal came
            self._stop = STOP_WITHOUT_DELAY
            return
        taken = self._reloading.look(self._current)
        self._has_hung_up = self._has_hung_up and self._reloading.is_busy
        if taken is not None:
            self._leaving.append(self._current)
            self._current = taken
            self._generations = [taken]
            self._retry_at.clear()
        if self._reloading.has_news:
            self._reloading.has_news = False
            self._numbers.leave()

    def _look_after_leaving(self) -> None:
        self._leaving += self._reloading.given_up()
        for one in [*self._leaving]:
            one.listen()
            if one.look_after_leaving(_CLOCK.monotonic()):
                one.join()
                self._leaving.remove(one)

    # ---- the end -------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Release the address, then signal the workers, which hold it until they close it themselves."""
        self._release()
        self._reloading.close()
        if self._check is not None:
            self._check.kill()
            self._check = None
        everyone, began = self._everyone, _CLOCK.monotonic()
        told: int | None = None
        while any(one.is_running for one in everyone):
            if self._stop != told and self._stop is not None:
                told = self._stop
                for one in everyone:
                    one.signal(told)
            for one in everyone:
                one.listen()
                if _CLOCK.monotonic() - began > _STARTING_S:
                    one.kill_starting()
            self._wait()
        for one in everyone:
            one.join()

    def _kill(self) -> None:
        """Something of ours is broken: leave no process behind."""
        for one in self._everyone:
            one.signal(signal.SIGKILL)


@contextmanager
def _waking(signals: list[int]) -> Iterator[socket.socket]:
    """Put the signals of this process into ``signals``, and yield the socket that is readable when there is one.

    SIGHUP is kept as it is if it is ignored, as under nohup.
    """

    def take(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    awake, waker = socket.socketpair()
    with awake, waker:
        awake.setblocking(False)
        waker.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT, RELOAD):
            signal.signal(number, take)
        for number in (signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU):  # other servers take these
            signal.signal(number, lambda *_: None)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, take)
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield awake
        finally:
            signal.set_wakeup_fd(before)
