"""Long work on a thread of its own, cut so short that it never holds up the event loop.

pydantic-core and msgspec keep the interpreter's lock while they work. Where their work comes back to Python, at each
item of a list, it stops from time to time. So the loop has its turn.
"""

import threading
from time import perf_counter, sleep
from typing import Final, TypeVar

SLICE_S: Final = 0.002
"""How long one piece of work may keep the interpreter's lock, in seconds, before others have their turn."""
_PAUSE_S: Final = 0.001

T = TypeVar("T")


class _Pace(threading.local):
    """``due`` is when this thread stops for the next time: never, unless it has declared its work long."""

    due = float("inf")


_pace: Final = _Pace()


def step(value: T) -> T:
    """Return ``value``, after a pause if this thread has worked for long enough."""
    if perf_counter() > _pace.due:
        sleep(_PAUSE_S)
        _pace.due = perf_counter() + SLICE_S
    return value


def begin() -> None:
    """Mark the begin of long work on this thread, which is not the event loop's."""
    _pace.due = perf_counter() + SLICE_S


def end() -> None:
    """Mark the end of long work: from here on :func:`step` never waits."""
    _pace.due = float("inf")
