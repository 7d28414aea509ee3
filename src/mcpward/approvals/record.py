"""An approval as it is kept: one call that waits, was decided, or was used. Its contents are sealed."""

from enum import Enum
from typing import Any, Final, Protocol

from msgspec import Struct

from mcpward.core.operator import Operator

ID_LENGTH: Final = 12


class ApprovalStatus(Enum):
    """The standing of an approval."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class ApprovalRow(Struct, frozen=True, kw_only=True):
    """``binding`` is a keyed digest of caller, server, tool and exact arguments; ``owner`` is the caller's key.

    ``sealed`` holds the call. ``link`` is the digest of the secret in its page's address, None without a page. Times
    are seconds since 1970. ``decided_by`` names who decided.
    """

    id: str
    binding: str
    owner: str
    server: str
    tool: str
    status: str
    created_at: float
    expires_at: float
    sealed: str
    link: bytes | None = None
    decided_at: float | None = None
    decided_by: str | None = None


class WaitingCall(Struct, frozen=True, kw_only=True):
    """The sealed part: the call as a person is shown it, secrets redacted.

    ``question`` is the whole text; ``arguments`` are the caller's. ``who`` describes the caller in words.
    """

    question: str
    arguments: Any
    who: str
    way: str
    subject: str
    peer: str
    client: str = ""
    key_id: str | None = None


class ApprovalCaps(Struct, frozen=True):
    """How many calls may wait at once: of one caller, and at the whole site."""

    per_caller: int
    in_all: int


class Full(Exception):
    """No further call may wait: ``of_caller`` if it is the caller's own number."""

    def __init__(self, *, of_caller: bool) -> None:
        super().__init__("too many calls wait")
        self.of_caller = of_caller


class ApprovalStore(Protocol):
    """A port: every change is on the disk, and seen by every worker, when the call returns."""

    async def claim(self, new: ApprovalRow, now: float, caps: ApprovalCaps) -> ApprovalRow:
        """Use the approval of this binding up if there is one: the row returned was APPROVED, and is USED now.

        Else return the row that is there, pending or denied, with the new one's link if it has one; else keep ``new``.
        Of simultaneous calls, one gets an approval.

        Raises:
            Full: no further call may wait.
        """
        ...

    async def give_back(self, approval_id: str, now: float) -> None:
        """Make a used approval good again: its call asked for something, and has not run further."""
        ...

    async def decide(
        self,
        approval_id: str,
        status: ApprovalStatus,
        now: float,
        until: float,
        by: str,
        operator: Operator | None = None,
    ) -> ApprovalRow | None:
        """Decide on a pending call and return it as it is then; None if none waits under that id.

        The decision is on record in the same transaction, as that of ``operator`` if this process has none of its own.
        """
        ...

    async def find(self, approval_id: str) -> ApprovalRow | None:
        """Return the approval of an id, or None."""
        ...

    async def every(self) -> list[ApprovalRow]:
        """Return all that are kept, the oldest first."""
        ...
