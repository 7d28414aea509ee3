"""How many streams one caller, and all callers together, may hold open at one worker (attack 48)."""

from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason

RETRY_AFTER_S: Final = 5.0
"""When to retry, in seconds: the end of a stream is not known, and sooner would be too much load."""


class StreamLimits:
    """Counted slots. The owner of one returns it exactly once."""

    __slots__ = ("_name", "_per_caller", "_taken", "_total", "_total_taken")

    def __init__(self, name: str, per_caller: int, total: int) -> None:
        self._name = name
        self._per_caller, self._total = per_caller, total
        self._taken: dict[str, int] = {}
        self._total_taken = 0

    def __len__(self) -> int:
        return self._total_taken

    def take(self, caller: str) -> None:
        """Take a slot for ``caller`` (a principal's key).

        Raises:
            Refusal: rate-exceeded, with a ``RetryAfter`` that names the policy.
        """
        taken = self._taken.get(caller, 0)
        if taken >= self._per_caller or self._total_taken >= self._total:
            whose = "the caller" if taken >= self._per_caller else "the worker"
            detail = f"{whose} has too many {self._name} open"
            raise Refusal(Reason.RATE_EXCEEDED, detail, RetryAfter(RETRY_AFTER_S, policy=self._name))
        self._taken[caller] = taken + 1
        self._total_taken += 1

    def give_back(self, caller: str) -> None:
        """Release a slot of ``caller``."""
        left = self._taken[caller] - 1
        self._total_taken -= 1
        if left:
            self._taken[caller] = left
        else:
            del self._taken[caller]
