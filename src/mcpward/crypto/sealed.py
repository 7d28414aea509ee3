"""Sealed state that a caller carries for us: an envelope in the alphabet of header values. Used for MCP sessions.

Says only whether a text is ours. Whether it has run out, was ended or belongs to somebody else is for the room that
sealed it, through the payload and the associated data.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from mcpward.crypto.envelope import Envelope, EnvelopeRefused
from mcpward.crypto.keyring import KeyRing

_LONGEST: Final = 4096


class SealedToken:
    """Payload → visible ASCII (base64url without padding) and back."""

    __slots__ = ("_envelope",)

    def __init__(self, ring: KeyRing, purpose: str) -> None:
        self._envelope = Envelope(ring, "sealed/" + purpose)

    def __repr__(self) -> str:
        return "SealedToken(***)"

    def seal(self, payload: bytes, aad: bytes) -> str:
        """Give a token that :meth:`open` turns back into ``payload`` for the same ``aad``, on any worker.

        Raises ``ValueError`` for a payload that would make a token longer than 4096 characters.
        """
        text = urlsafe_b64encode(self._envelope.seal(payload, aad)).rstrip(b"=").decode("ascii")
        if len(text) > _LONGEST:
            raise ValueError("the payload is too long for a token")
        return text

    def open(self, text: str, aad: bytes) -> bytes | None:
        """Give the payload, or None for whatever was not sealed here with this ``aad``."""
        if len(text) > _LONGEST or not text.isascii():
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
        except EnvelopeRefused:
            return None
