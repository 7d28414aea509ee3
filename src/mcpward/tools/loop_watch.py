"""Names the function that holds the event loop: a thread of its own looks at the loop's stack when the loop is late.

While the loop runs freely this costs a timer ten times a second, and nothing in any call. Code that lets no other
thread run (a long call of C) cannot be looked at; the loop still notices afterwards that it was held.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType
from typing import Any, Final

import structlog
from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.sdk.place import place_of
from mcpward.sdk.server import Server
from mcpward.sdk.signature import unwrapped_code
from mcpward.tools.deadline import Watch

#: A longer pause is noticeable. Shorter pauses have many causes.
HELD_S: Final = 0.5
_BEAT_S: Final = 0.1
_LOOK_S: Final = 0.1
#: For each function, a line so often; the metric counts all.
_LINE_EVERY_S: Final = 10.0
#: Shorter pauses of unknown cause are the machine's, and no line in the log.
_UNSEEN_S: Final = 2.0
UNKNOWN: Final = "?"
_log: Final = structlog.get_logger("mcpward")


class Holder(Struct, frozen=True):
    """The owner of the code: the server, the name of the tool, and ``tool 'blocks'`` as people read it."""

    server: str
    name: str
    what: str


class LoopHold(Struct, frozen=True):
    """A hold of the loop: its holder (None if unknown), the author's line, and the seconds."""

    holder: Holder | None
    where: str
    seconds: float


class LoopWatch:
    """Watches one event loop. It calls ``tell`` on the loop's thread after a hold, once the loop runs again."""

    def __init__(
        self, servers: Mapping[str, Server], deadlines: Watch, clock: Clock, tell: Callable[[LoopHold], None]
    ) -> None:
        self._deadlines = deadlines
        self._holders = dict(_holders(servers))
        self._files = {code.co_filename: holder.server for code, holder in self._holders.items()}
        self._monotonic = clock.monotonic
        self._tell = tell
        self._beat_at = 0.0
        self._seen: tuple[Holder | None, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mcpward-loop-watch", daemon=True)
        self._of = 0
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin to watch the running loop. On its thread."""
        self._of = threading.get_ident()
        self._beat_at = self._monotonic()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_BEAT_S, self._beat)
        self._thread.start()

    def stop(self) -> None:
        """End the watch. On the loop's thread."""
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.join()

    def _beat(self) -> None:
        now = self._monotonic()
        late_s, seen = now - self._beat_at - _BEAT_S, self._seen
        self._beat_at, self._seen = now, None
        self._timer = self._loop.call_later(_BEAT_S, self._beat)
        if late_s >= HELD_S:
            holder, where = seen or (None, "")
            self._tell(LoopHold(holder=holder, where=where, seconds=late_s + _BEAT_S / 2))  # it began between two beats
        elif seen is None:
            self._deadlines.held_by(None)

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            if self._seen is None and self._monotonic() - self._beat_at - _BEAT_S >= HELD_S / 2:
                self._seen = self._look(sys._current_frames().get(self._of))  # noqa: SLF001  documented so
                self._deadlines.held_by(asyncio.current_task(self._loop))

    def _look(self, frame: FrameType | None) -> tuple[Holder | None, str] | None:
        """Return whose code is on a stack, and the innermost line of theirs; None if only ours or a library's is."""
        where, file, holder = "", "", None
        while frame is not None and holder is None:
            code = frame.f_code
            holder = self._holders.get(code)
            if not where and (holder is not None or code.co_filename in self._files):
                where, file = place_of(code.co_filename, frame.f_lineno), code.co_filename
            frame = frame.f_back
        if holder is None and file:  # a task that a function of theirs began, a callback
            holder = Holder(server=self._files[file], name=UNKNOWN, what="a task")
        return (holder, where) if holder is not None else None


class Reporter:
    """Turns :class:`Held` into log lines and numbers. ``count`` takes server, tool and seconds."""

    def __init__(self, clock: Clock, count: Callable[[str, str, float], None]) -> None:
        self._monotonic = clock.monotonic
        self._count = count
        self._told: dict[Holder | None, float] = {}

    def __call__(self, held: LoopHold) -> None:
        """Count it, and write a line of it unless one of the same was written just now."""
        holder, now = held.holder, self._monotonic()
        self._count(holder.server if holder else UNKNOWN, holder.name if holder else UNKNOWN, held.seconds)
        last = self._told.get(holder)
        if (last is not None and now - last < _LINE_EVERY_S) or (holder is None and held.seconds < _UNSEEN_S):
            return
        self._told[holder] = now
        if holder is None:
            what = f"the event loop was held for {held.seconds:.1f} s, and no tool was seen to run"
            _log.warning(what, hint="is the machine overloaded, or does C code hold the interpreter?")
        else:
            what = f"{holder.what} of {holder.server} held the event loop for {held.seconds:.1f} s: use def, or await"
            _log.warning(what, where=held.where, server=holder.server, seconds=round(held.seconds, 3))


def _holders(servers: Mapping[str, Server]) -> Iterable[tuple[CodeType, Holder]]:
    for server, source in servers.items():
        named: list[tuple[str, str, Any]] = [
            *((f"tool {one.name!r}", one.name, one.function) for one in source.tools),
            *((f"resource {one.name!r}", one.name, one.function) for one in source.resources),
            *((f"prompt {one.name!r}", one.name, one.function) for one in source.prompts),
            *((f"completion of {one.argument!r}", one.of.name, one.function) for one in source.completions),
        ]
        for what, name, function in named:
            code = unwrapped_code(function)
            if code is not None:
                yield code, Holder(server=server, name=name, what=what)
