"""AES-256-GCM (NIST SP 800-38D) under one key: a random nonce of 96 bits, the ciphertext, the tag of 128 bits.

Knows of no key ids and no places: ``envelope`` and ``vault.wrapping_keys`` do.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE: Final = 12
_TAG: Final = 16


class SealRefused(Exception):
    """The text is not ours, was changed, or stands in another's place. One message for all: no oracle."""

    def __init__(self) -> None:
        super().__init__("the sealed value cannot be opened")


class Aead:
    """Seals and opens under one key. 2^32 seals keep the chance of a repeated nonce below 2^-32 (§8.3)."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "Aead(***)"

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Encrypt ``plain`` so that only the same ``aad`` opens it. Returns nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt. Raises :class:`SealRefused` for all that was not sealed under this key with this ``aad``."""
        if len(sealed) < _NONCE + _TAG:
            raise SealRefused
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)
        except InvalidTag:
            raise SealRefused from None


def new_key() -> bytes:
    """Return 32 random bytes."""
    return os.urandom(KEY_BYTES)
