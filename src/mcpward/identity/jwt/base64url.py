"""base64url without padding (RFC 7515 §2), in its one canonical spelling (attack 15)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(raw: bytes) -> bytes:
    """Return the canonical spelling."""
    return urlsafe_b64encode(raw).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """Return the bytes. Raises ``ValueError`` for padding, foreign characters and spare bits that are not zero."""
    raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    # The decoder skips foreign characters and spare bits: only what it would have written itself is taken.
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
