"""Gathers responses that leave together. Calls that are ready in one turn of the loop end one after the other. If each
response were sent by itself, a peer on the same machine (a proxy, most of all) would wake and sleep again for each.
"""

import asyncio
import logging
from typing import Final

_log: Final = logging.getLogger("mcpward.ingress")

#: A call that keeps the loop busy holds up no more answers than these.
_MOST: Final = 16
_LONG: Final = 16 * 1024


class WriteBatch:
    """The output of one turn of the loop, in its order. Written to the transports at the turn's end, or before."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []

    def put(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write ``data`` soon: after all earlier output, and within this turn of the loop."""
        waiting = self._waiting
        if not waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        waiting.append((transport, data))
        if len(waiting) >= _MOST or len(data) > _LONG:
            self.flush()

    def flush(self) -> None:
        """Write all now. To be called before a transport is closed by us, or by the end of what its peer sends."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                try:
                    transport.write(data)
                except Exception as error:  # noqa: BLE001  # a broken connection takes no other's answer with it
                    _log.warning("an answer could not be written: its connection ends (%s)", type(error).__name__)
                    transport.abort()
