"""``requestState``: the answers to a modern call so far, sealed, and carried by the client to its next try.

The client is the only place where it is kept, so it is a stranger's input when it comes back: authenticated, bound to
its caller and its request, and refused when it is old. Whether it has been used before is for the store to say.
Source: 2026-07-28, basic/patterns/mrtr.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from mcpward.core import ids
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.invalid import invalid
from mcpward.core.reasons import Reason
from mcpward.core.values import Call

DEFAULT_LIFETIME_S: Final = 600.0
#: A sealed text is a third longer, and no client need carry more than 64 KiB.
_LONGEST: Final = 48_000
_DIGEST: Final = 32
#: Arguments beyond this are bound as they were spelt: reading and sorting a hundred thousand names takes 70 ms (attack
#: 55), and a client that sends its request again spells it as before.
_SHORT: Final = 64 * 1024


class State(Struct, frozen=True):
    """The answers so far. ``id`` names the call that is asked about, in all its rounds; empty if no state came.

    ``answers`` are the client's results by key; ``issued_at`` is when the state was sealed.
    """

    id: str
    answers: Mapping[str, Any]
    issued_at: float


NO_STATE: Final = State("", {}, 0.0)


class _Sealed(Struct, frozen=True, array_like=True):
    id: str
    issued_at: float
    asked: tuple[str, ...]
    answers: dict[str, Any]


_encode = Encoder().encode
_canonical = Encoder(order="deterministic").encode
_decode = Decoder(_Sealed).decode
_parse = Decoder().decode


class States:
    """Seals and opens states. ``seal`` and ``open`` are authenticated encryption with associated data.

    ``lifetime_s`` is how long a state may be used, in seconds.
    """

    def __init__(
        self,
        seal: Callable[[bytes, bytes], str],
        open: Callable[[str, bytes], bytes | None],  # noqa: A002  # the verb of crypto.sealed
        clock: Clock,
        lifetime_s: float = DEFAULT_LIFETIME_S,
    ) -> None:
        self.lifetime_s: Final = lifetime_s
        self._seal = seal
        self._open = open
        self._clock = clock

    def open(self, call: Call) -> State:
        """Return the answers that a call has brought: those of earlier rounds, and the new ones to what was asked.

        Answers that were not requested are left out. A call without a state may bring answers at once: there was no
        question yet, so all of them count, under an empty ``id``.

        Raises :class:`Refusal` (state-refused) for a state that is not ours, another caller's, another request's, or
        too old: one answer for all.
        """
        if call.state is None:
            return State("", call.inputs, 0.0)
        payload = self._open(call.state, _bound_to(call))
        if payload is None:
            raise Refusal(Reason.STATE_REFUSED, "not sealed here for this caller and request")
        try:
            sealed = _decode(payload)
        except MsgspecError:
            raise Refusal(Reason.STATE_REFUSED, "sealed by another release") from None
        if self._clock.now() - sealed.issued_at >= self.lifetime_s:
            raise Refusal(Reason.STATE_REFUSED, "too old")
        new = {key: call.inputs[key] for key in sealed.asked if key in call.inputs}
        return State(sealed.id, sealed.answers | new, sealed.issued_at)

    def seal(self, call: Call, answers: Mapping[str, Any], asked: tuple[str, ...], state_id: str = "") -> str:
        """Return the state of a call that needs answers to ``asked`` and has had ``answers`` so far.

        ``state_id`` is that of the round before, empty in the first: a call has one, and is used up as a whole.

        Raises :class:`Refusal` (params-invalid) if the answers are too long to be carried.
        """
        sealed = _encode(_Sealed(state_id or ids.request_id(), self._clock.now(), asked, dict(answers)))
        if len(sealed) <= _LONGEST:
            try:
                return self._seal(sealed, _bound_to(call))
            except ValueError:
                pass
        raise invalid("inputResponses", "shorter answers: these are too long to be carried")


def _bound_to(call: Call) -> bytes:
    """Server, caller, method, target and arguments: the same request, whatever its id and _meta."""
    raw = b"null" if call.arguments is None else call.arguments
    # One JSON text or two of them: neither is ever spelt as the other.
    spelt = _canonical([call.target, _parse(raw)]) if len(raw) <= _SHORT else _canonical([call.target]) + raw
    asked = hashlib.blake2b(spelt, digest_size=_DIGEST).hexdigest()
    principal = call.principal
    words = (asked, call.method, principal.server, principal.key)
    # None of the first three can hold a NUL, so no two requests are spelled alike.
    return b"mcp-state\0" + "\0".join(words).encode()
