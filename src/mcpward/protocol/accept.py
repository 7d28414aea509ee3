"""The media types that a client accepts (RFC 9110 §12.5.1). Lenient: the specification's clients must list both
types.
"""

from functools import lru_cache
from typing import Final

_JSON: Final = (b"application/json", b"application/*", b"*/*")
_STREAM: Final = (b"text/event-stream", b"text/*")


@lru_cache(maxsize=256)
def accepts_json(accept: bytes) -> bool:
    """Return whether a JSON answer is acceptable; a missing header (empty) accepts everything."""
    return not accept.strip() or _accepts(accept, _JSON)


@lru_cache(maxsize=256)
def may_stream(accept: bytes) -> bool:
    """Return whether the answer may become an event stream: only if the client names it.

    ``*/*`` is what plain HTTP clients send without a thought, and they cannot read events.
    """
    return _accepts(accept, _STREAM)


def _accepts(accept: bytes, ranges: tuple[bytes, ...]) -> bool:
    """The most specific range that is listed decides; weight 0 means no."""
    weights = dict(_range(part) for part in accept.lower().split(b","))
    for media in ranges:
        if media in weights:
            return weights[media]
    return False


def _range(part: bytes) -> tuple[bytes, bool]:
    media, *parameters = (piece.strip() for piece in part.split(b";"))
    zero = any(parameter.startswith(b"q=") and not parameter[2:].strip(b"0. ") for parameter in parameters)
    return media, not zero
