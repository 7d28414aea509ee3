"""A principal that only the identity provider, or the store of keys, can confirm: the one slow step here."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Principal

_MOST: Final = 10_000
NO_S: Final = 5.0
"""For so long a refusal is returned to all callers, before a new request."""


class PendingVerification(Awaitable[Principal]):
    """Awaited, it asks and returns the principal, or raises the refusal. No request is made before.

    ``mark`` is the credential's, as a keyed digest. ``asked`` names the authority. ``is_opaque`` if nothing about the
    token can be checked without the provider. ``is_at_hand``: it was valid, and only needs confirmation: no stranger's
    credential.
    """

    __slots__ = ("ask", "asked", "is_at_hand", "is_opaque", "mark")

    def __init__(
        self,
        mark: bytes,
        ask: Callable[[], Coroutine[Any, Any, Principal]],
        *,
        asked: str,
        is_opaque: bool,
        is_at_hand: bool = False,
    ) -> None:
        self.mark = mark
        self.asked = asked
        self.is_opaque = is_opaque
        self.is_at_hand = is_at_hand
        self.ask = ask

    def __await__(self) -> Generator[Any, Any, Principal]:
        return self.ask().__await__()

    async def settle(self) -> bool:
        """Ask, and return whether there is a principal."""
        await self.ask()
        return True


class Rechecks:
    """Verifications in the background, for callers that ask again and again and cannot wait."""

    def __init__(self) -> None:
        # By mark; a refusal with its time. An acceptance is cached elsewhere; here it would only grow old.
        self._asked: dict[bytes, asyncio.Task[bool] | tuple[Reason, float]] = {}

    def holds(self, proof: PendingVerification) -> bool:
        """Return whether the credential is valid, as far as is known: true until it is refused."""
        return self.heard(proof) is None if proof.mark in self._asked else self.begin(proof)

    def heard(self, proof: PendingVerification) -> Reason | None:
        """Return a recent refusal; otherwise start a check and return None."""
        heard = self._asked.get(proof.mark)
        if isinstance(heard, tuple):
            reason, at = heard
            if asyncio.get_running_loop().time() - at < NO_S:
                return reason
        self.begin(proof)
        return None

    def begin(self, proof: PendingVerification) -> bool:
        """Begin to ask, unless a verification is under way already; False if there are too many."""
        if isinstance(self._asked.get(proof.mark), asyncio.Task):
            return True
        if len(self._asked) >= _MOST:
            self._asked = {mark: task for mark, task in self._asked.items() if isinstance(task, asyncio.Task)}
        if len(self._asked) >= _MOST:
            return False
        task = asyncio.get_running_loop().create_task(proof.settle(), name="identity-recheck")
        task.add_done_callback(lambda done: self._heard(proof.mark, done))
        self._asked[proof.mark] = task
        return True

    async def close(self) -> None:
        """Cancel all verifications."""
        tasks = [task for task in self._asked.values() if isinstance(task, asyncio.Task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _heard(self, mark: bytes, task: "asyncio.Task[bool]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._asked.pop(mark, None)
        else:  # its name only: what was raised holds on to the token
            reason = error.reason if isinstance(error, Refusal) else Reason.IDENTITY_UNAVAILABLE
            self._asked[mark] = (reason, task.get_loop().time())
