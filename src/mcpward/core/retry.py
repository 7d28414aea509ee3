"""Work that may fail for a while and is tried again: logged once when it fails, and once when it works again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

_ONCE_A_SECOND: Final = (1.0,)


def doubling(first_s: float, last_s: float) -> tuple[float, ...]:
    """Return pauses in seconds, each twice the one before, until ``last_s``."""
    pauses = [first_s]
    while pauses[-1] < last_s:
        pauses.append(min(2 * pauses[-1], last_s))
    return tuple(pauses)


class Retry:
    """The state of one outage.

    ``tell`` writes the log's line about it, for its first failure only; with ``cause_of``, also for each new cause.
    ``tell_over`` writes the line when it is over. ``pauses_s`` are the seconds to wait after the first failure, the
    second and so on; the last one holds from then on.
    """

    def __init__(
        self,
        tell: Callable[[Exception], None],
        tell_over: Callable[[], None] | None = None,
        *,
        pauses_s: Sequence[float] = _ONCE_A_SECOND,
        cause_of: Callable[[Exception], str] | None = None,
    ) -> None:
        self._tell = tell
        self._tell_over = tell_over
        self._pauses_s = pauses_s
        self._cause_of = cause_of
        self._cause = ""
        self._failures = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    @property
    def pause_s(self) -> float:
        """Seconds until the next try, after the last failure."""
        return self._pauses_s[min(max(self._failures, 1), len(self._pauses_s)) - 1]

    def failed(self, error: Exception) -> float:
        """Note a failure; return the seconds until the next try."""
        cause = "" if self._cause_of is None else self._cause_of(error)
        if not self._failures or cause != self._cause:
            self._cause = cause
            self._tell(error)
        self._failures += 1
        return self.pause_s

    def succeeded(self) -> None:
        """Note that the work was done."""
        if self._failures:
            self._failures = 0
            if self._tell_over is not None:
                self._tell_over()

    async def attempt(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do the work once; False if it raised."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is reported, and the next try follows
            self.failed(error)
            return False
        self.succeeded()
        return True

    async def until_done(self, work: Callable[[], Awaitable[object]]) -> None:
        """Try until the work is done, with a pause after each failure."""
        while not await self.attempt(work):  # noqa: ASYNC110  # no event announces when it will work again
            await asyncio.sleep(self.pause_s)


async def every(interval_s: float, stopping: asyncio.Event, turn: Callable[[], Awaitable[object]]) -> None:
    """Take a turn every ``interval_s`` seconds; once ``stopping`` is set, one more at once, and end."""
    while not stopping.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), interval_s)
        await turn()
