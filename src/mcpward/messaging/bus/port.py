"""Letters between the workers of one site, as the parts of this room need them; ``mailroom`` is what carries them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Bus(Protocol):
    """Carries letters: each at least once, those of one worker in their order. A worker that is gone reads none."""

    def on(self, kind: str, handler: Callable[[dict[str, Any]], None]) -> None:
        """Have ``handler`` called, on the event loop's thread, with each letter of ``kind``."""
        ...

    def send(self, kind: str, payload: Mapping[str, Any], to: str | None = None) -> bool:
        """Send a letter to the worker ``to``, or to every other worker, without waiting; False where it will not be."""
        ...

    async def post(self, kind: str, payload: Mapping[str, Any], to: str | None = None) -> None:
        """Send a letter, and wait until it is on its way, or given up."""
        ...

    def hurry(self) -> AbstractContextManager[None]:
        """Look for letters more often while the block lasts: somebody waits."""
        ...
