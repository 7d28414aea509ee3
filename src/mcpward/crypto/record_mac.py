"""Message authentication codes of stored data: a writer of the store without the master key cannot make one.

Keyed BLAKE2b (RFC 7693 §2.9) with 16 bytes of output: a forgery is accepted with probability 2^-128, and one code costs
half of HMAC-SHA-256. A record has one code for each row, so that counts here. Data that seldom change have the codes of
:mod:`mcpward.crypto.mac`, with which this shares its keys' derivation and names.
"""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.mac import ID_BYTES, Mac, macs_of

MAC_BYTES: Final = 16
#: Sealed data begin with a byte that no other message of the same keys begins with.
_SEALED: Final = b"\0"


class RecordMacs:
    """Makes codes with the newest key of the ring, and checks those of any."""

    __slots__ = ("_macs", "mac", "newest")

    newest: str
    """The id of the key that makes codes."""
    mac: Mac
    """Make the code of a message, 16 bytes, with the newest key. The message must not begin with a zero byte."""

    def __init__(self, ring: KeyRing, purpose: str) -> None:
        self._macs = {key_id.hex(): mac for key_id, mac in macs_of(ring, purpose, _keyed).items()}
        self.newest = ring.ids[0]
        self.mac = self._macs[self.newest]

    def __repr__(self) -> str:
        return "RecordMacs(***)"

    def under(self, key_id: str) -> Mac | None:
        """Return what makes codes with this key; None for a key that the ring does not hold."""
        return self._macs.get(key_id)

    def seal(self, data: bytes) -> bytes:
        """Return the data, readable as they are, behind the id of the newest key and the code of both."""
        head = bytes.fromhex(self.newest)
        return head + self.mac(_SEALED + head + data) + data

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed; None for anything that was not sealed here, or under a key that has left the ring."""
        head, code, data = (
            sealed[:ID_BYTES],
            sealed[ID_BYTES : ID_BYTES + MAC_BYTES],
            sealed[ID_BYTES + MAC_BYTES :],
        )
        mac = self._macs.get(head.hex())
        return data if mac is not None and compare_digest(mac(_SEALED + head + data), code) else None


def _keyed(key: bytes) -> Mac:
    """Return the code under ``key``, whose first block is worked out once."""
    begun = blake2b(key=key, digest_size=MAC_BYTES).copy

    def mac(message: bytes) -> bytes:
        state = begun()
        state.update(message)
        return state.digest()

    return mac
