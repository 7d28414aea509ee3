"""The unlisted mode: a URL that cannot be guessed. 48 base62 characters, 285 bits; only a digest is kept.

A wrong secret is answered exactly as an unknown path (attack 38), and only the exact spelling opens (attack 39).
"""

from collections.abc import Iterable
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.ids import base62
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import AuthMethod, Principal
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.key_cache import CONFIRMED_FOR_S, RETRY_AFTER_S, STALE_AFTER_S
from mcpward.identity.keys.records import UrlRecord

LENGTH: Final = 48


class UrlCache:
    """The live secret URLs of every unlisted server, in memory."""

    def __init__(self, pepper: Pepper, clock: Clock) -> None:
        self._pepper = pepper
        self._clock = clock
        self._records: dict[str, dict[str, UrlRecord]] = {}
        self._principals: dict[tuple[str, Access], Principal] = {}
        self._nobody = (UrlRecord(id="", server="", digest=pepper.digest(""), created_at=0.0),)
        self.fresh_at = float("-inf")

    def issue(self, server: str) -> tuple[Secret, UrlRecord]:
        """Draw a new secret for ``server``. It exists only in this result; the record is the part to store."""
        text = base62(LENGTH)
        record = UrlRecord(id=base62(12), server=server, digest=self._pepper.digest(text), created_at=self._clock.now())
        return Secret(text, name="secret url"), record

    def apply(self, records: Iterable[UrlRecord], *, whole: bool = False) -> None:
        """Take new and changed records into the snapshot, and drop those that no longer open anything.

        With ``whole``, no others stay. Called from another thread than all else: readers see all of it or nothing.
        """
        now = self._clock.now()
        known = {} if whole else dict(self._records)
        for record in records:
            for server, others in known.items():
                if server != record.server and record.id in others:  # its server has another name now
                    known[server] = {key: other for key, other in others.items() if key != record.id}
            of_server = known.get(record.server, {}) | {record.id: record}
            known[record.server] = {each.id: each for each in of_server.values() if each.is_live(now)}
        self._records = known

    def mark_fresh(self, at: float) -> None:
        """Note that the snapshot has all that the store held at ``at`` (monotonic clock)."""
        self.fresh_at = at

    @property
    def is_confirmed(self) -> bool:
        """Whether the snapshot is young enough to admit a caller at once."""
        return self._clock.monotonic() - self.fresh_at <= CONFIRMED_FOR_S

    def verify(self, secret: str, server: str, access: Access = Access.READ) -> Principal | None:
        """Return the principal of ``server``, or None if ``secret`` is not (or no longer) in its URL.

        ``access`` is the highest class of tools that holders of the URL may use.

        Raises :class:`Refusal` (identity-unavailable) when the snapshot is too old to be trusted; only holders of
        the secret see that, for to others the server does not exist.
        """
        if len(secret) != LENGTH or not secret.isascii() or not secret.isalnum():
            return None
        now = self._clock.now()
        records = self._records.get(server)
        found = False
        for record in records.values() if records else self._nobody:
            # Never left early, and the digest is made for a dead or missing record too: timing reveals nothing.
            found |= self._pepper.matches(secret, record.digest) and record.is_live(now)
        if not found:
            return None
        if self._clock.monotonic() - self.fresh_at > STALE_AFTER_S:
            raise Refusal(
                Reason.IDENTITY_UNAVAILABLE, "the snapshot of secret URLs is stale", RetryAfter(RETRY_AFTER_S)
            )
        return self._principal(server, access)

    def _principal(self, server: str, access: Access) -> Principal:
        principal = self._principals.get((server, access))
        if principal is None:
            key = "unlisted:" + server
            principal = Principal(key=key, way=AuthMethod.UNLISTED, server=server, subject="unlisted", access=access)
            self._principals[server, access] = principal
        return principal
