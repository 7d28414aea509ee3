"""This worker's copy of the sessions' settings. Not a store: it follows the shared table, and forgets by its rule.

Both drop a caller's oldest session, and the oldest of all, by the same rule: the one that was changed first. So a row
that the store forgot needs no note that it is gone.
"""

from collections.abc import Iterable
from typing import Final

from mcpward.messaging.session_record import SessionRecord

PER_PRINCIPAL: Final = 64
CAPACITY: Final = 16_384


class SettingsCache:
    """Records by session. ``revision`` is the number to ask the store with."""

    __slots__ = ("_capacity", "_of", "_per_principal", "_records", "revision")

    def __init__(self, per_principal: int = PER_PRINCIPAL, capacity: int = CAPACITY) -> None:
        self._per_principal, self._capacity = per_principal, capacity
        self._records: dict[str, SessionRecord] = {}  # in the order of their revisions, nearly
        self._of: dict[str, dict[str, None]] = {}
        self.revision = 0

    def __len__(self) -> int:
        return len(self._records)

    def find(self, session: str) -> SessionRecord | None:
        """Return what the session has set, None if it has set nothing."""
        return self._records.get(session)

    def apply(self, latest: int, records: Iterable[SessionRecord]) -> None:
        """Take the store's rows for ``revision``. A store that went back was restored: all is read anew."""
        if latest < self.revision:
            self._records.clear()
            self._of.clear()
        self.revision = latest
        for record in records:
            self.put(record)

    def put(self, record: SessionRecord) -> None:
        """Take one record, unless a newer one of its session is here already."""
        known = self._records.get(record.session)
        if known is not None:
            if known.revision >= record.revision:
                return
            self.remove(record.session)
        self._records[record.session] = record
        mine = self._of.setdefault(record.principal, {})
        mine[record.session] = None
        if len(mine) > self._per_principal:
            self.remove(next(iter(mine)))
        if len(self._records) > self._capacity:
            self.remove(next(iter(self._records)))

    def remove(self, session: str) -> None:
        """Forget the session."""
        record = self._records.pop(session, None)
        if record is not None:
            mine = self._of[record.principal]
            del mine[session]
            if not mine:
                del self._of[record.principal]

    def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have run out at ``now``."""
        for session in [record.session for record in self._records.values() if record.forget_at <= now]:
            self.remove(session)
