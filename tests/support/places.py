"""Places, tools and pools for tests of what runs at once."""

from typing import Any

from mcpward.core.scope import Access
from mcpward.core.values import Pool, Tool
from mcpward.limits.concurrency.slots import CallSlots


class Room:
    """How many calls of a server run at once; the rates that go with it play no part."""

    def __init__(self, concurrency: int, queue: int, timeout_s: float, caller_concurrency: int) -> None:
        self.concurrency = concurrency
        self.queue = queue
        self.queue_timeout_s = timeout_s
        self.caller_concurrency = caller_concurrency


def places_of(
    slots: int = 1,
    *,
    queue: int = 128,
    timeout_s: float = 5.0,
    each: int = 1000,
    pools: tuple[Pool, ...] = (),
    servers: tuple[str, ...] = ("orders",),
    **more: Any,
) -> CallSlots:
    """Servers, each of whose callers may have ``each`` places, and some pools."""
    room: Any = Room(slots, queue, timeout_s, each)
    return CallSlots(dict.fromkeys(servers, room), {pool.name: pool for pool in pools}, **more)


def tool_of(name: str = "query", *pools: str, concurrency: int | None = None) -> Tool:
    return Tool(
        server="orders",
        name=name,
        access=Access.READ,
        listing={},
        bind=lambda _: {},
        run=lambda: None,
        pools=pools,
        concurrency=concurrency,
    )
