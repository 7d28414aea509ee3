"""AES-256-GCM (NIST SP 800-38D) with the id of its key, a random nonce, and associated data that bind it to its place.

Form: version (1 byte), key id (4), nonce (12), ciphertext and tag (16 more than the plain text). The version and the
key id are part of the associated data, so no byte can be changed unseen (attack 88). The caller's own associated data
state where the blob belongs, so that two blobs cannot be swapped (attack 87).

Nonces are 96 random bits: 2^32 seals per key and purpose stay below a chance of 2^-32 for a repeat (§8.3). Rotate the
master key before that.
"""

from typing import Final

from mcpward.crypto.aead import Aead, SealRefused
from mcpward.crypto.keyring import KeyRing

_VERSION: Final = b"\x01"
_HEAD: Final = 5


class Envelope:
    """Seals with the newest key of the ring, opens with any. ``purpose`` keeps the uses of one ring apart."""

    __slots__ = ("_head", "_keys", "_newest")

    def __init__(self, ring: KeyRing, purpose: str = "envelope") -> None:
        heads = [_VERSION + bytes.fromhex(key_id) for key_id in ring.ids]
        self._keys = {head: Aead(key) for head, key in zip(heads, ring.derive_all(purpose), strict=True)}
        self._head = heads[0]
        self._newest = self._keys[self._head]

    def __repr__(self) -> str:
        return "Envelope(***)"

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Encrypt ``plain`` so that only the same ``aad`` opens it."""
        return self._head + self._newest.seal(plain, self._head + aad)

    def open(self, blob: bytes, aad: bytes) -> bytes:
        """Decrypt. Raises :class:`SealRefused` for anything that was not sealed here with this ``aad``."""
        head = blob[:_HEAD]
        key = self._keys.get(head)
        if key is None:
            raise SealRefused
        return key.open(blob[_HEAD:], head + aad)

    def is_newest(self, blob: bytes) -> bool:
        """Return whether the newest key sealed it, as its head says."""
        return blob[:_HEAD] == self._head
