"""Letters between the workers of one site, as the parts of this room need them; ``mailroom`` is what carries them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

Letter = Mapping[str, Any]
"""What a letter says: JSON, written and read by workers of one site only."""


class Mail(Protocol):
    """Carries letters. Each arrives once, those of one sender in their order; a worker that is gone reads none."""

    async def post(self, kind: str, payload: dict[str, Any], to: str | None = None) -> None:
        """Send a letter to the worker ``to``, or to every other worker."""
        ...

    def on(self, kind: str, handler: Callable[[dict[str, Any]], None]) -> None:
        """Have ``handler`` called, on the event loop's thread, with each letter of ``kind``."""
        ...

    def hurry(self) -> AbstractContextManager[None]:
        """Look for letters more often while the block lasts: somebody waits."""
        ...
