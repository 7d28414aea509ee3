"""Bounds the log lines of one kind: callers cause some, and a log takes disk space (CWE-779).

A tool that fails writes a traceback for each call, and every caller of a public tool chooses how often. A kind is the
text before its facts are filled in, and has so many lines in a minute. The number of the others is in the next line of
that kind, or in the last one of the process.
"""

import logging
import threading
from typing import Final

from mcpward.core.clock import Clock, SystemClock

MOST_A_MINUTE: Final = 60
_MINUTE_S: Final = 60.0
#: Kinds are texts of ours, and of the libraries below: there are not many.
_MOST_KINDS: Final = 1000


class LogRate(logging.Filter):
    """Lets a line pass or counts it. Used by several threads."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._monotonic = (clock or SystemClock()).monotonic
        self._lock = threading.Lock()
        self._until = 0.0
        self._seen: dict[str, int] = {}
        self._withheld: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be written; a written one reports how many of its kind were not."""
        kind = _kind(record)
        with self._lock:
            now = self._monotonic()
            if now >= self._until:
                self._until = now + _MINUTE_S
                self._seen = {}
            seen = self._seen.get(kind, 0)
            if seen >= MOST_A_MINUTE or (not seen and len(self._seen) >= _MOST_KINDS):
                if kind in self._withheld or len(self._withheld) < _MOST_KINDS:
                    self._withheld[kind] = self._withheld.get(kind, 0) + 1
                return False
            self._seen[kind] = seen + 1
            withheld = self._withheld.pop(kind, 0)
        if withheld:
            _tell(record, withheld)
        return True


def _kind(record: logging.LogRecord) -> str:
    event = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
    return f"{record.name} {event}"


def _tell(record: logging.LogRecord, withheld: int) -> None:
    if isinstance(record.msg, dict):
        record.msg["withheld"] = withheld
    else:
        record.msg, record.args = f"{record.getMessage()} ({withheld} more like this were withheld)", None
