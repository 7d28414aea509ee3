"""What a tool may know and say while it runs: who calls, under which id, progress and log messages."""

from collections.abc import Awaitable, Generator
from typing import Any, Protocol

from msgspec import Struct

from mcpward.core.values import Way
from mcpward.sdk.environment import env

__all__ = ["Caller", "Context", "Reporter", "env"]


class Caller(Struct, frozen=True, kw_only=True):
    """Who is calling, as the house established it. The model can neither see nor set any of this.

    ``subject`` is the caller's stable name within its ``way``: the key's root id, the token's subject,
    or a name for the nameless.
    """

    subject: str
    name: str
    server: str
    way: Way
    scopes: frozenset[str] = frozenset()
    key_id: str | None = None


class Reporter(Protocol):
    """Where a running tool's messages go. The tools room has the one implementation; usable from any thread."""

    def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell the caller how far the tool is."""
        ...

    def log(self, level: str, text: str) -> None:
        """Send one log message to the caller."""
        ...


class _Said:
    """The awaitable of something already done. Awaiting it hands the event loop one turn, so the message can leave."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        yield


_SAID = _Said()


class Context:
    """The running call. All methods work in ``async def`` tools (with ``await``) and in ``def`` tools (without)."""

    __slots__ = ("_reporter", "caller", "request_id")

    def __init__(self, caller: Caller, request_id: str, reporter: Reporter) -> None:
        self.caller = caller
        self.request_id = request_id
        self._reporter = reporter

    def report_progress(
        self, progress: float, total: float | None = None, message: str | None = None
    ) -> Awaitable[None]:
        """Tell the caller how far the tool is; only sent when the caller asked for it.

        ``progress`` must grow: reports that do not, and those above about 20 a second, are left out.

        Raises:
            ValueError: ``progress`` or ``total`` is not a finite number.
        """
        self._reporter.progress(progress, total, message)
        return _SAID

    def debug(self, text: str) -> Awaitable[None]:
        """Send a debug message to the caller. Nothing private belongs in it."""
        self._reporter.log("debug", text)
        return _SAID

    def info(self, text: str) -> Awaitable[None]:
        """Send an info message to the caller."""
        self._reporter.log("info", text)
        return _SAID

    def warning(self, text: str) -> Awaitable[None]:
        """Send a warning to the caller."""
        self._reporter.log("warning", text)
        return _SAID

    def error(self, text: str) -> Awaitable[None]:
        """Send an error message to the caller; the tool goes on."""
        self._reporter.log("error", text)
        return _SAID
