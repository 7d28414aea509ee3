"""One connection as its exchanges see it: its peer, its output, and whether the peer reads."""

import asyncio

from mcpward.ingress.head_cache import KnownHeads
from mcpward.ingress.listener import Listener
from mcpward.ingress.table import Entry


class Link:
    """The transport of one connection, and what is known of its peer.

    ``is_deaf``: nothing more is read from it. ``paused_at`` is since when the peer has not read what was written.
    """

    __slots__ = (
        "_thirst", "address", "entry", "front", "heads", "is_deaf", "is_gone", "loop", "number", "paused_at", "tasks",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        front: Listener,
        loop: asyncio.AbstractEventLoop,
        tasks: "set[asyncio.Task[None]]",
        transport: asyncio.Transport,
        entry: Entry,
    ) -> None:
        peername = transport.get_extra_info("peername")
        self.front = front
        self.loop = loop
        self.tasks = tasks
        self.transport = transport
        self.entry = entry
        self.address = str(peername[0]) if isinstance(peername, tuple) else "unknown"
        self.number = front.number(self.address)
        self.heads = KnownHeads()
        self.is_gone = False
        self.is_deaf = False
        self.paused_at: float | None = None
        self._thirst: asyncio.Future[None] | None = None  # of a stream that waits until the peer reads again

    def write(self, data: bytes) -> None:
        """Write, in this turn of the loop, unless the peer has gone."""
        if not self.is_gone:
            self.front.outbox.put(self.transport, data)

    def unread(self) -> int:
        """Bytes written that the peer has not taken yet."""
        return self.transport.get_write_buffer_size()

    def cut_off(self) -> None:
        """End the connection now, whatever is still to be written to it."""
        self.transport.abort()

    def pause(self) -> None:
        """The peer reads slowly: remember since when."""
        self.paused_at = self.front.monotonic()

    def resume(self) -> None:
        """The peer reads again."""
        self.paused_at = None
        self._quench()

    def leave(self) -> None:
        """The peer has gone."""
        self.is_gone = self.is_deaf = True
        self.entry.leave()
        self._quench()

    async def drained(self) -> None:
        """Return when the peer has read most of what was written, or has gone. For one waiter: one exchange writes."""
        while self.paused_at is not None and not self.is_gone:
            self._thirst = self.loop.create_future()
            await self._thirst

    def _quench(self) -> None:
        if self._thirst is not None and not self._thirst.done():
            self._thirst.set_result(None)
        self._thirst = None
