"""Sealed state that others carry or keep for us: an envelope in the alphabet of header values.

Used for MCP sessions, request states, messages between workers, and tasks; each purpose has a key of its own.

Decides only whether a text is ours. The package that sealed it checks whether it has expired, was ended or belongs to
another caller, by the payload and the associated data.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from mcpward.crypto.aead import SealRefused
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing

_LONGEST: Final = 4096


class SealedToken:
    """Payload → visible ASCII (base64url without padding) and back. No token has more than ``longest`` characters."""

    __slots__ = ("_envelope", "_longest")

    def __init__(self, ring: KeyRing, purpose: str, longest: int = _LONGEST) -> None:
        self._envelope = Envelope(ring, "sealed/" + purpose)
        self._longest = longest

    def __repr__(self) -> str:
        return "SealedToken(***)"

    def seal(self, payload: bytes, aad: bytes) -> str:
        """Return a token that :meth:`open` turns back into ``payload`` for the same ``aad``, on any worker.

        Raises ``ValueError`` for a payload that would make a token longer than ``longest``.
        """
        text = urlsafe_b64encode(self._envelope.seal(payload, aad)).rstrip(b"=").decode("ascii")
        if len(text) > self._longest:
            raise ValueError("the payload is too long for a token")
        return text

    def open(self, text: str, aad: bytes) -> bytes | None:
        """Return the payload, or None for whatever was not sealed here with this ``aad``."""
        if len(text) > self._longest or not text.isascii():
            return None
        raw = text.encode("ascii")
        try:
            blob = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
        except ValueError:
            return None
        # The decoder skips foreign characters and spare bits; one token must have one spelling (attack 15).
        if urlsafe_b64encode(blob).rstrip(b"=") != raw:
            return None
        try:
            return self._envelope.open(blob, aad)
        except SealRefused:
            return None
