"""How many calls run at once: at each server, of each caller, of each tool, and at each named pool behind tools.

Slots belong to the whole site. If each worker counts on its own, it has its part of the slots that all callers share.
So all workers together never exceed the number, unless there are fewer slots than workers: then each worker has one.
"""

from collections.abc import Mapping

from msgspec import Struct

from mcpward.config import limits as settings
from mcpward.core.values import Pool, Tool
from mcpward.limits.concurrency.fallback import Fallback
from mcpward.limits.concurrency.lease import Lease
from mcpward.limits.concurrency.semaphore import Semaphore
from mcpward.limits.concurrency.server_slots import SeniorWaiter, ServerSlots
from mcpward.limits.concurrency.shared_lease import SharedLease
from mcpward.limits.concurrency.slot_request import SharedSlots


class _Needs(Struct, frozen=True, eq=False):
    """The slots that calls of one tool hold: ``more`` are those of pools and of the tool, beside those of its server.

    ``names`` and ``sizes`` are all of them, the server's last, by name and number for the whole site.
    """

    more: tuple[Semaphore, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...]


class CallSlots:
    """All slots of the site, as one of ``workers`` has them.

    With ``shared`` slots a call holds the same ones there. While those are away, this process grants ``share`` ÷
    ``workers`` of each by itself, or as many as its enforcement allows. That is a pool's own, and ``on_store_failure``
    for all else.
    """

    def __init__(
        self,
        servers: Mapping[str, settings.ServerLimits],
        pools: Mapping[str, Pool],
        workers: int = 1,
        share: float = 1.0,
        shared: SharedSlots | None = None,
        *,
        on_store_failure: str = "local",
    ) -> None:
        senior = SeniorWaiter()
        self._rates = servers
        self._workers = workers
        self._fallback = None if shared is None else Fallback(shared, share / workers, on_store_failure)
        self._by_server = {name: self._server_slots(name, rates, senior) for name, rates in servers.items()}
        self._sizes = {name: pool.slots for name, pool in pools.items()}
        self._pools = {
            name: self._stock(f"pool {name}", pool.slots, pool.queue, pool.queue_timeout_s, pool.on_store_failure)
            for name, pool in pools.items()
        }
        self._plain = {name: self._needs_of(name, None, None) for name in servers}
        self._tools: dict[tuple[str, str], tuple[Tool, _Needs]] = {}
        self._own: dict[tuple[str, str], Semaphore] = {}

    def lease(self, server: str, caller: str, tool: Tool | None) -> Lease:
        """Return the slots that a call must hold while it runs; without a tool, only those of its server and its
        caller.
        """
        if tool is not None and (tool.concurrency is not None or tool.pools):
            needs = self._needs(server, tool)
        elif self._fallback is None:
            return Lease(self._by_server[server], caller)
        else:
            needs = self._plain[server]
        server_slots, fallback = self._by_server[server], self._fallback
        if fallback is None:
            return Lease(server_slots, caller, needs.more)
        fallback.notice()
        names = (*needs.names[:-1], f"c\0{server}\0{caller}", needs.names[-1])
        return SharedLease(server_slots, caller, needs.more, fallback=fallback, names=names, sizes=needs.sizes)

    def notice(self) -> None:
        """See whether the shared slots have gone or come back; calls look by themselves, and those that wait do not.

        If they have gone, waiters for closed slots are refused.
        """
        if self._fallback is not None:
            self._fallback.notice()

    @property
    def semaphores(self) -> list[Semaphore]:
        """All slots but those of callers."""
        return [
            *(server_slots.server for server_slots in self._by_server.values()),
            *self._pools.values(),
            *self._own.values(),
        ]

    def _server_slots(self, name: str, rates: settings.ServerLimits, senior: SeniorWaiter) -> ServerSlots:
        server = self._stock(f"server {name}", rates.concurrency, rates.queue, rates.queue_timeout_s)
        server_slots = ServerSlots(server, rates.queue, rates.caller_concurrency, senior)
        if self._fallback is not None:
            self._fallback.add_ground(server_slots)
        return server_slots

    def _stock(self, name: str, slots: int, queue: int, timeout_s: float, ruling: str | None = None) -> Semaphore:
        semaphore = Semaphore(f"slots of {name}", slots, queue, timeout_s)
        self._size(semaphore, slots, ruling)
        return semaphore

    def _size(self, semaphore: Semaphore, slots: int, ruling: str | None = None) -> None:
        if self._fallback is not None:
            self._fallback.add(semaphore, slots, ruling)
        else:
            semaphore.resize(max(1, slots // self._workers))

    def _needs(self, server: str, tool: Tool) -> _Needs:
        """Return the needs of a tool that needs more than its server's slots, made once."""
        known = self._tools.get((server, tool.name))
        if known is not None and known[0] is tool:
            return known[1]
        own = None if tool.concurrency is None else self._tool_stock(server, tool.name, tool.concurrency)
        needs = self._needs_of(server, tool, own)
        self._tools[server, tool.name] = (tool, needs)
        return needs

    def _tool_stock(self, server: str, name: str, slots: int) -> Semaphore:
        """Return the tool's own slots. A tool that is declared anew keeps those that its calls are in."""
        semaphore = self._own.get((server, name))
        if semaphore is None:
            rates = self._rates[server]
            semaphore = self._stock(f"tool {name}", slots, rates.queue, rates.queue_timeout_s)
            self._own[server, name] = semaphore
        else:
            self._size(semaphore, slots)
        return semaphore

    def _needs_of(self, server: str, tool: Tool | None, own: Semaphore | None) -> _Needs:
        pools = () if tool is None else tuple(dict.fromkeys(tool.pools))
        rates = self._rates[server]
        semaphores = [self._pools[pool] for pool in pools]
        names = [f"p\0{pool}" for pool in pools]
        sizes = [self._sizes[pool] for pool in pools]
        if tool is not None and own is not None and tool.concurrency is not None:
            semaphores.append(own)
            names.append(f"t\0{server}\0{tool.name}")
            sizes.append(tool.concurrency)
        return _Needs(
            tuple(semaphores),
            (*names, f"s\0{server}"),
            (*sizes, rates.caller_concurrency, rates.concurrency),
        )
