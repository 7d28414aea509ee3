"""Logs why credentials are refused: an operator whose key stopped working looks there first.

Callers choose how often they are refused, so each cause is a line a minute: the record has every request, or its count.
"""

import logging
from typing import Final

from mcpward.core.clock import Clock
from mcpward.traffic.share import CREDENTIAL

_log: Final = logging.getLogger("mcpward.credentials")
EVERY_S: Final = 60.0
#: Causes that are remembered. A stranger chooses the id in a key that does not exist, so the oldest go.
MOST: Final = 1000
_Cause = tuple[str | None, str, str]


class RefusedCredentials:
    """The refused credentials that one worker has seen."""

    def __init__(self, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._told: dict[_Cause, float] = {}

    def note(self, reason: str | None, detail: str, key_id: str | None, *, server: str, peer: str) -> None:
        """Log why a credential was refused, unless that was done a moment ago.

        ``key_id`` is that of a key whose holder showed all of it: such a line is a warning. A request without any
        credential has no cause, and no line.
        """
        if not detail or (key_id is None and reason not in CREDENTIAL):
            return
        cause, now = (key_id, server, detail), self._monotonic()
        told_at = self._told.get(cause)
        if told_at is not None and now - told_at < EVERY_S:
            return
        self._told.pop(cause, None)
        if len(self._told) >= MOST:
            del self._told[next(iter(self._told))]
        self._told[cause] = now
        if key_id is None:
            _log.info("a credential was refused at %r, from %r: %s", server, peer, detail)
        else:
            _log.warning("key %s was refused at %r, from %r: %s", key_id, server, peer, detail)
