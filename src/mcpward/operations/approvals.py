"""Approvals for the person who decides: what waits, the whole call, yes or no. For a worker, the same approvals."""

from typing import Final

from mcpward.approvals.approvals import Approval, Approvals
from mcpward.approvals.record import ApprovalCaps, ApprovalStatus
from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.spelling import nearest
from mcpward.crypto.digest import Pepper
from mcpward.crypto.sealed import SealedToken
from mcpward.operations.denied import Denied
from mcpward.operations.site import Site

__all__ = ["Approval", "ApprovalStatus", "Approvals", "approvals_of", "decide", "get", "waiting"]
#: A question of 8,000 characters, and the arguments that it shows, sealed and in base64.
_LONGEST: Final = 256 * 1024


def approvals_of(site: Site, settings: Settings, clock: Clock) -> Approvals:
    """Return the approvals of a site whose data are open."""
    pepper = Pepper(*site.ring.derive_all("approvals"))
    sealed = SealedToken(site.ring, "approvals", _LONGEST)
    chosen = settings.approvals
    return Approvals(
        site.store.approvals,
        clock,
        digest=pepper.digest,
        matches=pepper.matches,
        seal=sealed.seal,
        open=sealed.open,
        lifetime_s=chosen.lifetime,
        caps=ApprovalCaps(chosen.per_caller, chosen.in_all),
    )


async def waiting(approvals: Approvals, *, are_decided_too: bool = False) -> list[Approval]:
    """Return the calls that wait, the oldest first; with those that were decided on if they are asked for."""
    every = await approvals.every()
    return [one for one in every if are_decided_too or one.row.status == ApprovalStatus.PENDING.value]


async def get(approvals: Approvals, approval_id: str) -> Approval:
    """Return an approval whose time is not over.

    Raises:
        Denied: there is none of this id.
    """
    every = await approvals.every()
    for one in every:
        if one.row.id == approval_id:
            return one
    meant = nearest(approval_id, [one.row.id for one in every])
    hint = f"did you mean {meant}?" if meant else "mcpward approve list shows what waits"
    raise Denied(f"no call waits under the id {approval_id!r}: it was wrong, or its time is over", hint)


async def decide(approvals: Approvals, approval_id: str, by: str, *, yes: bool) -> Approval:
    """Approve or deny a call that waits; the decision is on record with it.

    Raises:
        Denied: none waits under this id, or it was decided on before.
    """
    await get(approvals, approval_id)
    decided = await approvals.decide(approval_id, by, yes=yes)
    if decided is None:
        row = (await get(approvals, approval_id)).row
        raise Denied(f"the call {approval_id} is {row.status} already", f"mcpward approve show {approval_id}")
    return decided
