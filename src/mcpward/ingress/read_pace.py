"""Bounds the bytes of large bodies that are read in one turn of the loop.

uvloop reads a socket up to 32 times before any other work has its turn: 2 MiB that are parsed and copied, for each of
any number of connections (attack 119). So the connection that sent the turn's last bytes is not read on until a later
turn.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

#: Half a millisecond of parsing and copying.
_PER_TURN: Final = 128 * 1024


class Sender(Protocol):
    """A connection that may be left unread for a while. A port: connections are made of the listener's pace."""

    def rest(self) -> bool:
        """Read nothing more. Return whether that is new."""
        ...

    def read_on(self) -> None:
        """Read again, unless there is another reason not to."""
        ...


class ReadPace:
    """The turn's share of all connections of a listener. ``soon`` runs a function in the next turn of the loop."""

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        self._soon = soon
        self._taken = 0
        self._resting: deque[Sender] = deque()
        self._is_counting = False

    def took(self, count: int, sender: Sender) -> None:
        """Count bytes of a large body that ``sender`` sent."""
        self._taken += count
        if not self._is_counting:
            self._is_counting = True
            self._soon(self._turn)
        if self._taken >= _PER_TURN and sender.rest():
            self._resting.append(sender)

    def _turn(self) -> None:
        """Begin anew, with the one that has rested longest."""
        self._taken = 0
        self._is_counting = bool(self._resting)
        if self._resting:
            self._resting.popleft().read_on()
            self._soon(self._turn)
