"""Messages between workers about a stream that lives at one of them and is read at another."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from msgspec import Struct

ASKING: Final = "resume"
TELLING: Final = "events"
PIECE: Final = 32 * 1024
"""Bytes of messages in one page: however they are spelled there, they fit into it."""


class ReadingStep(Enum):
    """The request of the reading worker."""

    BEGIN = "begin"
    STILL = "still"
    LEAVE = "leave"


class ReadingRequest(Struct, frozen=True, kw_only=True):
    """From the reading worker. ``reading`` names what is going on between the two; unguessable."""

    reading: str
    wish: ReadingStep
    worker: str
    stream: str = ""
    after: int = 0
    principal: str = ""
    session: str = ""


class ReadingPage(Struct, frozen=True, kw_only=True):
    """From the worker at which the stream lives, numbered from 0.

    ``pieces`` are parts of messages, each with whether it is its message's last; the bytes are written as Latin-1.
    ``is_known`` is false if there is no such stream for that caller; ``is_over``: this is the last page.
    """

    reading: str
    number: int = 0
    pieces: list[tuple[str, bool]] = []
    is_known: bool = True
    is_over: bool = False


def packed(messages: Iterable[bytes]) -> Iterator[list[tuple[str, bool]]]:
    """Return the pieces of ``messages``, page by page."""
    pieces: list[tuple[str, bool]] = []
    room = PIECE
    for message in messages:
        text = message.decode("latin-1")
        while len(text) > room:
            yield [*pieces, (text[:room], False)]
            text, pieces, room = text[room:], [], PIECE
        pieces.append((text, True))
        room -= len(text)
    if pieces:
        yield pieces
