"""One worker, as the supervisor sees it: how far its start is, whether it answers, how it ended."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from mcpward.app.forked import ControlPipe, ForkedProcess, allow_signals
from mcpward.app.lifespan import Lifespan
from mcpward.app.start_failure import StartFailure, read_failure
from mcpward.app.stopping import STOP_AT_ONCE, STOP_WITHOUT_DELAY, Server
from mcpward.app.worker_control import LEFT, PING, PONG, READY, SERVING, WorkerControl

#: How long a worker may be silent, with all of its threads.
SILENT_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1


class WorkerProcess(ForkedProcess):
    """``make`` returns the server, and is called in the worker's own process. ``is_only``: it ends with its parent."""

    def __init__(self, make: Callable[[WorkerControl], Server], *, is_only: bool, is_alone: bool) -> None:
        parent = os.getpid()
        self.is_ready = self.is_serving = self.is_told_to_serve = self.has_left = False
        self.is_only = is_only
        self.is_alone = is_alone
        self.failure: StartFailure | None = None
        self.longest_s = 0.0
        self._asked_at: float | None = None
        super().__init__(lambda pipe: _serve(pipe, make, parent if is_only else None))

    def listen(self) -> None:
        """Read its messages."""
        for message in self.pipe.waiting():
            said = message["say"]
            if said == PONG:
                self._asked_at = None
            elif said == READY:
                self.is_ready, self.longest_s = True, message["longest_s"]
            elif said == SERVING:
                self.is_serving = True
            elif said == LEFT:
                self.has_left = True
            else:
                self.failure = read_failure(message)

    def is_silent(self, now: float) -> bool:
        """Return whether it has not answered in time; ask again if it has.

        Before it serves it only has to run: its imports may take long. The only worker is never silent: to end it would
        end all calls, and no worker would take them meanwhile.
        """
        if self.is_only or not self.is_serving:
            return False
        if self._asked_at is None:
            self._asked_at = now
            self.pipe.send(say=PING)
            return False
        return now - self._asked_at > SILENT_S

    def forgive(self) -> None:
        """Ask anew: this process itself was held up."""
        self._asked_at = None

    def tell(self, word: str) -> None:
        """Send it one word of :mod:`~mcpward.app.worker_control`."""
        self.pipe.send(say=word)

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self.exit_code or 0
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name


def _serve(pipe: ControlPipe, make: Callable[[WorkerControl], Server], parent: int | None) -> None:
    if parent is not None:
        _end_with(parent)
    control = WorkerControl(pipe)
    server = make(control)
    for number in (STOP_WITHOUT_DELAY, STOP_AT_ONCE):
        signal.signal(number, server.obey)
    signal.signal(signal.SIGTERM, server.handle_exit)
    allow_signals()
    server.left = control.left
    control.start(server.leave, server.set_alone)
    app = server.config.app
    assert isinstance(app, Lifespan)
    server.run([app.listener])


def _end_with(parent: int) -> None:
    """End when the supervisor is killed: with one worker that has always ended the site, and freed its address."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
