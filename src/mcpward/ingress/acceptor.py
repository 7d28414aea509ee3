"""Accepts the connections of one listener: each is counted, or refused, before a byte of it is read.

The loop's own listener shows a connection only after its TLS handshake, and without free descriptors it closes
connections unseen, or itself. This one looks at the socket as the kernel hands it over.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from mcpward.ingress.connection import Connection
from mcpward.ingress.table import ConnectionTable, Entry

#: Connections that are accepted in one turn of the loop, so that a flood of new ones does not hold up the others.
_BATCH: Final = 16
#: Without a descriptor, how long at most until the next try; and how long the loop takes to free one.
_PAUSE_S: Final = 1.0
_FREED_S: Final = 0.01
#: accept(2): no descriptor, or no memory, for one more. The connection stays where it is: in the kernel's queue.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Stands for an :class:`asyncio.Server`: ``start`` begins, ``close`` ends it. Takes ``listener`` over."""

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], Connection],
        table: ConnectionTable,
        *,
        tls: ssl.SSLContext | None = None,
        handshake_s: float = 10.0,
        shutdown_s: float = 2.0,
    ) -> None:
        self._listener = listener
        self._make = make
        self._table = table
        self._loop = asyncio.get_running_loop()
        self._connecting: dict[asyncio.Task[Any], Entry] = {}
        self._tls: dict[str, Any] = {}
        if tls is not None:  # both of the loop's own times are half a minute and more
            self._tls = {"ssl": tls, "ssl_handshake_timeout": handshake_s, "ssl_shutdown_timeout": shutdown_s}
        self._paused: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self) -> None:
        """Accept from now on."""
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more, and end the handshakes that are not over."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._paused is not None:
            self._paused.cancel()
            self._paused = self._table.on_leave = None  # else a closing connection would reopen the listener
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if not self._tls:
            return  # what was accepted is a connection in a moment, and has its request answered
        for entry in list(self._connecting.values()):
            entry.leave()
            entry.end()

    async def wait_closed(self) -> None:
        """Return when nothing is left of the handshakes."""
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                accepted, address = self._listener.accept()
            except OSError as error:
                # Any other error is that of a peer which has gone again, or of the network: accept(2).
                if error.errno in _EXHAUSTED:
                    self._pause()
                return
            entry = self._table.admit(address[0])
            if entry is None:
                accepted.close()
            else:
                self._connect(accepted, entry)

    def _connect(self, accepted: socket.socket, entry: Entry) -> None:
        protocol = self._make()
        protocol.entry = entry
        coming = self._loop.connect_accepted_socket(lambda: protocol, accepted, **self._tls)
        task = self._loop.create_task(coming)
        if self._tls:  # else it is made in a moment, and sees then whether it has left already
            entry.end_handshake = task.cancel
        self._connecting[task] = entry
        task.add_done_callback(partial(self._connected, accepted, entry))

    def _connected(self, accepted: socket.socket, entry: Entry, task: asyncio.Task[Any]) -> None:
        del self._connecting[task]
        entry.end_handshake = None
        if task.cancelled() or task.exception() is not None:
            with suppress(OSError):  # a transport that has not begun its handshake yet does not end by cancelling
                accepted.shutdown(socket.SHUT_RDWR)
            accepted.close()
            entry.leave()

    # ---- no descriptors -------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        """Stop looking at the listener until a connection has gone: it would be seen as ready again and again."""
        self._table.turned_away.refuse("", "descriptors")
        self._loop.remove_reader(self._listener)
        self._paused = self._loop.call_later(_PAUSE_S, self._resume)
        self._table.on_leave = self._resume_soon
        self._table.evict_stranger()

    def _resume_soon(self) -> None:
        self._table.on_leave = None
        if self._paused is not None:
            self._paused.cancel()
            self._paused = self._loop.call_later(_FREED_S, self._resume)

    def _resume(self) -> None:
        self._paused = None
        self._table.on_leave = None
        self._loop.add_reader(self._listener, self._accept)
