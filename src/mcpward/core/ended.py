"""Sessions that were ended before their time: a sealed token cannot be taken back, so its id is remembered instead.

Not a store: each worker's copy is filled by ``identity.refresh`` from the shared table, and by the worker that
ended the session at once.
"""

from typing import Final

CAPACITY: Final = 100_000


class EndedBook:
    """A bounded set of session ids, each kept until its token would have run out by itself.

    When full, the entry added first goes: tokens live equally long, so it is the one nearest to its natural end,
    and what a forgotten entry would let in is its own principal only.
    """

    __slots__ = ("_capacity", "_until")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, session_id: str, forget_at: float) -> None:
        """Remember ``session_id`` until ``forget_at`` (wall clock, seconds)."""
        self._until[session_id] = forget_at
        if len(self._until) > self._capacity:
            del self._until[next(iter(self._until))]

    def has(self, session_id: str) -> bool:
        """Say whether the session was ended."""
        return session_id in self._until

    def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have run out at ``now`` by themselves."""
        self._until = {key: until for key, until in self._until.items() if until > now}
