"""Keys that wrap data keys (NIST SP 800-57: key-encryption keys): one active, older ones readable.

Each is random, kept in the vault, and sealed under the site's master key. So one can take the place of another while
every worker serves: nobody has to be told of a new master key.
"""

from collections.abc import Iterable
from typing import Final

from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.ids import base62
from mcpward.crypto.aead import Aead, SealRefused, new_key
from mcpward.crypto.envelope import Envelope
from mcpward.vault.vault_entry import KEY, VaultEntry

_ID: Final = 12
_HINT: Final = "restore the master key of this site, or a backup of its database"


class WrappingKeys:
    """The keys of a vault, opened."""

    def __init__(self, entries: Iterable[VaultEntry], root: Envelope, site: str) -> None:
        """Raises :class:`Misconfigured` for a key that the master key does not open."""
        self._keys: dict[str, Aead] = {}
        self.active = ""
        for entry in entries:
            if entry.kind != KEY:
                continue
            try:
                self._keys[entry.id] = Aead(root.open(entry.blob, _place(site, entry.id)))
            except SealRefused:
                raise Misconfigured([Finding(f"the vault's key {entry.id} cannot be opened", "vault", _HINT)]) from None
            if entry.is_current:
                self.active = entry.id

    def __repr__(self) -> str:
        return f"WrappingKeys({', '.join(self._keys)})"

    def wrap(self, data_key: bytes, aad: bytes) -> bytes:
        """Seal a data key under the active key."""
        return self._keys[self.active].seal(data_key, aad)

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        """Return a data key. Raises :class:`SealRefused` if no key here sealed it for this place."""
        key = self._keys.get(key_id)
        if key is None:
            raise SealRefused
        return key.open(wrapped, aad)


def new_entry(root: Envelope, site: str, now: float) -> VaultEntry:
    """Return a new key, active, sealed under the newest master key."""
    key_id = base62(_ID)
    return VaultEntry(id=key_id, kind=KEY, blob=root.seal(new_key(), _place(site, key_id)), set_at=now)


def resealed(entry: VaultEntry, root: Envelope, site: str) -> bytes:
    """Return the blob of a key under the newest master key."""
    return root.seal(root.open(entry.blob, _place(site, entry.id)), _place(site, entry.id))


def _place(site: str, key_id: str) -> bytes:
    return b"vault/key/" + site.encode() + b"/" + key_id.encode()
