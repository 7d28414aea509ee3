"""Calls that wait for a person's yes. Rows are judged by their codes: no writer of the database can approve one."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import asdict
from sqlalchemy import func, select

from mcpward.approvals.record import ApprovalCaps, ApprovalRow, ApprovalStatus, Full
from mcpward.core.operator import Operator
from mcpward.storage.connections import Connections
from mcpward.storage.register import Changes, Register
from mcpward.storage.tables import APPROVALS

_Row = dict[str, Any]
#: Of several rows of one call the first of these counts.
_ORDER: Final = (ApprovalStatus.APPROVED.value, ApprovalStatus.DENIED.value, ApprovalStatus.PENDING.value)


class ApprovalTable:
    """Fits ``approvals.record.ApprovalStore``."""

    def __init__(self, connections: Connections, register: Register) -> None:
        self._connections = connections
        self._register = register

    async def claim(self, new: ApprovalRow, now: float, caps: ApprovalCaps) -> ApprovalRow:
        """Use up the approval of this call, return the one that stands, or keep ``new``. One transaction."""
        async with self._register.changing() as changes:
            await _prune(changes, now)
            found = await changes.find(APPROVALS.c.binding == new.binding, APPROVALS.c.status.in_(_ORDER))
            if not found:
                await self._require_room(changes, new, caps)
                await changes.insert(asdict(new))
                return new
            row = min(found, key=lambda one: _ORDER.index(one["status"]))
            values: dict[str, Any] = {}
            if row["status"] == ApprovalStatus.APPROVED.value:
                values = {"status": ApprovalStatus.USED.value}
            elif row["status"] == ApprovalStatus.PENDING.value and new.link is not None:
                values = {"link": new.link}
            if values:
                await changes.change(row, **values)
            return _record(row | values)

    async def give_back(self, approval_id: str, now: float) -> None:
        """Make a used approval good again."""
        async with self._register.changing() as changes:
            found = await changes.find(APPROVALS.c.id == approval_id, APPROVALS.c.status == ApprovalStatus.USED.value)
            for row in found:
                if row["expires_at"] > now:
                    await changes.change(row, status=ApprovalStatus.APPROVED.value)

    async def decide(
        self,
        approval_id: str,
        status: ApprovalStatus,
        now: float,
        until: float,
        by: str,
        operator: Operator | None = None,
    ) -> ApprovalRow | None:
        """Decide on a pending call; None if none waits under that id."""
        async with self._register.changing(operator) as changes:
            found = await changes.find(
                APPROVALS.c.id == approval_id, APPROVALS.c.status == ApprovalStatus.PENDING.value
            )
            if not found or found[0]["expires_at"] <= now:
                return None
            values = {"status": status.value, "expires_at": until, "decided_at": now, "decided_by": by}
            await changes.change(found[0], **values)
            return _record(found[0] | values)

    async def find(self, approval_id: str) -> ApprovalRow | None:
        """Return the approval of an id. Raises :class:`Untrusted` if it was not written with the master key."""
        async with self._connections.read() as connection:
            row = (await connection.execute(select(APPROVALS).where(APPROVALS.c.id == approval_id))).one_or_none()
        return None if row is None else _record(self._register.opened(row))

    async def every(self) -> list[ApprovalRow]:
        """Return all that are kept, the oldest first. Raises :class:`Untrusted` as :meth:`find` does."""
        async with self._connections.read() as connection:
            rows = (await connection.execute(select(APPROVALS).order_by(APPROVALS.c.created_at))).all()
        return [_record(self._register.opened(row)) for row in rows]

    async def _require_room(self, changes: Changes, new: ApprovalRow, caps: ApprovalCaps) -> None:
        waiting = APPROVALS.c.status == ApprovalStatus.PENDING.value
        count = select(func.count()).select_from(APPROVALS)
        own = (await changes.connection.execute(count.where(waiting, APPROVALS.c.owner == new.owner))).scalar_one()
        if own >= caps.per_caller:
            raise Full(of_caller=True)
        if (await changes.connection.execute(count.where(waiting))).scalar_one() >= caps.in_all:
            raise Full(of_caller=False)


async def _prune(changes: Changes, now: float) -> None:
    for row in await changes.find(APPROVALS.c.expires_at <= now):
        await changes.remove(row)


def _record(row: Mapping[str, Any]) -> ApprovalRow:
    fields = {name: row[name] for name in ApprovalRow.__struct_fields__}
    fields["link"] = None if fields["link"] is None else bytes(fields["link"])
    return ApprovalRow(**fields)
