"""Legacy sessions without a table: the session id is a sealed token that only its own principal can use.

Any worker opens it and a restart loses none. Ended sessions are remembered until their token is too old anyway.
Attacks 60 and 61; CVE-2026-52869 (a session served without a look at who asks). A session is never a credential: the
principal has been established before.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from mcpward.core import ids
from mcpward.core.clock import Clock
from mcpward.core.ended_cache import EndedCache
from mcpward.core.values import AuthMethod, Principal
from mcpward.protocol.declared import reduced

DEFAULT_LIFETIME_S: Final = 24 * 3600.0
_MAX_TOKEN: Final = 1024
_MAX_CLIENT: Final = 64
_KEPT: Final = 4096
_NOTHING: Final[Mapping[str, Any]] = {}


class Session(Struct, frozen=True, array_like=True):
    """One legacy session. ``id`` names it in records; ``client`` is what the client calls itself.

    ``capabilities`` are what the client declared, reduced to what may be asked of it.
    """

    id: str
    version: str
    issued_at: float
    client: str = ""
    capabilities: dict[str, Any] = {}


_encode = Encoder().encode
_decode = Decoder(Session).decode


class Sessions:
    """Issues, opens and ends sessions. ``seal`` and ``open`` are authenticated encryption with associated data."""

    def __init__(
        self,
        seal: Callable[[bytes, bytes], str],
        open: Callable[[str, bytes], bytes | None],  # noqa: A002  # the verb of crypto.sealed
        ended: EndedCache,
        clock: Clock,
        lifetime_s: float = DEFAULT_LIFETIME_S,
    ) -> None:
        self._seal = seal
        self._open = open
        self._ended = ended
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._opened: dict[tuple[bytes, str, str, str], Session] = {}
        self._opened_before: dict[tuple[bytes, str, str, str], Session] = {}

    def issue(
        self,
        principal: Principal,
        version: str,
        client_info: Mapping[str, Any],
        capabilities: Mapping[str, Any] = _NOTHING,
    ) -> str:
        """Return a new session's token: visible ASCII below 1,024 bytes, useless to any other principal and server."""
        client = _client(client_info)
        session = Session(ids.request_id(), version, self._clock.now(), client, reduced(capabilities))
        return self._seal(_encode(session), _bound_to(principal))

    def open(self, token: bytes, principal: Principal) -> Session | None:
        """Return the session of a token, None for one that is not ours, not this principal's, too old or ended."""
        # A session is opened once per worker, not once per call. The principal is part of the key: what one may open
        # is never found by another.
        key = (token, principal.server, principal.key, principal.client)
        session = self._opened.get(key) or self._opened_before.get(key) or self._unseal(token, principal)
        if session is None:
            return None
        if self._clock.now() - session.issued_at >= self._lifetime_s or self._ended.has(session.id):
            return None
        if key not in self._opened:
            self._keep(key, session)
        return session

    def end(self, session_id: str) -> float:
        """End a session in this worker and return the time after which its token is refused anyway.

        The caller writes both to the store, so that the other workers and the next start know.
        """
        forget_at = self._clock.now() + self._lifetime_s
        self._ended.add(session_id, forget_at)
        return forget_at

    def _unseal(self, token: bytes, principal: Principal) -> Session | None:
        if len(token) > _MAX_TOKEN or not token.isascii():
            return None
        payload = self._open(token.decode("ascii"), _bound_to(principal))
        if payload is None:
            return None
        try:
            return _decode(payload)
        except MsgspecError:
            return None  # sealed by another release

    def _keep(self, key: tuple[bytes, str, str, str], session: Session) -> None:
        """Two generations: the older one is dropped whole, so that keeping costs the same however many come."""
        if len(self._opened) >= _KEPT:
            self._opened_before, self._opened = self._opened, {}
        self._opened[key] = session


def _bound_to(principal: Principal) -> bytes:
    # No part has a NUL, so no principal of one server can be spelled as one of another. Two apps that act for one
    # person have a token each, perhaps with different rights: neither gets a session of the other's. A name that an
    # operator gave a key is no app, and may change.
    app = f"\0{principal.client}" if principal.way is AuthMethod.OAUTH else ""
    return f"mcp-session\0{principal.server}\0{principal.key}{app}".encode()


def _client(client_info: Mapping[str, Any]) -> str:
    """The client's name for itself, cut and made printable: it ends up in records, and it may say anything."""
    said = f"{client_info.get('name') or ''} {client_info.get('version') or ''}"[:_MAX_CLIENT]
    return "".join(letter for letter in said if letter.isprintable()).strip()
