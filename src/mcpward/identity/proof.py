"""A principal that only the identity provider can tell, not known yet: the one thing in this room that takes time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final

from mcpward.core.values import Principal

_MOST: Final = 10_000


class Proof(Awaitable[Principal]):
    """Awaited, it asks and gives the principal, or raises what the answer is. Nothing is asked before.

    ``mark`` is the credential's, as a keyed digest; ``is_opaque`` says that nothing about the token can be checked
    without the provider.
    """

    __slots__ = ("_ask", "is_opaque", "mark")

    def __init__(self, mark: bytes, ask: Callable[[], Coroutine[Any, Any, Principal]], *, is_opaque: bool) -> None:
        self.mark = mark
        self.is_opaque = is_opaque
        self._ask = ask

    def __await__(self) -> Generator[Any, Any, Principal]:
        return self._ask().__await__()

    async def settle(self) -> bool:
        """Ask, and say whether there is a principal."""
        await self._ask()
        return True


class Rechecks:
    """Proofs that are looked for in the background, for those who ask again and again and cannot wait."""

    def __init__(self) -> None:
        self._tasks: dict[bytes, asyncio.Task[bool]] = {}

    def holds(self, proof: Proof) -> bool:
        """Say whether the credential is good, as far as is known: yes until the answer is there, which counts once."""
        task = self._tasks.get(proof.mark)
        if task is None:
            return self.begin(proof)
        if not task.done():
            return True
        del self._tasks[proof.mark]
        return not task.cancelled() and task.exception() is None

    def begin(self, proof: Proof) -> bool:
        """Begin to ask, unless somebody does already; False where too much is being asked."""
        if proof.mark in self._tasks and not self._tasks[proof.mark].done():
            return True
        if len(self._tasks) >= _MOST:
            self._tasks = {mark: task for mark, task in self._tasks.items() if not task.done()}
        if len(self._tasks) >= _MOST:
            return False
        task = asyncio.get_running_loop().create_task(proof.settle(), name="identity-recheck")
        task.add_done_callback(_heard)
        self._tasks[proof.mark] = task
        return True

    async def close(self) -> None:
        """Give up all questions."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _heard(task: "asyncio.Task[bool]") -> None:
    """A refusal that nobody asks for again is no error of the loop's."""
    if not task.cancelled():
        task.exception()
