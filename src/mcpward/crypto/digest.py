"""Digests of credentials with a pepper: what the store keeps instead of a key or a secret URL (attack 34).

HMAC-SHA-256 and no slow hash: the secrets are drawn at random with at least 256 bits, so guessing them is out of
reach, and a dump of the database without the pepper does not even allow a guess to be checked. People's passwords
are another matter and do not belong here.
"""

from hmac import compare_digest
from hmac import digest as hmac_digest


class Pepper:
    """A keyed digest. The first key makes digests; a text matches when any of the keys says so.

    The older keys are there so that a rotated master key does not turn every issued credential invalid at once.
    """

    __slots__ = ("_key", "_older")

    def __init__(self, key: bytes, *older: bytes) -> None:
        if any(len(each) < 32 for each in (key, *older)):
            raise ValueError("a pepper has at least 32 bytes")
        self._key = key
        self._older = older

    def __repr__(self) -> str:
        return "Pepper(***)"

    def digest(self, text: str) -> bytes:
        """Give the 32 bytes to keep."""
        return hmac_digest(self._key, text.encode(), "sha256")

    def matches(self, text: str, digest: bytes) -> bool:
        """Say whether ``digest`` was made from ``text``, in a time that does not tell how much of it agrees."""
        raw = text.encode()
        found = compare_digest(hmac_digest(self._key, raw, "sha256"), digest)
        for key in self._older:  # never left early: the time must not tell which key matched
            found |= compare_digest(hmac_digest(key, raw, "sha256"), digest)
        return found
