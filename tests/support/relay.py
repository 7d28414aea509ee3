"""The proxy of :mod:`support.proxy` for tests that are no coroutines: it runs in a thread of its own."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from support.proxy import Proxy


class Relay:
    """Stands before a port for the length of the block. Delays, cuts and swallows as the test asks."""

    def __init__(self, target: int) -> None:
        self._proxy = Proxy(target)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.open(), self._loop).result(5)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._proxy.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def port(self) -> int:
        """Its listening address."""
        return self._proxy.port

    def delay(self, seconds: float) -> None:
        """Hold up every piece, each way."""
        self._proxy.delay_s = seconds

    def swallow(self, swallows: bool) -> None:
        """Keep connections and let nothing through, or let it through again."""
        self._proxy.swallows = swallows

    def reset(self) -> None:
        """Cut every connection with RST."""
        self._loop.call_soon_threadsafe(self._proxy.reset)
