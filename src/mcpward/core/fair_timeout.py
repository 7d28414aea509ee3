"""A time limit on an answer that does not count the time in which our own event loop stood still.

``asyncio.timeout`` ends its block as soon as its timer runs. After a pause of the loop that is before the answer was
looked at, which arrived long ago. Then a tool that computed on the loop would cause refusals of the store, the
provider, and in the end the caller. Here a timer that comes late is set once more, for as long as it was late.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

#: A timer is hardly ever on time to the millisecond; this late it is only when the loop did something else.
_LATE_S: Final = 0.05
#: A loop that is late each time does not extend the limit indefinitely: by no more than its own length.
_MOST: Final = 1.0


@asynccontextmanager
async def fair_timeout(seconds: float) -> AsyncIterator[None]:
    """Raise ``TimeoutError`` when the block takes longer than ``seconds``, pauses of the loop at its end left out.

    Such a pause is made up for up to the length of the limit itself.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    last = due + seconds * _MOST
    timer: asyncio.TimerHandle

    async with asyncio.timeout(None) as limit:

        def ring() -> None:
            nonlocal due, timer
            now = loop.time()
            if now - due > _LATE_S and due < last:
                due = min(now + (now - due), max(now + _LATE_S, last))
                timer = loop.call_at(due, ring)
            else:
                limit.reschedule(now)

        timer = loop.call_at(due, ring)
        try:
            yield
        finally:
            timer.cancel()
