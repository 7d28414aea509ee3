"""The messages between the supervisor and a worker while it starts, serves and leaves."""

from collections.abc import Callable
from threading import Thread
from typing import Final

from mcpward.app.forked import ControlPipe
from mcpward.app.start_failure import tell_failure

#: From the supervisor.
SERVE: Final = "serve"
LEAVE: Final = "leave"
ALONE: Final = "alone"
TOGETHER: Final = "together"
PING: Final = "ping"
#: From the worker.
READY: Final = "ready"
SERVING: Final = "serving"
LEFT: Final = "left"
PONG: Final = "pong"


class WorkerControl:
    """A worker's end of the pipe. ``may_serve`` turns true when it is to take connections.

    A thread listens: a worker whose event loop is held up by an author's function is busy, and not dead.
    """

    def __init__(self, pipe: ControlPipe) -> None:
        self._pipe = pipe
        self.may_serve = False

    def start(self, leave: Callable[[], None], set_alone: Callable[[bool], None]) -> None:
        """Listen from now on."""

        def listen() -> None:
            while (message := self._pipe.receive()) is not None:
                said = message["say"]
                if said == PING:
                    self._pipe.send(say=PONG)
                elif said == SERVE:
                    self.may_serve = True
                elif said == LEAVE:
                    leave()
                else:
                    set_alone(said == ALONE)

        Thread(target=listen, name="supervisor", daemon=True).start()

    def ready(self, longest_s: float) -> None:
        """Everything is open; accepted calls may take ``longest_s`` seconds at most."""
        self._pipe.send(say=READY, longest_s=longest_s)

    def serving(self) -> None:
        """Connections are taken."""
        self._pipe.send(say=SERVING)

    def left(self) -> None:
        """No connection is taken any more."""
        self._pipe.send(say=LEFT)

    def failed(self, error: BaseException) -> None:
        """The start has failed."""
        tell_failure(self._pipe, error)
