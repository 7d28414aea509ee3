"""The stored record of an issued credential: never the credential itself."""

from msgspec import Struct

from mcpward.core.scope import Access
from mcpward.core.values import Rate

EVERY_SERVER = "*"


class KeyRecord(Struct, frozen=True, kw_only=True):
    """One API key. Times are wall-clock seconds; ``revision`` is given by the store at every change.

    ``tools`` is None if the key may use every tool of its servers; ``networks`` are CIDR blocks, none for any
    address. ``grace_until`` is set when the key was rotated: it lives on until then beside its successor.
    ``may_confirm`` is the operator's word that the key's client asks its person itself before it calls. ``owner``
    and ``note`` are for operators: they decide nothing. ``tags`` are words, ``name=value`` or only a name; tools may
    take their values (``FromCaller``).
    """

    id: str
    name: str
    digest: bytes
    servers: tuple[str, ...]
    tools: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    access: Access = Access.READ
    rate: Rate | None = None
    networks: tuple[str, ...] = ()
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None
    rotated_from: str | None = None
    revoked_at: float | None = None
    grace_until: float | None = None
    revision: int = 0
    may_confirm: bool = False
    owner: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"KeyRecord(id={self.id!r}, name={self.name!r}, revision={self.revision})"

    def ends_at(self, max_age_s: float | None) -> float | None:
        """Return the moment from which the key is refused without any further command; None for no end.

        ``max_age_s`` is the setting ``keys.max_age``: the longest life of any key, in seconds.
        """
        oldest = None if max_age_s is None else self.created_at + max_age_s
        return min((at for at in (self.expires_at, self.grace_until, oldest) if at is not None), default=None)

    def is_live(self, now: float, max_age_s: float | None) -> bool:
        """Return whether the key opens anything at ``now``: not revoked, and the second of its end not yet reached."""
        ends_at = self.ends_at(max_age_s)
        return self.revoked_at is None and (ends_at is None or now < ends_at)


class UrlRecord(Struct, frozen=True, kw_only=True):
    """One secret URL of an unlisted server; ``expires_at`` is set when it was rotated."""

    id: str
    server: str
    digest: bytes
    created_at: float
    expires_at: float | None = None
    revision: int = 0

    def __repr__(self) -> str:
        return f"UrlRecord(id={self.id!r}, server={self.server!r}, revision={self.revision})"

    def is_live(self, now: float) -> bool:
        """Return whether the URL opens the server at ``now``."""
        return self.expires_at is None or now < self.expires_at
