"""Pages of a list. The cursor is a place in the list and a digest of the names, so it fits only the list it came from.

It holds nothing secret and grants nothing: the list was filtered for its caller before it is cut.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

from mcpward.core.invalid import invalid

DEFAULT_SIZE: Final = 500
_DIGEST: Final = 12
_PLACE: Final = 4

T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True):
    """Some entries, and the cursor of what comes after them (None at the end)."""

    items: Sequence[T]
    next_cursor: str | None


def cut(items: Sequence[T], cursor: str | None, name: Callable[[T], str], size: int = DEFAULT_SIZE) -> Page[T]:
    """Return the page at ``cursor``: None and the empty text mean the first.

    Raises :class:`Refusal` (params-invalid) for a cursor that is not ours or of a list that has changed since.
    """
    if not cursor and len(items) <= size:
        return Page(items, None)
    digest = _digest(items, name)
    start = _start(cursor, digest, len(items)) if cursor else 0
    end = start + size
    if end >= len(items):
        return Page(items[start:], None)
    token = base64.urlsafe_b64encode(end.to_bytes(_PLACE, "big") + digest)
    return Page(items[start:end], token.decode("ascii"))


def _digest(items: Sequence[T], name: Callable[[T], str]) -> bytes:
    names = "\0".join(name(item) for item in items)
    return hashlib.blake2b(names.encode(), digest_size=_DIGEST).digest()


def _start(cursor: str, digest: bytes, length: int) -> int:
    try:
        token = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        token = b""
    start = int.from_bytes(token[:_PLACE], "big")
    if len(token) != _PLACE + _DIGEST or token[_PLACE:] != digest or not 0 < start < length:
        raise invalid("cursor", "the nextCursor of this list as it is now; leave it out to begin anew")
    return start
