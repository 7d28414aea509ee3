"""What a call claims of the places that all processes of a site have in common, and their port."""

from asyncio import Future
from typing import Protocol

from msgspec import Struct

from mcpward.core.ids import request_id


class SlotRequest(Struct, eq=False):
    """What one call wants to hold: a place under each of ``names``, of which there are ``places`` in all.

    ``id`` is the call's own among all of the site. ``at`` is the name whose line it stands in, counted from 1.
    ``is_kept`` where its places are known to be held. What was dropped is not asked for again: that is another claim.
    """

    names: tuple[str, ...]
    slots: tuple[int, ...]
    caller: str
    id: str
    at: int = 0
    is_kept: bool = False
    is_dropped: bool = False


class SlotAnswer(Struct, frozen=True, gc=False):
    """The answer to a claim: the name that has no place for it, counted from 1 (0: all were taken).

    ``before`` calls go first in its line.
    """

    missing: int
    before: int = 0


class SharedSlots(Protocol):
    """Places that are counted once, whoever holds them; held until dropped, or until their process dies.

    A port: only a site with such a store imports its client.
    """

    @property
    def is_up(self) -> bool:
        """Whether the store answered last time. Nobody waits for one that did not."""
        ...

    def ask(self, claim: SlotRequest, *, goes_first: bool = False) -> Future[SlotAnswer]:
        """Take all places of a claim, or stand in the line of the first that is missing.

        Who stands in a line asks again within a second, or is forgotten. A claim that was taken is renewed until it is
        dropped.

        Raises:
            StoreDown: at once, or when awaited: nobody knows whether it was taken.
        """
        ...

    def keep(self, claim: SlotRequest) -> None:
        """Count a claim that holds its places already, whether there are as many or not, from the next renewal on."""
        ...

    def drop(self, claim: SlotRequest) -> None:
        """Release all slots and leave every queue, whatever the claim's state. Callers need not wait for it."""
        ...

    async def turn(self, claim: SlotRequest, told: SlotAnswer) -> None:
        """Return when it is time to ask again."""
        ...


def claim_of(names: tuple[str, ...], slots: tuple[int, ...], caller: str) -> SlotRequest:
    """Make a claim with a name of its own."""
    return SlotRequest(names, slots, caller, request_id())
