"""Answers while no version of a server can be loaded, so that its developer sees the reason, in the client as well.

Only for ``--reload``, which serves on loopback. A page in a browser that rebound its name gets nothing (attack 1).
"""

import json
import select
import socket
from contextlib import suppress
from threading import Event, Thread
from typing import Final

from mcpward.app.listeners import listen
from mcpward.core.clock import SystemClock

_LONGEST_HEAD: Final = 16_384
#: For one connection as a whole.
_PATIENCE_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.1
_monotonic: Final = SystemClock().monotonic


class StandIn:
    """Answers every request on ``listener`` with 503 and ``text``, until it is stopped. The listener stays open."""

    def __init__(self, listener: socket.socket, text: str) -> None:
        self._listener = listener
        listen(listener)
        self._text = text
        self._port = listener.getsockname()[1]
        self._is_over = Event()
        self._thread = Thread(target=self._run, name="stand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; returns when the last answer was sent."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.is_set():
            ready, _, _ = select.select([self._listener], [], [], _LOOK_EVERY_S)
            if ready:
                with suppress(OSError):  # another process took it, or the peer has gone
                    connection, _ = self._listener.accept()
                    with connection:
                        connection.settimeout(_PATIENCE_S)
                        self._answer(connection, _monotonic() + _PATIENCE_S)

    def _answer(self, connection: socket.socket, ends_at: float) -> None:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
            part = self._part(connection, 4096, ends_at)
            if not part:
                return
            head += part
        text = self._text if self._is_ours(head) else "this is another host"
        error = {"code": -32603, "message": text}
        body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
        connection.sendall(
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):  # further input is read, so that the response is not lost to a reset
            while self._part(connection, 65_536, ends_at):
                pass

    def _part(self, connection: socket.socket, most: int, ends_at: float) -> bytes:
        """Return the next input; nothing at the end, after ``ends_at``, or if this must stop and nothing is there.

        A client that sends a byte now and then would hold the others, and the stop, for as long as it likes.
        """
        while _monotonic() < ends_at:
            ready, _, _ = select.select([connection], [], [], 0 if self._is_over.is_set() else _LOOK_EVERY_S)
            if ready:
                return connection.recv(most)
            if self._is_over.is_set():
                break
        return b""

    def _is_ours(self, head: bytes) -> bool:
        hosts = [line[5:].strip().lower() for line in head.split(b"\r\n")[1:] if line[:5].lower() == b"host:"]
        names = (b"localhost", b"127.0.0.1", b"[::1]")
        return len(hosts) == 1 and hosts[0] in {b"%b:%d" % (name, self._port) for name in names}
