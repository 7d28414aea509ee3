"""The addresses of a node: looked up once at a time, because a name server that does not answer holds a thread.

mcpward tries to connect five times a second while the store is away. If each try looked the name up anew, a dead name
server would take every thread for such work within seconds. All else that needs one would then stop with it.
"""

import asyncio
from socket import IPPROTO_TCP, SOCK_STREAM


class DnsCache:
    """Looks names up; concurrent look-ups of one name share the same answer."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[list[str]]] = {}

    async def of(self, host: str) -> list[str]:
        """Return the addresses of a host, at least one.

        Raises:
            OSError: it has none, or the look-up failed.
        """
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = asyncio.create_task(_addresses(host))
            task.add_done_callback(lambda done: self._forget(host, done))
        # A cancelled waiter leaves the look-up running: the thread could not be had back anyway.
        return await asyncio.shield(task)

    def stop(self) -> None:
        """Wait for nothing more."""
        for task in self._running.values():
            task.cancel()

    def _forget(self, host: str, task: "asyncio.Task[list[str]]") -> None:
        self._running.pop(host, None)
        if not task.cancelled():
            task.exception()  # raised in the waiters, if there are any


async def _addresses(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM, proto=IPPROTO_TCP)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses
