"""A call's request for slots that all processes of a site share, and their port."""

from asyncio import Future
from typing import Protocol

from msgspec import Struct

from mcpward.core.ids import request_id


class SlotRequest(Struct, eq=False):
    """The slots that one call requests: one under each of ``names``, of which ``places`` exist in all.

    ``id`` is the call's own among all of the site. ``at`` is the name whose queue it stands in, counted from 1.
    ``is_kept`` if its slots are known to be held. A dropped request is never repeated: the next one is another request.
    """

    names: tuple[str, ...]
    slots: tuple[int, ...]
    caller: str
    id: str
    at: int = 0
    is_kept: bool = False
    is_dropped: bool = False


class SlotAnswer(Struct, frozen=True, gc=False):
    """The answer to a request: the name that has no free slot for it, counted from 1 (0: all were taken).

    ``before`` calls precede it in the queue.
    """

    missing: int
    before: int = 0


class SharedSlots(Protocol):
    """Slots that are counted once for all processes; held until dropped, or until their process dies.

    A port: only a site with such a store imports its client.
    """

    @property
    def is_up(self) -> bool:
        """Whether the store answered last time. No call waits for one that did not."""
        ...

    def ask(self, claim: SlotRequest, *, goes_first: bool = False) -> Future[SlotAnswer]:
        """Take all slots of a request, or stand in the queue of the first one that is missing.

        A waiter in a queue asks again within a second, or is removed. A granted request is renewed until it is dropped.

        Raises:
            StoreDown: at once, or when awaited; whether the slots were taken is unknown.
        """
        ...

    def keep(self, claim: SlotRequest) -> None:
        """Count a request that holds its slots already, whether there are as many or not, from the next renewal on."""
        ...

    def drop(self, claim: SlotRequest) -> None:
        """Release all slots and leave every queue, whatever the request's state. Callers need not wait for it."""
        ...

    async def turn(self, claim: SlotRequest, told: SlotAnswer) -> None:
        """Return when it is time to ask again."""
        ...


def claim_of(names: tuple[str, ...], slots: tuple[int, ...], caller: str) -> SlotRequest:
    """Make a request with a name of its own."""
    return SlotRequest(names, slots, caller, request_id())
