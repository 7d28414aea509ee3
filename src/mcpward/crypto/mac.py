"""Message authentication codes under a key ring: none can be made without the root keys (RFC 2104, RFC 5869).

A code names its key, so that codes of an older root key hold until that key is retired. It proves that a holder of the
ring wrote a text, and nothing about when: an old text with its old code is as good as on its first day. A caller that
needs the order of two texts must put it into the text.
"""

from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from mcpward.crypto.digest import hmac_sha256
from mcpward.crypto.keyring import KeyRing

ID_BYTES: Final = 4
MAC_BYTES: Final = ID_BYTES + 32
Mac = Callable[[bytes], bytes]


def macs_of(ring: KeyRing, purpose: str, keyed: Callable[[bytes], Mac]) -> dict[bytes, Mac]:
    """Return what makes codes with each key of a ring, newest first, by the key's id as a code begins with it.

    ``purpose`` keeps the uses of a ring apart, ``keyed`` is the algorithm.
    """
    keys = ring.derive_all("mac/" + purpose)
    return {bytes.fromhex(key_id): keyed(key) for key_id, key in zip(ring.ids, keys, strict=True)}


class RingMac:
    """Makes codes with the newest key of a ring, and takes those of any. ``purpose`` as for :func:`macs_of`."""

    __slots__ = ("_keys", "_newest")

    def __init__(self, ring: KeyRing, purpose: str) -> None:
        self._keys = macs_of(ring, purpose, hmac_sha256)
        self._newest = next(iter(self._keys))

    def __repr__(self) -> str:
        return "RingMac(***)"

    def make(self, text: bytes) -> bytes:
        """Return the code of ``text``: the id of the newest key, and 32 bytes."""
        return self._newest + self._keys[self._newest](text)

    def matches(self, text: bytes, code: bytes) -> bool:
        """Return whether a key of the ring made ``code`` of ``text``; timing does not reveal how much agrees."""
        mac = self._keys.get(code[:ID_BYTES])
        return mac is not None and compare_digest(mac(text), code[ID_BYTES:])

    def is_newest(self, code: bytes) -> bool:
        """Return whether ``code`` names the newest key: another one ends when its key is retired."""
        return code[:ID_BYTES] == self._newest
