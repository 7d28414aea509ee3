"""The cause of a failed start, as a process reports it to its parent."""

from typing import Final, Literal

import structlog
from msgspec import Struct, convert, to_builtins

from mcpward.app.forked import ControlPipe, Message
from mcpward.core.errors import Finding, Misconfigured, Unreachable

_log: Final = structlog.get_logger("mcpward")


class StartFailure(Struct, frozen=True):
    """``kind`` names the error; the process itself has logged any other one in full."""

    kind: Literal["misconfigured", "unreachable", "other"]
    findings: list[Finding] = []

    def to_error(self) -> Exception | None:
        """Return the error again, None for one that was reported."""
        if self.kind == "misconfigured":
            return Misconfigured(self.findings)
        if self.kind == "unreachable":
            return Unreachable(self.findings[0].what, self.findings[0].hint)
        return None


def failure_of(error: BaseException) -> StartFailure:
    """Return the report of an error; an unexpected one is logged here, with its traceback."""
    if isinstance(error, Misconfigured):
        return StartFailure("misconfigured", [*error.findings])
    if isinstance(error, Unreachable):
        return StartFailure("unreachable", [Finding(error.what, hint=error.hint)])
    _log.error("a worker cannot start", exc_info=error)
    return StartFailure("other", [Finding(f"a worker cannot start ({type(error).__name__}): see the log")])


def tell_failure(pipe: ControlPipe, error: BaseException) -> None:
    """Send what the start failed of."""
    pipe.send(say="failed", failure=to_builtins(failure_of(error)))


def read_failure(message: Message) -> StartFailure:
    """Read what :func:`tell_failure` sent."""
    return convert(message["failure"], StartFailure)
