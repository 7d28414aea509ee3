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
        # By mark, None for a no that was not asked for yet. A yes is known elsewhere; here it would only grow old.
        self._asked: dict[bytes, asyncio.Task[bool] | None] = {}

    def holds(self, proof: Proof) -> bool:
        """Say whether the credential is good, as far as is known: yes until there is a no, which counts once."""
        if proof.mark not in self._asked:
            return self.begin(proof)
        if self._asked[proof.mark] is not None:
            return True
        del self._asked[proof.mark]
        return False

    def begin(self, proof: Proof) -> bool:
        """Begin to ask, unless somebody does already; False where too much is being asked."""
        if self._asked.get(proof.mark) is not None:
            return True
        if len(self._asked) >= _MOST:
            self._asked = {mark: task for mark, task in self._asked.items() if task is not None}
        if len(self._asked) >= _MOST:
            return False
        task = asyncio.get_running_loop().create_task(proof.settle(), name="identity-recheck")
        task.add_done_callback(lambda done: self._heard(proof.mark, done))
        self._asked[proof.mark] = task
        return True

    async def close(self) -> None:
        """Give up all questions."""
        tasks = [task for task in self._asked.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _heard(self, mark: bytes, task: "asyncio.Task[bool]") -> None:
        if task.cancelled() or task.exception() is None:
            self._asked.pop(mark, None)
        else:
            self._asked[mark] = None
