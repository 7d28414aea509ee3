"""Digests of credentials with a pepper: the store keeps them instead of a key or a secret URL (attack 34).

HMAC-SHA-256 and no slow hash: the secrets are drawn at random with at least 256 bits, so guessing them is out of reach.
A dump of the database without the pepper does not even allow a guess to be checked. People's passwords are another
matter and do not belong here.
"""

from collections.abc import Callable
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import Final

_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Pepper:
    """A keyed digest. The first key makes digests; a text matches if any of the keys confirms it.

    Because of the older keys, a rotated master key does not turn every issued credential invalid at once.
    """

    __slots__ = ("_mac", "_older")

    def __init__(self, key: bytes, *older: bytes) -> None:
        if any(not 32 <= len(each) <= _BLOCK for each in (key, *older)):  # RFC 2104 §3: no less than the output
            raise ValueError("a pepper has 32 to 64 bytes")
        self._mac = hmac_sha256(key)
        self._older = tuple(hmac_sha256(each) for each in older)

    def __repr__(self) -> str:
        return "Pepper(***)"

    def digest(self, text: str) -> bytes:
        """Return the 32 bytes to keep."""
        return self._mac(text.encode())

    def matches(self, text: str, digest: bytes) -> bool:
        """Return whether ``digest`` was made from ``text``, in a time that does not reveal how much of it agrees."""
        raw = text.encode()
        found = compare_digest(self._mac(raw), digest)
        for mac in self._older:  # never left early: the time must not reveal which key matched
            found |= compare_digest(mac(raw), digest)
        return found


def hmac_sha256(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA-256 under ``key``, both first blocks worked out once (RFC 2104 §4): a third of one call."""
    padded = key.ljust(_BLOCK, b"\0")
    inner, outer = sha256(padded.translate(_INNER)).copy, sha256(padded.translate(_OUTER)).copy

    def mac(text: bytes) -> bytes:
        first = inner()
        first.update(text)
        last = outer()
        last.update(first.digest())
        return last.digest()

    return mac


def fingerprint(key: bytes) -> Callable[[bytes], str]:
    """Return a keyed digest of bytes as 32 hexadecimal digits (BLAKE2b, RFC 7693 §2.9), the same wherever the key is.

    A reader of the stored digest learns nothing of short texts: without the key no guess can be checked.
    """
    if not 32 <= len(key) <= _BLOCK:
        raise ValueError("a key has 32 to 64 bytes")

    def digest(data: bytes) -> str:
        return blake2b(data, digest_size=16, key=key).hexdigest()

    return digest
