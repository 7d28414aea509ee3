"""Several workers: starts them, replaces those that die, and passes a stop on to them.

uvicorn's supervisor does the spawning and asks each worker whether it lives. What it says in its own log only, and
counts nowhere, is said here: that a worker died, of what, and that another took its place.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from socket import socket
from typing import Final

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from mcpward.app.listeners import is_listening
from mcpward.app.metric_snapshots import MetricSnapshots
from mcpward.app.stopping import STOP_AT_ONCE, STOP_WITHOUT_DELAY, Server
from mcpward.traffic.metrics import RESTARTS, Metrics

_log: Final = structlog.get_logger("mcpward")
_LOOK_S: Final = 0.5
_SOON_S: Final = 0.05


class WorkerProcess(Process):
    """One worker, with our way to stop."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket], delay_s: float) -> None:
        self._delay_s = delay_s
        self._was_asked = self._has_answered = False
        super().__init__(config, sockets)

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether it runs and answers in time.

        Until its first answer it only has to run: on a busy machine its imports take longer than ``timeout``, and a
        worker that was ended for that would be followed by one that is ended for the same.
        """
        if not self.process.is_alive():
            return False
        if self._has_answered:
            return self.ping(timeout)
        try:
            if not self._was_asked:
                self.parent_conn.send(b"ping")
                self._was_asked = True
            if self.parent_conn.poll(0):
                self.parent_conn.recv()
                self._has_answered = True
        except (OSError, EOFError):
            return self.process.is_alive()
        return True

    @property
    def server(self) -> Server:
        """The server of this worker; made in the worker's own process."""
        if self._server is None:
            self._server = Server(self.config, self._delay_s, has_supervisor=True)
        assert isinstance(self._server, Server)
        return self._server

    def target(self, sockets: list[socket] | None = None) -> None:
        """Run in the worker's process."""
        for sig in (STOP_WITHOUT_DELAY, STOP_AT_ONCE):
            signal.signal(sig, self.server.obey)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that is gone: the supervisor says what follows
        super().target(sockets)

    def send(self, sig: int) -> None:
        """Send a signal, if the worker still runs."""
        if self.process.exitcode is None and self.process.pid is not None:
            os.kill(self.process.pid, sig)

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name


class Supervisor(Multiprocess):
    """Runs ``config.workers`` workers on ``listener``. ``opened`` is called once the first of them serves."""

    def __init__(
        self, config: uvicorn.Config, listener: socket, numbers: Path, delay_s: float, opened: Callable[[], None]
    ) -> None:
        super().__init__(config, [listener])
        self._delay_s = delay_s
        self._opened = opened
        self._restarts = 0
        self._stop: int = signal.SIGTERM
        metrics = Metrics()
        metrics.counters[RESTARTS] = lambda: self._restarts
        self._numbers = MetricSnapshots(metrics, numbers, "supervisor")

    def run(self) -> None:
        """Serve until told to stop, then wait for the workers."""
        self.init_processes()
        self._wait_until_served()
        while not self.should_exit.wait(_LOOK_S):
            self.handle_signals()
            self.keep_subprocess_alive()
        self.terminate_all()
        self.join_all()
        self._numbers.close()

    @property
    def has_failed(self) -> bool:
        """Whether a worker could not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes = [self._begun() for _ in range(self.processes_num)]

    def _begun(self) -> WorkerProcess:
        process = WorkerProcess(self.config, self.sockets, self._delay_s)
        process.start()
        return process

    def _wait_until_served(self) -> None:
        while not self.should_exit.wait(_SOON_S):
            self.handle_signals()
            if is_listening(self.sockets[0]):
                self._opened()
                return
            if any(not process.process.is_alive() for process in self.processes):
                return  # it has failed, or is replaced; the other one's listening is not waited for

    def keep_subprocess_alive(self) -> None:
        """Replace each worker that has died, or does not answer, and tell of it."""
        for at, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            is_silent = process.process.is_alive()
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:  # it has said why; the next one would fail of the same
                self.should_exit.set()
                return
            assert isinstance(process, WorkerProcess)
            end = f"no answer for {self.config.timeout_worker_healthcheck} s" if is_silent else process.end
            self.processes[at] = self._begun()
            self._restarts += 1
            self._numbers.leave()
            _log.warning(
                "a worker died and was replaced", pid=process.pid, died_of=end, replaced_by=self.processes[at].pid
            )

    # ---- signals --------------------------------------------------------------------------------------------------

    def handle_term(self) -> None:
        """SIGTERM: say so at /readyz for a while, then stop."""
        self._stop_with(signal.SIGTERM)

    def handle_int(self) -> None:
        """Ctrl-C: stop without the delay."""
        self._stop_with(STOP_WITHOUT_DELAY)

    def handle_hup(self) -> None:
        """The terminal is gone. uvicorn would start every worker anew."""
        self._stop_with(STOP_WITHOUT_DELAY)

    def handle_ttin(self) -> None:
        """Nothing: each worker holds a share of the limits, so their number stays."""

    def handle_ttou(self) -> None:
        """Nothing; see above."""

    def _stop_with(self, sig: int) -> None:
        self._stop = STOP_AT_ONCE if self.should_exit.is_set() else sig
        self.should_exit.set()

    def terminate_all(self) -> None:
        """Release the address, then signal the workers, which hold it until they close it themselves."""
        for listener in self.sockets:
            listener.close()
        self._tell_all()

    def join_all(self) -> None:
        """Wait for the workers; pass a second signal on to them."""
        for process in self.processes:
            while process.process.is_alive():
                process.process.join(_SOON_S)
                told = self._stop
                self.handle_signals()
                if self._stop != told:
                    self._tell_all()

    def _tell_all(self) -> None:
        for process in self.processes:
            assert isinstance(process, WorkerProcess)
            process.send(self._stop)
