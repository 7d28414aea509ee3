"""One worker's stream buffers: within bounds on each caller and on all, and not for long.

Buffers are dropped in this order: the oldest finished stream, then the oldest running one. A dropped running stream is
still sent to its connected client; it can only not be resumed.
"""

from typing import Final

from msgspec import Struct

from mcpward.core import ids
from mcpward.core.clock import Clock
from mcpward.messaging.resumption.buffer import Bounds, Buffer, Owner

_NAME_LENGTH: Final = 22  # base 62: 131 bits


class _Caller(Struct, eq=False):
    """One principal's streams at this worker, the oldest first, and their bytes."""

    streams: dict[str, Buffer]
    size: int = 0


class Buffers:
    """All kept streams by name. Implements :class:`~mcpward.messaging.resumption.buffer.BufferOwner`."""

    def __init__(self, clock: Clock, worker: str, bounds: Bounds) -> None:
        self._clock = clock
        self._worker = worker
        self._bounds = bounds
        self._streams: dict[str, Buffer] = {}
        self._finished_at: dict[str, float] = {}
        self._callers: dict[str, _Caller] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._streams)

    def begin(self, owner: Owner) -> Buffer:
        """Begin to keep a stream."""
        self.prune()
        replay = Buffer(owner, self._worker, ids.base62(_NAME_LENGTH), self, self._bounds)
        caller = self._callers.get(owner.principal)
        if caller is None:
            caller = self._callers[owner.principal] = _Caller({})
        caller.streams[replay.name] = self._streams[replay.name] = replay
        self._make_room(caller)
        return replay

    def find(self, owner: Owner, name: str) -> Buffer | None:
        """Return the owner's stream of that name; None for one that is not here, and for one of another owner."""
        self.prune()
        replay = self._streams.get(name)
        return replay if replay is not None and replay.owner == owner else None

    def prune(self) -> None:
        """Drop the streams that have been finished for long enough."""
        over = self._clock.monotonic() - self._bounds.keep_s
        while self._finished_at:
            name = next(iter(self._finished_at))  # they finish in order
            if self._finished_at[name] > over:
                return
            self._remove(self._streams[name])

    def clear(self) -> None:
        """Drop all buffers; their readers end."""
        for replay in list(self._streams.values()):
            self._remove(replay)

    def resized(self, replay: Buffer, change: int) -> None:
        """Count bytes, and drop the excess."""
        caller = self._callers.get(replay.owner.principal)
        if caller is None or replay.name not in caller.streams:
            return
        caller.size += change
        self.size += change
        if change > 0:
            self._make_room(caller)

    def finished(self, replay: Buffer) -> None:
        """Note when the stream finished."""
        if replay.name in self._streams:
            self._finished_at[replay.name] = self._clock.monotonic()

    def _make_room(self, caller: _Caller) -> None:
        bounds = self._bounds
        while caller.size > bounds.caller_size or len(caller.streams) > bounds.caller_streams:
            streams = caller.streams.values()
            self._remove(next((replay for replay in streams if replay.is_over), None) or next(iter(streams)))
        while self.size > bounds.total_size or len(self._streams) > bounds.total_streams:
            self._remove(self._streams[next(iter(self._finished_at), None) or next(iter(self._streams))])

    def _remove(self, replay: Buffer) -> None:
        replay.let_go()
        del self._streams[replay.name]
        self._finished_at.pop(replay.name, None)
        caller = self._callers[replay.owner.principal]
        del caller.streams[replay.name]
        if not caller.streams:
            del self._callers[replay.owner.principal]
