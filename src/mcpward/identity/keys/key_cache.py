"""All API keys of the site in memory, and the decision whether a text is one of them.

Filled by ``follower``, from another thread; reads no store. ``key_lookup`` has it filled for a key that is not here,
and for one that has not been confirmed for a second. When the snapshot is too old to know of a revocation, no caller is
admitted.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.ids import base62
from mcpward.core.key_tags import tag_values
from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod, Principal
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import find_id
from mcpward.identity.keys.key_causes import ended, unproved
from mcpward.identity.keys.records import EVERY_SERVER, KeyRecord

RETRY_AFTER_S: Final = 5
_MAX_PROVEN: Final = 10_000
_MARK: Final = 32
CONFIRMED_FOR_S: Final = 1.0
"""A revocation counts within a second: with an older snapshot a call waits until the store has been asked again."""
STALE_AFTER_S: Final = 3.0
"""So old, a snapshot is trusted in nothing. An answer of the store for which a call waited is younger than that."""


class _Entry:
    """A record, prepared for the hot path: its end, its networks and its principals, one per server."""

    __slots__ = ("digest", "ends_at", "id", "networks", "principals", "record", "revoked")

    def __init__(self, record: KeyRecord, max_age_s: float | None = None) -> None:
        self.record = record
        self.id = record.id
        self.digest = record.digest
        self.ends_at = record.ends_at(max_age_s)
        self.revoked = record.revoked_at is not None
        self.networks = _networks(record)
        self.principals: dict[str, Principal | None] = {}


class KeyCache:
    """Every key by its id. ``used`` collects when each key was used last, for the store to note in batches.

    ``max_age_s`` is the longest life of a key since it was made, in seconds; None for no bound.
    """

    def __init__(self, pepper: Pepper, clock: Clock, max_age_s: float | None = None) -> None:
        self._pepper = pepper
        self._max_age_s = max_age_s
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._entries: dict[str, _Entry] = {}
        self._proven: dict[bytes, str] = {}
        self._salt = base62(_MARK).encode()
        # Compared if the id is unknown, so that both cases do the same work (attack 33).
        self._nobody = _Entry(KeyRecord(id="", name="", digest=pepper.digest(""), servers=(), created_at=0.0))
        self.fresh_at = float("-inf")
        self.used: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def apply(self, records: Iterable[KeyRecord], *, whole: bool = False) -> None:
        """Take new and changed records into the snapshot; with ``whole``, no others stay.

        Called from another thread than all else: readers see either all of it or nothing.
        """
        entries = {record.id: _Entry(record, self._max_age_s) for record in records}
        if entries or whole:
            entries = entries if whole else self._entries | entries
            self._entries = entries
            for entry in entries.values():
                entry.principals = {}  # a chain of rotations may have become known: its callers keep one identity

    def mark_fresh(self, at: float) -> None:
        """Note that the snapshot has all that the store held at ``at`` (monotonic clock)."""
        self.fresh_at = at

    @property
    def is_confirmed(self) -> bool:
        """Whether the snapshot is young enough to admit a caller at once."""
        return self._monotonic() - self.fresh_at <= CONFIRMED_FOR_S

    @property
    def is_stale(self) -> bool:
        """Whether the snapshot is too old to admit a caller."""
        return self._monotonic() - self.fresh_at > STALE_AFTER_S

    def has(self, text: str) -> bool:
        """Return whether ``text`` is a key at hand, whatever it opens."""
        key_id = find_id(text)
        entry = self._nobody if key_id is None else self._entries.get(key_id, self._nobody)
        return self._pepper.matches(text, entry.digest) and entry is not self._nobody

    def is_over(self, text: str) -> bool:
        """Return whether a key that :meth:`has` found was revoked or has expired: no look at the store changes that.

        A snapshot that is too old to be trusted reports no key as ended.
        """
        key_id = find_id(text)
        entry = None if key_id is None or self.is_stale else self._entries.get(key_id)
        return entry is not None and (entry.revoked or (entry.ends_at is not None and self._now() >= entry.ends_at))

    def verify(self, text: str, server: str, peer: str) -> Principal | None:
        """Return the principal whose key ``text`` is, or None: unknown, revoked, expired, of another server or network.

        Raises :class:`Refusal` (identity-unavailable) when the snapshot is too old to be trusted.
        """
        if self.is_stale:
            raise Refusal(Reason.IDENTITY_UNAVAILABLE, "the snapshot of keys is stale", RetryAfter(RETRY_AFTER_S))
        key_id = find_id(text)
        if key_id is None:
            return None
        entry = self._entries.get(key_id, self._nobody)
        if not self._pepper.matches(text, entry.digest) or entry is self._nobody:
            return None
        return self._enter(entry, server, peer)

    def refused(self, text: str, server: str, peer: str) -> Refusal:
        """Return the refusal of a text that :meth:`verify` did not accept, with the cause for log and record.

        Callers see the same refusal for every cause. The key's id goes with it only if the whole key was shown: an id
        is no secret, and any caller may put it into a text of its own. The same work is done for every text that is no
        key in the cache (attack 33).
        """
        key_id = find_id(text)
        entry = self._nobody if key_id is None else self._entries.get(key_id, self._nobody)
        if not self._pepper.matches(text, entry.digest) or entry is self._nobody:
            return Refusal(Reason.CREDENTIAL_INVALID, unproved(text, key_id, is_known=entry is not self._nobody))
        cause = ended(entry.record, entry.ends_at, self._now())
        if cause is None and entry.networks is not None and not _stands_in(peer, entry.networks):
            cause = f"the key is for the network {', '.join(entry.record.networks)}, and the caller is not in it"
        if cause is None and self._admit(entry, server) is None:
            cause = f"the key is for the server {', '.join(entry.record.servers)}, not for {server}"
        no = Refusal(Reason.CREDENTIAL_INVALID, cause or "the key was not known yet")
        no.key_id = entry.id
        return no

    def unknown(self, text: str) -> bytes | None:
        """Return a digest of a text that has the form of a key and is none at hand; else None.

        None, too, for a key that is at hand and opens nothing here: reading the store again would change nothing.
        """
        key_id = find_id(text)
        if key_id is None:
            return None
        return None if self.has(text) else self.mark(text)

    def mark(self, text: str) -> bytes:
        """Return a digest of a text, under a secret of this process."""
        return self._mark(text.encode())

    def remember(self, credential: bytes, principal: Principal) -> None:
        """Note that ``credential``, as it came, proved to be the key of ``principal``."""
        if principal.key_id is not None:
            if len(self._proven) >= _MAX_PROVEN:
                self._proven.clear()
            self._proven[self._mark(credential)] = principal.key_id

    def recall(self, credential: bytes, server: str, peer: str) -> Principal | None:
        """Return the principal of a credential that was proved before, or None: then :meth:`verify` must decide.

        Only the proof is remembered, as a digest under a secret of this process. Whether the key is revoked, expired,
        or for elsewhere is checked each time.
        """
        key_id = self._proven.get(self._mark(credential))
        return None if key_id is None else self.again(key_id, server, peer)

    def again(self, key_id: str, server: str, peer: str) -> Principal | None:
        """Return the principal of a key whose secret was proved, or None: then :meth:`verify` must decide."""
        entry = self._entries.get(key_id)
        if entry is None or self._monotonic() - self.fresh_at > CONFIRMED_FOR_S:
            return None
        return self._enter(entry, server, peer)

    def _mark(self, credential: bytes) -> bytes:
        return blake2b(credential, digest_size=_MARK, key=self._salt).digest()

    def _enter(self, entry: _Entry, server: str, peer: str) -> Principal | None:
        """The caller has proved to hold the key: the checks that follow reveal nothing to others."""
        now = self._now()
        principals = entry.principals  # before all else: the thread that takes in new records puts an empty one here
        if entry.revoked or (entry.ends_at is not None and now >= entry.ends_at):
            return None
        if entry.networks is not None and not _stands_in(peer, entry.networks):
            return None
        try:
            principal = principals[server]
        except KeyError:
            principal = principals[server] = self._admit(entry, server)
        if principal is not None:
            self.used[entry.id] = now
        return principal

    def _admit(self, entry: _Entry, server: str) -> Principal | None:
        """Make the principal of a key on a server, once. Servers come from the configuration, so these are few."""
        record = entry.record
        if server not in record.servers and EVERY_SERVER not in record.servers:
            principal = None
        else:
            principal = principal_of(record, server, self._root(record))
        return principal

    def _root(self, record: KeyRecord) -> str:
        """Follow the rotations back: a rotated key is the same caller, with the same limits and sessions."""
        seen: Mapping[str, _Entry] = self._entries
        for _ in range(len(seen)):  # bounded, so that a damaged chain cannot turn in a circle
            before = seen.get(record.rotated_from or "")
            if before is None:
                break
            record = before.record
        return record.rotated_from or record.id


def principal_of(record: KeyRecord, server: str, root: str) -> Principal:
    """Return the principal of a key's holder on a server that it opens. ``root`` is the first key of its rotations.

    Names are not unique: two keys named alike must not be one user to a tool's row filter.
    """
    return Principal(
        key="api-key:" + root,
        way=AuthMethod.API_KEY,
        server=server,
        subject=root,
        client=record.name,
        key_id=record.id,
        scopes=frozenset(record.scopes),
        tools=None if record.tools is None else frozenset(record.tools),
        access=record.access,
        rate=record.rate,
        waiver="key" if record.may_confirm else None,
        tags=tag_values(record.tags),
    )


_Networks = tuple[IPv4Network | IPv6Network, ...]


def _networks(record: KeyRecord) -> _Networks | None:
    """None for any address; a block that cannot be read matches no address, so it never widens a key."""
    if not record.networks:
        return None
    blocks = []
    for text in record.networks:
        try:
            blocks.append(ip_network(text))
        except ValueError:
            continue
    return tuple(blocks)


def _stands_in(peer: str, networks: _Networks) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # ::ffff:192.0.2.1 is how a dual-stack socket spells an IPv4 peer
    return any(address in network for network in networks)
