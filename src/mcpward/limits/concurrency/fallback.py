"""What stands in for places of the whole site while nobody can be asked for them."""

from typing import Final

from mcpward.limits.concurrency.semaphore import Semaphore, Slots
from mcpward.limits.concurrency.server_slots import ServerSlots
from mcpward.limits.concurrency.slot_request import SharedSlots

_NO_END: Final = 1 << 40


class Fallback:
    """Makes this process's own places as many as there are now.

    While the shared places answer, all of them: the process alone lets in no more calls than the site would. While
    they are away each holds as its ruling says: ``closed`` lets nobody in, ``open`` everybody, ``local`` a ``part`` of
    the places, and one at the least. ``ruling`` is that of servers, tools and callers.
    """

    def __init__(self, shared: SharedSlots, part: float, ruling: str) -> None:
        self.shared = shared
        self._part = part
        self._ruling = ruling
        self._is_up = shared.is_up
        self._stocks: dict[Semaphore, tuple[int, str]] = {}
        self._grounds: dict[ServerSlots, int] = {}

    def add(self, stock: Semaphore, places: int, ruling: str | None = None) -> None:
        """Look after places of which the site has this many."""
        self._stocks[stock] = (places, ruling or self._ruling)
        stock.resize(self._size(*self._stocks[stock]))

    def add_ground(self, ground: ServerSlots) -> None:
        """Look after the places of each caller at one server."""
        self._grounds[ground] = ground.counts.most
        ground.resize(self._size(ground.counts.most, self._ruling))

    def notice(self) -> None:
        """See whether the shared places have gone or come back since the last look."""
        if self.shared.is_up is self._is_up:
            return
        self._is_up = not self._is_up
        for stock, (places, ruling) in self._stocks.items():
            stock.resize(self._size(places, ruling))
            if ruling == "closed" and not self._is_up:
                stock.send_away(_away(stock))
        for ground, most in self._grounds.items():
            ground.resize(self._size(most, self._ruling))

    def require_open(self, stocks: tuple[Semaphore, ...]) -> None:
        """Stand for a call that cannot ask for the places of the site.

        Raises:
            Refusal: busy; one of the places is closed without them.
        """
        for stock in stocks:
            if self._stocks[stock][1] == "closed":
                raise stock.busy(_away(stock))

    def _size(self, places: int, ruling: str) -> int:
        if self._is_up:
            return places
        return _NO_END if ruling == "open" else max(1, int(places * self._part))


def _away(stock: Slots) -> str:
    return f"the shared places are away, and {stock.label} are closed without them"
