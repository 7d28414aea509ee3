"""One connection to one node. All commands of one turn of the event loop leave in one write; answers come in order.

A pool of connections costs a write, a read and a wake-up for each command. Here a hundred calls charged in the same
turn cost one write and mostly one read. No call waits for a free connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from hiredis import HiredisError, Reader, ReplyError

from mcpward.limits.redis.script import Command


class SentCommand:
    """A sent command. ``answer`` is None if no caller awaits it; ``hops`` counts how often it was redirected."""

    __slots__ = ("answer", "command", "hops", "with_text")

    def __init__(self, command: Command, answer: asyncio.Future[Any] | None) -> None:
        self.command = command
        self.answer = answer
        self.hops = 0
        self.with_text = False

    def succeed(self, value: Any) -> None:
        """Deliver the answer, if a caller still waits."""
        answer = self.answer
        if answer is not None and not answer.done():
            answer.set_result(value)

    def fail(self, why: Exception) -> None:
        """Deliver the failure, if a caller still waits."""
        answer = self.answer
        if answer is not None and not answer.done():
            answer.set_exception(why)


class RespConnection(asyncio.Protocol):
    """Speaks to one node.

    ``on_error`` is called with a command that Redis refused, and the error's text. ``on_lost`` is called once, when the
    connection is lost or an answer is late by ``timeout_s``, with every unanswered command.
    """

    def __init__(
        self,
        timeout_s: float,
        on_error: Callable[["RespConnection", SentCommand, str], None],
        on_lost: Callable[["RespConnection", list[SentCommand], str], None],
    ) -> None:
        self._timeout_s = timeout_s
        self._on_error = on_error
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._transport: asyncio.WriteTransport | None = None
        self._out: list[bytes] = []
        self._waiting: deque[SentCommand] = deque()
        #: When each write left, and how many of its commands have no answer yet.
        self._writes: deque[list[float]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._is_lost = False
        self._closes_when_idle = False

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, asked: SentCommand) -> None:
        """Send a command, together with all others of this turn."""
        if self._is_lost:
            self._on_lost(self, [asked], "the connection is closed")
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(asked.command.packed(with_text=asked.with_text))
        self._waiting.append(asked)

    def close(self, why: str = "closed") -> None:
        """Close at once; unanswered commands go to ``on_lost``."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        unanswered, self._waiting = list(self._waiting), deque()
        self._out.clear()
        self._on_lost(self, unanswered, why)

    def close_when_idle(self) -> None:
        """Close when the last answer has come."""
        self._closes_when_idle = True
        if not self._waiting:
            self.close()

    # ---- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Deliver each answer to its caller."""
        reader, waiting = self._reader, self._waiting
        answered = 0
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not False:
                if not waiting:
                    raise HiredisError("an answer without a command")
                asked = waiting.popleft()
                answered += 1
                if type(answer) is ReplyError:
                    self._on_error(self, asked, str(answer))
                else:
                    asked.succeed(answer)
        except HiredisError as broken:
            self.close(f"not the protocol of Redis: {broken}")
            return
        self._count_down(answered)
        if self._closes_when_idle and not waiting:
            self.close()

    def connection_lost(self, broken: Exception | None) -> None:
        """Report the lost connection."""
        self.close("the connection was lost" if broken is None else f"the connection was lost: {broken}")

    # ---- time -----------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        out = self._out
        if not out or self._transport is None:
            return
        now = self._loop.time()
        self._writes.append([now, len(out)])
        self._transport.write(b"".join(out))
        out.clear()
        if self._watch is None:
            self._watch = self._loop.call_at(now + self._timeout_s, self._look)

    def _count_down(self, answered: int) -> None:
        writes = self._writes
        while answered and writes:
            head = writes[0]
            if head[1] > answered:
                head[1] -= answered
                return
            answered -= int(head[1])
            writes.popleft()

    def _look(self) -> None:
        """Check whether the oldest write has its answers. One timer for all: none is set for each command.

        A loop that stood still reads the waiting input before it runs its timers, so no node is blamed for our own
        pause.
        """
        self._watch = None
        if not self._writes:
            return
        due = self._writes[0][0] + self._timeout_s
        if self._loop.time() < due:
            self._watch = self._loop.call_at(due, self._look)
        else:
            self.close(f"no answer in {self._timeout_s} s")
