"""The pipeline's questions about callers: the port that the identity package implements for requests from outside."""

from typing import Any, Protocol

from mcpward.core.errors import Refusal
from mcpward.core.values import Arrival, Principal
from mcpward.identity.oauth.pending_verification import PendingVerification


class Callers(Protocol):
    """Identifies the sender of an arrival; see :class:`~mcpward.identity.establish.Identity`, which judges
    credentials.
    """

    def recall(self, arrival: Arrival) -> Principal | PendingVerification | None:
        """Return the principal, or a proof of it, if that costs little; else None."""
        ...

    def establish(self, arrival: Arrival) -> Principal | PendingVerification:
        """Return the principal, or a proof of it. Raises :class:`Refusal`."""
        ...

    def vouch(self, arrival: Arrival, strangers: Any = None) -> Refusal | None:
        """Return, without waiting, why this caller's body need not be read."""
        ...

    def is_good(self, arrival: Arrival, known: Principal | None = None) -> bool:
        """Return whether a principal is still valid."""
        ...

    def knows_url(self, server: str, secret: str) -> bool:
        """Return whether a server's secret segment is right."""
        ...

    async def close(self) -> None:
        """Give up the lookups in the background."""
        ...
