"""Approvals of one site: a call waits under an id, is decided elsewhere, and one repetition of it runs.

An approval is bound to its caller, server, tool, exact arguments and the whole text that a person reads: a keyed digest
of all of these is the only way to find it again.
"""

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from msgspec import Struct, ValidationError
from msgspec.json import Decoder, Encoder

from mcpward.approvals.record import (
    ID_LENGTH,
    ApprovalCaps,
    ApprovalRow,
    ApprovalStatus,
    ApprovalStore,
    WaitingCall,
)
from mcpward.core.clock import Clock
from mcpward.core.ids import base62
from mcpward.core.operator import Operator
from mcpward.core.values import Call, Principal

#: 43 characters of base62 are 256 bits.
SECRET_LENGTH: Final = 43
LINK_LENGTH: Final = ID_LENGTH + SECRET_LENGTH
"""The last segment of a page's address: the id, and the secret."""
#: Beyond this, arguments are bound as they were spelt: to sort a hundred thousand names takes long (attack 55).
_SHORT: Final = 64 * 1024
_encode: Final = Encoder().encode
_canonical: Final = Encoder(order="deterministic").encode
_parse: Final = Decoder().decode
#: A number with a fraction as it was spelt: two that are the same to a float may be two amounts to a tool.
_parse_spelt: Final = Decoder(float_hook=lambda spelt: f"\0{spelt}").decode
_open: Final = Decoder(WaitingCall).decode


class Claim(Struct, frozen=True):
    """The standing of a call that needs an approval. ``link`` is the secret of its page, "" if none was asked for."""

    id: str
    status: ApprovalStatus
    expires_at: float
    link: str = ""


class Approval(Struct, frozen=True):
    """An approval with its call opened; ``call`` is None if it cannot be: the master key is another one."""

    row: ApprovalRow
    call: WaitingCall | None

    def is_over(self, now: float) -> bool:
        """Whether its time is over."""
        return self.row.expires_at <= now


class Approvals:
    """``digest`` is a keyed digest, ``matches`` compares with one in constant time. ``seal`` and ``open`` are
    authenticated encryption with associated data. ``lifetime_s`` is how long a call may wait, and again how long its
    approval is good.
    """

    def __init__(
        self,
        store: ApprovalStore,
        clock: Clock,
        *,
        digest: Callable[[str], bytes],
        matches: Callable[[str, bytes], bool],
        seal: Callable[[bytes, bytes], str],
        open: Callable[[str, bytes], bytes | None],  # noqa: A002  # the verb of crypto.sealed
        lifetime_s: float,
        caps: ApprovalCaps,
    ) -> None:
        self.lifetime_s: Final = lifetime_s
        self._store = store
        self._clock = clock
        self._digest = digest
        self._matches = matches
        self._seal = seal
        self._open = open
        self._caps = caps

    async def claim(self, call: Call, tool: str, waiting: WaitingCall, *, has_page: bool = False) -> Claim:
        """Use the approval of this call up, or let the call wait for one. APPROVED means that it may run, once.

        Raises:
            Full: no further call may wait.
            ValueError: the call is too long to be kept.
        """
        now, server = self._clock.now(), call.principal.server
        binding = self._binding(call, tool, waiting.question)
        approval_id = base62(ID_LENGTH)
        secret = base62(SECRET_LENGTH) if has_page else ""
        row = ApprovalRow(
            id=approval_id,
            binding=binding,
            owner=call.principal.key,
            server=server,
            tool=tool,
            status=ApprovalStatus.PENDING.value,
            created_at=now,
            expires_at=now + self.lifetime_s,
            sealed=self._seal(_encode(waiting), _bound(binding)),
            link=self._digest(secret) if secret else None,
        )
        found = await self._store.claim(row, now, self._caps)
        is_used = found.status == ApprovalStatus.USED.value
        return Claim(
            found.id, ApprovalStatus.APPROVED if is_used else ApprovalStatus(found.status), found.expires_at, secret
        )

    async def standing(self, approval_id: str) -> ApprovalStatus | None:
        """Return whether a call still waits, or how it was decided; None if its time is over."""
        row = await self._store.find(approval_id)
        return None if row is None or row.expires_at <= self._clock.now() else ApprovalStatus(row.status)

    async def give_back(self, approval_id: str) -> None:
        """Make an approval good again: its call asked for something, and has not run further."""
        await self._store.give_back(approval_id, self._clock.now())

    async def decide(
        self, approval_id: str, by: str, *, yes: bool, operator: Operator | None = None
    ) -> Approval | None:
        """Approve or deny a call that waits; None if none does under that id."""
        now = self._clock.now()
        status = ApprovalStatus.APPROVED if yes else ApprovalStatus.DENIED
        row = await self._store.decide(approval_id, status, now, now + self.lifetime_s, by, operator)
        return None if row is None else self._opened(row)

    async def find(self, approval_id: str) -> Approval | None:
        """Return an approval by its id."""
        row = await self._store.find(approval_id)
        return None if row is None else self._opened(row)

    async def by_link(self, link: str) -> Approval | None:
        """Return the approval whose page has this address: its id, and the secret. None for a wrong or old one."""
        approval_id, secret = link[:ID_LENGTH], link[ID_LENGTH:]
        row = await self._store.find(approval_id) if len(secret) == SECRET_LENGTH else None
        if row is None or row.link is None or row.expires_at <= self._clock.now():
            return None
        return self._opened(row) if self._matches(secret, row.link) else None

    def form_token(self, link: str) -> str:
        """Return the token of the form on a page, which only a reader of the page can send."""
        return self._digest(f"form\0{link}").hex()

    def is_form_token(self, link: str, token: str) -> bool:
        """Return whether a form came from the page at this address, compared in constant time."""
        return compare_digest(self.form_token(link).encode(), token.encode())

    async def every(self) -> list[Approval]:
        """Return all whose time is not over, the oldest first."""
        now = self._clock.now()
        return [self._opened(row) for row in await self._store.every() if row.expires_at > now]

    def _binding(self, call: Call, tool: str, question: str) -> str:
        principal = call.principal
        parts = [principal.server, principal.key, tool, question]
        return self._digest(_encode(parts).decode() + "\0" + _arguments(call.arguments)).hex()

    def _opened(self, row: ApprovalRow) -> Approval:
        raw = self._open(row.sealed, _bound(row.binding))
        try:
            return Approval(row, None if raw is None else _open(raw))
        except ValidationError:
            return Approval(row, None)


def who_of(principal: Principal) -> str:
    """Return a caller in words for the person who decides."""
    if principal.key_id is not None:
        return f"key {principal.key_id} ({principal.client or principal.subject})"
    return f"{principal.way.value} {principal.subject}"


def arguments_of(raw: bytes | None) -> Any:
    """Return the arguments as the caller sent them."""
    return {} if raw is None else _parse(raw)


def _arguments(raw: bytes | None) -> str:
    """Spell arguments in one way, whatever the order of their names; a model repeats them as it likes."""
    if raw is None:
        return "{}"
    if len(raw) > _SHORT:
        return sha256(raw).hexdigest()
    return _canonical(_parse_spelt(raw)).decode()


def _bound(binding: str) -> bytes:
    return b"approval\0" + binding.encode()
