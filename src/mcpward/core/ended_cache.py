"""Sealed tokens that were ended or used before their time: one cannot be taken back, so its id is remembered instead.

Not a store: ``identity.follower`` fills each worker's copy from the shared table, in a thread of its own. The worker
that ended the session, or used the state, adds its id at once.
"""

from threading import Lock
from typing import Final

CAPACITY: Final = 100_000
SPENT_CAPACITY: Final = 200_000
"""How many used states there are at most, at all workers: beyond that no state is taken."""


class EndedCache:
    """A bounded set of ids, each kept until its token would have expired by itself. Any thread may ask and add.

    When full, it drops the entry added first: tokens live equally long, so that entry is the one nearest to its natural
    end. A dropped entry would admit only its own principal.
    """

    __slots__ = ("_capacity", "_changing", "_until")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._changing = Lock()
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, session_id: str, forget_at: float) -> None:
        """Remember ``session_id`` until ``forget_at`` (wall clock, seconds)."""
        with self._changing:
            self._until[session_id] = forget_at
            if len(self._until) > self._capacity:
                del self._until[next(iter(self._until))]

    def has(self, session_id: str) -> bool:
        """Return whether the session was ended, or the state used."""
        return session_id in self._until

    def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have run out at ``now`` by themselves."""
        with self._changing:
            self._until = {key: until for key, until in self._until.items() if until > now}
