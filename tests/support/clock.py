"""A clock that stands still until the test moves it."""


class ManualClock:
    """Both clocks start at a fixed moment and move only by ``advance`` (both) or ``set_back`` (only the wall clock)."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def monotonic_ns(self) -> int:
        return int(self._monotonic * 1_000_000_000)

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def shift_wall(self, seconds: float) -> None:
        """Change only the wall clock, as an operator or NTP would."""
        self._now += seconds
