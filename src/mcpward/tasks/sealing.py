"""The stored parts of a task, each sealed to its place: no part opens as another part, task, caller or server."""

from collections.abc import Callable
from typing import Final

from msgspec.json import Encoder

from mcpward.core.errors import Fault
from mcpward.core.ids import error_id

_encode: Final = Encoder().encode

Seal = Callable[[bytes, bytes], str]
Open = Callable[[str, bytes], bytes | None]


class Sealing:
    """Seals and opens with functions that are handed in: authenticated encryption with associated data."""

    def __init__(self, seal: Seal, open: Open) -> None:  # noqa: A002  # the verb of crypto.sealed
        self._seal = seal
        self._open = open

    def seal(self, plain: bytes, part: str, task_id: str, owner: str, server: str) -> str:
        """Seal ``plain`` as that part of that task."""
        return self._seal(plain, _bound_to(part, task_id, owner, server))

    def open(self, sealed: str, part: str, task_id: str, owner: str, server: str) -> bytes:
        """Open what was sealed as that part of that task.

        Raises:
            Fault: it was not: the store was tampered with, or the key is gone.
        """
        plain = self._open(sealed, _bound_to(part, task_id, owner, server))
        if plain is None:
            raise Fault(error_id(), f"the {part.partition(':')[0]} of a task cannot be opened")
        return plain


def _bound_to(*place: str) -> bytes:
    return b"task" + _encode(place)  # as JSON: no two places are spelled alike
