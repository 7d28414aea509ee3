"""Message authentication codes under a key ring: who lacks the root keys can make none (RFC 2104, RFC 5869).

A code names its key, so that codes of an older root key hold until that key is retired. It says that a text was written
by a holder of the ring, and nothing about when: an old text with its old code is as good as on its first day. Whoever
needs to know which of two texts is the newer one has to put that into the text.
"""

from hmac import compare_digest
from typing import Final

from mcpward.crypto.digest import hmac_sha256
from mcpward.crypto.keyring import KeyRing

_ID_BYTES: Final = 4
MAC_BYTES: Final = _ID_BYTES + 32


class RingMac:
    """Makes codes with the newest key of a ring, and takes those of any. ``purpose`` keeps the uses of a ring apart."""

    __slots__ = ("_keys", "_newest")

    def __init__(self, ring: KeyRing, purpose: str) -> None:
        ids = [bytes.fromhex(key_id) for key_id in ring.ids]
        keys = ring.derive_all("mac/" + purpose)
        self._keys = {key_id: hmac_sha256(key) for key_id, key in zip(ids, keys, strict=True)}
        self._newest = ids[0]

    def __repr__(self) -> str:
        return "RingMac(***)"

    def make(self, text: bytes) -> bytes:
        """Return the code of ``text``: the id of the newest key, and 32 bytes."""
        return self._newest + self._keys[self._newest](text)

    def matches(self, text: bytes, code: bytes) -> bool:
        """Say whether a key of the ring made ``code`` of ``text``, in a time that does not tell how much agrees."""
        mac = self._keys.get(code[:_ID_BYTES])
        return mac is not None and compare_digest(mac(text), code[_ID_BYTES:])

    def is_newest(self, code: bytes) -> bool:
        """Say whether ``code`` names the newest key: another one ends when its key is retired."""
        return code[:_ID_BYTES] == self._newest
