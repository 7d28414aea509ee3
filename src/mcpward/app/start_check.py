"""Tries a configuration and its sources in a child that is thrown away, before any worker is begun with them."""

from collections.abc import Callable
from typing import Final

from mcpward.app.forked import ControlPipe, ForkedProcess, allow_signals
from mcpward.app.start_failure import StartFailure, read_failure, tell_failure
from mcpward.core.errors import Finding

_PASSED: Final = "passed"
_SERVED: Final = "served"
#: Tries everything, and returns what to do once the site serves.
Trial = Callable[[], Callable[[], None] | None]


class StartCheck(ForkedProcess):
    """Runs ``work`` in the child. The function that it returns is called there after :meth:`tell_served`."""

    def __init__(self, work: Trial) -> None:
        self.has_passed = False
        self._failure: StartFailure | None = None
        super().__init__(lambda pipe: _check(pipe, work))

    @property
    def failure(self) -> StartFailure | None:
        """The failure, None if none is known."""
        is_running = self.is_running
        for message in self.pipe.waiting():
            if message["say"] == _PASSED:
                self.has_passed = True
            else:
                self._failure = read_failure(message)
        if self._failure is None and not (is_running or self.has_passed):
            self._failure = StartFailure("other", [Finding("the check of the sources ended before it was over")])
        return self._failure

    def tell_served(self) -> None:
        """The site serves."""
        self.pipe.send(say=_SERVED)


def _check(pipe: ControlPipe, work: Trial) -> None:
    allow_signals()
    try:
        then = work()
    except BaseException as error:  # noqa: BLE001  # reported by the process that waits for it
        tell_failure(pipe, error)
        return
    pipe.send(say=_PASSED)
    if then is not None and pipe.receive() is not None:
        then()
