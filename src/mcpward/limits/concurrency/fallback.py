"""The slots that a process counts by itself while the shared store of slots is unreachable."""

from typing import Final

from mcpward.limits.concurrency.semaphore import Semaphore, Slots
from mcpward.limits.concurrency.server_slots import ServerSlots
from mcpward.limits.concurrency.slot_request import SharedSlots

_NO_END: Final = 1 << 40


class Fallback:
    """Sets how many of this process's own slots are usable now.

    While the shared slots answer, all of them are: the process itself admits no more calls than the site would. While
    they are away, each follows its enforcement. ``closed`` admits no call, ``open`` admits all, and ``local`` admits a
    ``part`` of the slots, at least one. ``ruling`` is that of servers, tools and callers.
    """

    def __init__(self, shared: SharedSlots, part: float, ruling: str) -> None:
        self.shared = shared
        self._part = part
        self._ruling = ruling
        self._is_up = shared.is_up
        self._semaphores: dict[Semaphore, tuple[int, str]] = {}
        self._by_server: dict[ServerSlots, int] = {}

    def add(self, semaphore: Semaphore, slots: int, ruling: str | None = None) -> None:
        """Adjust slots of which the site has this many."""
        self._semaphores[semaphore] = (slots, ruling or self._ruling)
        semaphore.resize(self._size(*self._semaphores[semaphore]))

    def add_ground(self, server_slots: ServerSlots) -> None:
        """Adjust the slots of each caller at one server."""
        self._by_server[server_slots] = server_slots.counts.most
        server_slots.resize(self._size(server_slots.counts.most, self._ruling))

    def notice(self) -> None:
        """See whether the shared slots have gone or come back since the last look."""
        if self.shared.is_up is self._is_up:
            return
        self._is_up = not self._is_up
        for semaphore, (slots, ruling) in self._semaphores.items():
            semaphore.resize(self._size(slots, ruling))
            if ruling == "closed" and not self._is_up:
                semaphore.send_away(_away(semaphore))
        for server_slots, most in self._by_server.items():
            server_slots.resize(self._size(most, self._ruling))

    def require_open(self, semaphores: tuple[Semaphore, ...]) -> None:
        """Stand in for the site's slots, for a call that cannot request them.

        Raises:
            Refusal: busy; one of the slots is closed without them.
        """
        for semaphore in semaphores:
            if self._semaphores[semaphore][1] == "closed":
                raise semaphore.busy(_away(semaphore))

    def _size(self, slots: int, ruling: str) -> int:
        if self._is_up:
            return slots
        return _NO_END if ruling == "open" else max(1, int(slots * self._part))


def _away(semaphore: Slots) -> str:
    return f"the shared slots are away, and {semaphore.label} are closed without them"
