"""Tokens that were verified a moment ago, so that a caller's next call costs no cryptography.

The cache keeps a digest under a secret of this process, never the token. An entry is valid for five minutes at most,
never past the token's own end, and not after its provider has replaced its keys.
"""

from hashlib import blake2b
from typing import Final

from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.core.ids import base62
from mcpward.core.values import Principal
from mcpward.identity.oauth.provider import Provider

KEEP_S: Final = 300.0
"""How long a token is valid without another look at it."""
MOST_KEPT: Final = 10_000
MOST_BYTES: Final = 32 * 1024 * 1024
"""Of all cached tokens: the kept part of a token, its claims for tools above all, grows with it."""
_MARK: Final = 32


class _Entry(Struct, frozen=True, eq=False):
    principal: Principal
    until: float
    provider: Provider
    changes: int
    size: int


class TokenCache:
    """All verified tokens of one worker, the oldest forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = clock.monotonic
        self._salt = base62(_MARK).encode()
        self._entries: dict[bytes, _Entry] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def mark(self, server: str, credential: bytes) -> bytes:
        """Return what ``credential`` is known by here. A token means something else to each server."""
        digest = blake2b(credential, digest_size=_MARK, key=self._salt)
        digest.update(b"\0" + server.encode())
        return digest.digest()

    def recall(self, mark: bytes) -> Principal | None:
        """Return the principal of a credential that was proved before, or None: then it has to be verified."""
        entry = self._entries.get(mark)
        if entry is None:
            return None
        if self._now() >= entry.until or entry.provider.changes != entry.changes:
            self._forget(mark)
            return None
        return entry.principal

    def remember(self, mark: bytes, principal: Principal, provider: Provider, size: int = 0) -> None:
        """Note that a credential of ``size`` bytes proved to be of ``principal``, by the keys of ``provider`` now."""
        ends_at = principal.expires_at
        left_s = KEEP_S if ends_at is None else min(KEEP_S, ends_at - self._clock.now())
        if left_s <= 0:
            return
        self._forget(mark)
        while self._entries and (len(self._entries) >= MOST_KEPT or self._bytes + size > MOST_BYTES):
            self._forget(next(iter(self._entries)))
        self._entries[mark] = _Entry(principal, self._now() + left_s, provider, provider.changes, size)
        self._bytes += size

    def _forget(self, mark: bytes) -> None:
        entry = self._entries.pop(mark, None)
        if entry is not None:
            self._bytes -= entry.size
