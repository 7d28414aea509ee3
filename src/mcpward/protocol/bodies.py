"""Large bodies, read in turns: one step of one body at a time. The loop does its other work between two steps.

A caller has one body in turn; its others wait in the order they came. So no caller waits for another's large body
longer than a step takes. No number of callers makes the loop's pause longer than that (attack 119).
"""

import asyncio
from collections import deque
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.json_chunks import CHUNK, ChunkReader
from mcpward.core.jsonio import Bounds, JsonRefused
from mcpward.core.reasons import Reason
from mcpward.protocol.decode import Opened

LARGE: Final = CHUNK
"""Bytes beyond which a body is large. A smaller one costs as much as a step at the most."""

_STEP_S: Final = 0.0005
#: As long as each is, one caller's would be all that one address may have held.
_MOST_WAITING: Final = 32
_RETRY_AFTER_S: Final = 1


class _Job:
    """A body, and the request that waits for it."""

    __slots__ = ("caller", "opened", "reader")

    def __init__(self, caller: str, reader: ChunkReader, opened: "asyncio.Future[Opened]") -> None:
        self.caller = caller
        self.reader = reader
        self.opened = opened


class Bodies:
    """The large bodies of all callers."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._in_turn: deque[_Job] = deque()
        self._waiting: dict[str, deque[_Job]] = {}  # of each caller that has a body in turn

    def __len__(self) -> int:
        """Return how many callers have a body that is being read."""
        return len(self._waiting)

    async def open(self, caller: str, body: bytes) -> Opened:
        """Read a body when its turn comes.

        Raises:
            Refusal: message-unparsable, it is not JSON within the bounds; busy, too many bodies of this caller wait.
        """
        loop = asyncio.get_running_loop()
        job = _Job(caller, ChunkReader(body, self._bounds), loop.create_future())
        waiting = self._waiting.get(caller)
        if waiting is None:
            self._waiting[caller] = deque()
            self._in_turn.append(job)
            if len(self._in_turn) == 1:
                loop.call_soon(self._turn, loop)
        elif len(waiting) >= _MOST_WAITING:
            raise Refusal(Reason.BUSY, "large bodies of this caller wait to be read", RetryAfter(_RETRY_AFTER_S))
        else:
            waiting.append(job)
        return await job.opened

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read on in the body whose turn it is. Whatever else is ready comes before the next turn."""
        job = self._in_turn[0]
        is_over = job.opened.done() or _advance(job)  # it is done if the request was cancelled
        self._in_turn.popleft()
        if not is_over:
            self._in_turn.append(job)
        elif waiting := self._waiting[job.caller]:
            self._in_turn.append(waiting.popleft())
        else:
            del self._waiting[job.caller]
        if self._in_turn:
            loop.call_soon(self._turn, loop)


def _advance(job: _Job) -> bool:
    """Read on for half a millisecond, or for one step. Return whether the body was read to its end."""
    try:
        if not job.reader.read_for(_STEP_S):
            return False
    except JsonRefused as no:
        job.opened.set_exception(Refusal(Reason.MESSAGE_UNPARSABLE, str(no)))
    except Exception as broken:  # noqa: BLE001  # the request that met a bug of ours reports it
        job.opened.set_exception(broken)
    else:
        job.opened.set_result(Opened(job.reader.value, job.reader.arguments))
    return True
