"""Random identifiers. No other package draws random numbers, apart from ``crypto``."""

import os
import secrets
import string
from typing import Final

BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


class _Drawer:
    """Draws names in advance: asking the system once for each would cost more than checking a key.

    Only for names. A secret is drawn when it is needed and kept nowhere.
    """

    def __init__(self) -> None:
        self._drawn: list[str] = []
        # Workers are forked: without this, all of them would give the names that were drawn before.
        os.register_at_fork(after_in_child=self._drawn.clear)

    def next(self) -> str:
        drawn = self._drawn
        if not drawn:
            digits = secrets.token_hex(8 * _IN_ADVANCE)
            drawn += [digits[at : at + 16] for at in range(0, len(digits), 16)]
        return drawn.pop()


_IN_ADVANCE: Final = 256
request_id: Final = _Drawer().next
"""Return 16 hex digits that name one request in the log and the traffic record."""


def error_id() -> str:
    """Return 12 hex digits under which a failure's private detail can be found in the log."""
    return secrets.token_hex(6)


def mark() -> str:
    """Return 16 hex digits that nobody can guess beforehand, to enclose what a stranger wrote."""
    return secrets.token_hex(8)


def base62(length: int) -> str:
    """Return ``length`` characters of [0-9A-Za-z], 5.95 bits each, from the system's secure source."""
    return "".join(secrets.choice(BASE62) for _ in range(length))
