"""Event ids: a client sends one as ``Last-Event-ID`` to get the messages that came after it.

An id cannot be guessed: the stream's name has 128 random bits. It is no credential either: the stream's owner and
session are checked beside it (attack 63).
"""

import re
from typing import Final

from msgspec import Struct

_EVENT_ID: Final = re.compile(r"([!-~]{1,64})\.([0-9A-Za-z]{22})\.(0|[1-9][0-9]{0,9})", re.ASCII)
_WORKER: Final = re.compile(r"[!-~]{1,64}", re.ASCII)


class EventId(Struct, frozen=True):
    """The worker at which a stream lives, the stream, and the number of an event in it."""

    worker: str
    stream: str
    number: int

    def __str__(self) -> str:
        return f"{self.worker}.{self.stream}.{self.number}"


def read(text: str | None) -> EventId | None:
    """Return the event that ``text`` names, None for what is no event's name."""
    found = _EVENT_ID.fullmatch(text) if text is not None else None
    return None if found is None else EventId(found[1], found[2], int(found[3]))


def require_worker(name: str) -> str:
    """Return the worker's name. Raises ``ValueError`` for one that cannot stand in an event's name."""
    if not _WORKER.fullmatch(name):
        raise ValueError("a worker's name is 1 to 64 characters of visible ASCII")
    return name
