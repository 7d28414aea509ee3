"""A TCP proxy that treats connections badly: late, cut, or swallowed without a word."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

_PAGE: Final = 65_536
_CUT: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Stands before a port of this machine. ``delay_s`` is added to each piece, each way; ``swallows`` makes it
    half-open: connections are accepted and stay, and nothing goes through. Both may be changed while it runs."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._tls = tls
        self.port = 0
        self.delay_s = 0.0
        self.swallows = False
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen, on the port that it had before or on a free one."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections, and cut those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.reset()
        carriers = list(self._carriers)
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)
        if server is not None:
            await server.wait_closed()
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn

    def reset(self) -> None:
        """Cut every connection with RST, in the middle of whatever it says."""
        for writer in list(self._writers):
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _CUT)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrier = asyncio.current_task()
        assert carrier is not None
        self._carriers.add(carrier)
        self.connections += 1
        ends = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            ends.append(back)
            self._writers.update(ends)
            async with asyncio.TaskGroup() as both:
                pumps = [both.create_task(self._pump(reader, back)), both.create_task(self._pump(there, writer))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
        except OSError:
            pass  # the target is not there
        finally:
            self._carriers.discard(carrier)
            self._writers.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PAGE):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.swallows:
                    continue
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def proxied(target: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A proxy before a port, open for as long as the block runs. With ``tls`` it speaks TLS to its clients."""
    proxy = Proxy(target, tls)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
