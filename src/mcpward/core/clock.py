"""Time, as a value that can be injected. No other package reads the machine's clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: ``now`` for what people read, ``monotonic`` for what is measured and limited."""

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back, so a set clock opens no window."""
        ...

    def monotonic_ns(self) -> int:
        """Return the same moment in whole nanoseconds."""
        ...


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)
