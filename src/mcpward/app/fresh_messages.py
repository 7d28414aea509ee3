"""Whether a message of an operator's command is fresh and came for the first time: a copy of one does nothing twice."""

from typing import Final

from mcpward.core.clock import Clock

#: How old a message may be, or how far in the future, by the wall clocks of two machines.
_FRESH_S: Final = 120.0
_MOST_KNOWN: Final = 1024


class FreshMessages:
    """Remembers unguessable names for as long as a message of that name could be taken for a new one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, float] = {}

    def is_old(self, at: float) -> bool:
        """Return whether a message that was written ``at`` (wall clock) is too old, or its writer's clock wrong."""
        return abs(self._clock.now() - at) > _FRESH_S

    def is_new(self, name: str) -> bool:
        """Return whether this name is new; it is known from now on."""
        now = self._clock.monotonic()
        self._known = {known: until for known, until in self._known.items() if until > now}
        if name in self._known or len(self._known) >= _MOST_KNOWN:
            return False
        self._known[name] = now + 2 * _FRESH_S
        return True
