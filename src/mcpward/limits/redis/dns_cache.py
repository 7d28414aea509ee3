"""The addresses of a node: looked up once at a time, because a name server that does not answer holds a thread.

Connecting is tried five times a second while the store is away. If each try asked anew, a dead name server would take
every thread there is for such work within seconds, and all else that needs one would stand still with it.
"""

import asyncio
from socket import IPPROTO_TCP, SOCK_STREAM


class DnsCache:
    """Looks names up; whoever asks for one that is being looked up waits for the same answer."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[list[str]]] = {}

    async def of(self, host: str) -> list[str]:
        """Return the addresses of a host, at least one.

        Raises:
            OSError: it has none, or nobody knows.
        """
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = asyncio.create_task(_addresses(host))
            task.add_done_callback(lambda done: self._forget(host, done))
        # Who gives up waiting leaves the look-up to go on: the thread could not be had back anyway.
        return await asyncio.shield(task)

    def stop(self) -> None:
        """Wait for nothing more."""
        for task in self._running.values():
            task.cancel()

    def _forget(self, host: str, task: "asyncio.Task[list[str]]") -> None:
        self._running.pop(host, None)
        if not task.cancelled():
            task.exception()  # told to whoever waits; nobody may


async def _addresses(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM, proto=IPPROTO_TCP)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses
