"""A running call's notifications: progress and log messages as JSON-RPC, from any thread, within a rate.

Progress goes out only for a ``progressToken``, strictly growing. Log messages go out from the level that the caller
named: with the request (modern era) or for its session (``logging/setLevel``); a caller that named none receives none.
After the call nothing goes out any more. Neither is clean yet, nor cut to its length: the owner of ``notify`` sends it
through sanitize.
"""

import asyncio
import math
import threading
from collections.abc import Callable
from typing import Any, Final

from msgspec.json import Encoder

from mcpward.core.clock import Clock
from mcpward.core.notification_bounds import LONGEST_READ
from mcpward.core.unicode import well_formed
from mcpward.core.values import Call

Notify = Callable[[bytes], None]

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_RANK: Final = {level: rank for rank, level in enumerate(LEVELS)}
_SILENT: Final = len(LEVELS)
_EVERY_S: Final = 0.05
_BURST: Final = 20
_encode = Encoder().encode


class Reports:
    """Implements the sdk's ``Reporter`` for one call. Made on the event loop's thread; usable from all."""

    __slots__ = ("_call", "_clock", "_due", "_last", "_logger", "_loop", "_notify", "_open", "_rank", "_thread")

    def __init__(self, call: Call, notify: Notify, clock: Clock) -> None:
        self._call = call
        self._notify = notify
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._open = True
        self._last = -math.inf
        self._due = 0.0
        self._logger = call.target
        self._rank = _threshold(call)

    def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Queue one progress notification.

        Raises:
            ValueError: a number is not finite.
        """
        _require_finite(progress)
        if total is not None:
            _require_finite(total)
        if self._call.progress_token is not None:
            # As text already here: an author's __str__ fails the tool, and not the event loop.
            self._do(self._send_progress, progress, total, None if message is None else _cut(message))

    def log(self, level: str, text: str) -> None:
        """Queue one log message; left out below the caller's level."""
        if _RANK[level] >= self._rank:
            self._do(self._send_log, level, _cut(text))

    def close(self) -> None:
        """Let nothing out any more; a thread that was left behind may go on reporting into nothing."""
        self._open = False

    def _do(self, send: Callable[..., None], *values: Any) -> None:
        if not self._open:
            return
        if threading.get_ident() == self._thread:
            send(*values)
            return
        try:
            self._loop.call_soon_threadsafe(send, *values)
        except RuntimeError:  # the loop is closed: no client listens any more
            self._open = False

    def _send_progress(self, progress: float, total: float | None, message: str | None) -> None:
        done = total is not None and progress >= total
        if not self._open or progress <= self._last or not (self._has_room() or done):
            return
        self._last = progress
        params: dict[str, Any] = {"progressToken": self._call.progress_token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        self._notify(_encode({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))

    def _send_log(self, level: str, text: str) -> None:
        if self._open and self._has_room():
            params = {"level": level, "logger": self._logger, "data": text}
            self._notify(_encode({"jsonrpc": "2.0", "method": "notifications/message", "params": params}))

    def _has_room(self) -> bool:
        """GCRA: 20 messages a second, 20 at once."""
        now = self._clock.monotonic()
        due = max(self._due, now) + _EVERY_S
        if due - now > _EVERY_S * _BURST:
            return False
        self._due = due
        return True


def _cut(text: object) -> str:
    return well_formed(str(text)[:LONGEST_READ])


def _threshold(call: Call) -> int:
    return _SILENT if call.log_level is None else _RANK.get(call.log_level, _SILENT)


def _require_finite(number: Any) -> None:
    if type(number) not in {int, float} or not math.isfinite(number):
        raise ValueError("progress and total are finite numbers")
