"""The settings of one legacy session, and their bounds."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.invalid import invalid
from mcpward.core.reasons import Reason

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
MAX_URIS: Final = 64
MAX_URI_LENGTH: Final = 8192
"""Characters of all URIs of one session together."""
RETRY_AFTER_S: Final = 5.0


class SessionRecord(Struct, frozen=True, kw_only=True):
    """The settings of one session. ``principal`` is its caller's key; ``revision`` is given by the store.

    ``forget_at`` (wall clock, seconds) is when the session's token has run out in any case.
    """

    session: str
    principal: str
    forget_at: float
    level: str | None = None
    uris: frozenset[str] = frozenset()
    revision: int = 0

    def at_level(self, level: str) -> "SessionRecord":
        """Set the least severity of log messages.

        Raises:
            Refusal: params-invalid for what is none of the eight levels of RFC 5424.
        """
        if level not in LEVELS:
            raise invalid("level", f"one of {', '.join(LEVELS)}")
        return replace(self, level=level)

    def subscribed(self, uri: str) -> "SessionRecord":
        """Add a resource.

        Raises:
            Refusal: rate-exceeded when the session has too many, or they are too long together.
        """
        uris = self.uris | {uri}
        if len(uris) > MAX_URIS or sum(map(len, uris)) > MAX_URI_LENGTH:
            detail = "the session has too many subscriptions"
            raise Refusal(Reason.RATE_EXCEEDED, detail, RetryAfter(RETRY_AFTER_S, "subscriptions"))
        return replace(self, uris=uris)

    def unsubscribed(self, uri: str) -> "SessionRecord":
        """Take a resource away; one that is not there changes nothing."""
        return replace(self, uris=self.uris - {uri})
