"""Acts of the operator who has the store open: each in the transaction of its change, so there is never one without the
other. A worker has no operator, and leaves no act.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import DecodeError, Struct, json
from sqlalchemy import LargeBinary, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.config.rate import rate_text
from mcpward.core.clock import Clock
from mcpward.core.operator import Operator
from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.storage.chained import ChainedRecord, RecordChange
from mcpward.storage.connections import Connections
from mcpward.storage.statements import ConnectionStatements, Statements
from mcpward.traffic.act import COLUMNS, Act, act_row

_log: Final = logging.getLogger("mcpward.traffic")
_NOUNS: Final = {
    "api_keys": "key",
    "unlisted_urls": "secret URL",
    "vault": "secret",
    "approvals": "approval",
    "pins": "pin of",
}
#: Counted by the store itself, and no doing of an operator.
_OWN: Final = frozenset({"revision", "last_used_at", "key_id", "kind"})
_ENDING: Final = frozenset({"revoked_at"})
#: A code, and a key that another key wraps: the same value may have another one.
_NO_VALUES: Final = frozenset({"mac", "wrapped", "seen_entry", "approved_entry"})
#: What the vault keeps of a secret that is bound to no hosts.
_UNBOUND: Final = ("", "[]", 0)
Values = Mapping[str, Any]


class RowChange(Struct, frozen=True):
    """One row of a register before and after; None if there was, or is, none."""

    table: Table
    before: Values | None
    after: Values | None

    @property
    def ends(self) -> bool:
        """Whether it only takes a right away."""
        if self.after is None:
            return True
        before = self.before or {}
        ending = _ENDING | _OWN | {"mac"}
        if _is_sooner(self.after.get("expires_at"), before.get("expires_at")):
            ending |= {"expires_at"}
        return bool(before) and {name for name, value in self.after.items() if before.get(name) != value} <= ending

    @property
    def _has_other_value(self) -> bool:
        """Whether what is kept sealed, or as a digest, is another one."""
        before, after = self.before or {}, self.after or {}
        hidden = [column.name for column in self.table.c if isinstance(column.type, LargeBinary)]
        return any(before.get(name) != after.get(name) for name in hidden if name not in _NO_VALUES)

    def act(self) -> Act | None:
        """Return the act, without anything that is stored as bytes: digests, codes and sealed values are."""
        before, after = _shown(self.table, self.before), _shown(self.table, self.after)
        row = self.after or self.before or {}
        if row.get("kind") == "key":  # a rotation is an act of its own
            return None
        if before is not None and after is not None:
            changed = [name for name in (*before, *after) if before.get(name) != after.get(name)]
            before = {name: before.get(name) for name in changed}
            after = {name: after.get(name) for name in changed}
            if self._has_other_value:
                before["value"], after["value"] = "***", "*** (another)"
            if not after:
                return None
        noun = _NOUNS.get(self.table.name, self.table.name)
        is_key = self.table.name == "api_keys"
        name = row["name"] if self.table.name == "vault" else row.get("id") or row.get("name")
        known_as = row["name"] if is_key else f"{row['tool']} of {row['server']}" if noun == "approval" else ""
        return Act(
            object=f"{noun} {name} ({known_as})" if known_as else f"{noun} {name}",
            before=before,
            after=after,
            server=_server(row),
            key_id=row["id"] if is_key else None,
        )


class Acts:
    """The acts of its operator that one process writes. Without an operator nothing is written."""

    def __init__(
        self, connections: Connections, record: ChainedRecord, clock: Clock, operator: Operator | None
    ) -> None:
        self._connections = connections
        self._record = record
        self._clock = clock
        self._operator = operator

    async def note(self, act: Act) -> None:
        """Put an act on record that changes no row of its own; it is on the disk when the call returns.

        Raises:
            NoRoom: the disk is full.
        """
        if self._operator is None:
            return
        rows = self._rows([act], self._operator)
        await self._connections.write(
            lambda statements: self._record.append(statements, COLUMNS, rows), self._record.committed, is_durable=True
        )

    async def put(
        self, connection: AsyncConnection, changes: Sequence[RowChange], by: Operator | None = None
    ) -> RecordChange | None:
        """Put changes on record within their own transaction. Return what :meth:`committed` is to be called with.

        ``by`` made them if this process has no operator: the person who answered on a page.

        Rights are given only on record. They are taken away even if the record cannot be written, which is logged: an
        attacker that can damage the record must not keep a stolen key alive.
        """
        acts = [act for change in changes if (act := change.act()) is not None]
        operator = self._operator or by
        if operator is None or not acts:
            return None
        rows = self._rows(acts, operator)

        def append(statements: Statements) -> RecordChange:
            return self._record.append(statements, COLUMNS, rows)

        try:
            async with connection.begin_nested():
                await self._connections.lock_record(connection)
                return await connection.run_sync(lambda sync: append(ConnectionStatements(sync)))
        except Exception as error:
            if not all(change.ends for change in changes):
                raise
            _log.error("%s, but this could not be recorded (%s)", acts[0].object, type(error).__name__)
            return None

    async def committed(self, change: RecordChange) -> None:
        """Take note that the transaction of :meth:`put` was committed."""
        await asyncio.to_thread(self._record.committed, change)

    def _rows(self, acts: Sequence[Act], operator: Operator) -> list[tuple[Any, ...]]:
        return [act_row(operator, act, self._clock.now()) for act in acts]


def _is_sooner(end: float | None, before: float | None) -> bool:
    return end is not None and (before is None or end < before)


def _shown(table: Table, row: Values | None) -> dict[str, Any] | None:
    if row is None:
        return None
    shown: dict[str, Any] = {}
    for column in table.c:
        value = row.get(column.name)
        if value is None or column.name in _OWN or isinstance(column.type, LargeBinary):
            continue
        if table.name == "vault" and value in _UNBOUND:
            continue
        if column.name == "access":
            shown["class"] = Access(value).label
        else:
            shown[column.name] = _readable(column.name, value)
    return shown


def _readable(name: str, value: Any) -> Any:
    if name.endswith(("_at", "_until")) and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if name.startswith(("may_", "is_")):
        return bool(value)
    if isinstance(value, str) and value[:1] in "[{":
        try:
            if name == "rate":
                return rate_text(json.decode(value, type=Rate))
            # None named is everywhere, and an auditor would read an empty list the other way round.
            return "all" if name == "networks" and value == "[]" else json.decode(value)
        except DecodeError:
            return value
    return value


def _server(row: Values) -> str | None:
    """Return the server that a row is about, if it is exactly one."""
    if isinstance(row.get("server"), str):
        return str(row["server"])
    try:
        servers = json.decode(row.get("servers") or "[]", type=list[str])
    except DecodeError:
        return None
    return servers[0] if len(servers) == 1 else None
