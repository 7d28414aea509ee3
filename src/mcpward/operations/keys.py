"""API keys for an operator: make, find, list, edit, rotate and revoke them. The text of a key is returned only once, by
``create_key`` and ``rotate_key``.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from mcpward.config.span import span_text
from mcpward.core.clock import Clock
from mcpward.core.moment import moment_text
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import Rate
from mcpward.identity.keys.api_key import find_id, issue, parse, reissue
from mcpward.identity.keys.records import EVERY_SERVER, KeyRecord
from mcpward.operations.denied import Denied, Invalid
from mcpward.operations.site import Site

_MORE: Final = "create a new one: mcpward key create --name NAME"


class KeyRights(Struct, frozen=True, kw_only=True):
    """The properties of a new key. ``expires_at`` is wall-clock seconds; ``tools`` is None for all of its servers'."""

    name: str
    servers: tuple[str, ...]
    tools: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    access: Access = Access.WRITE
    rate: Rate | None = None
    networks: tuple[str, ...] = ()
    expires_at: float | None = None
    may_confirm: bool = False
    owner: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()


class KeyEdit(Struct, frozen=True, kw_only=True):
    """The changes to a key; everything else stays. None takes a value away."""

    name: str | UnsetType = UNSET
    servers: tuple[str, ...] | UnsetType = UNSET
    tools: tuple[str, ...] | UnsetType | None = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET
    access: Access | UnsetType = UNSET
    rate: Rate | UnsetType | None = UNSET
    networks: tuple[str, ...] | UnsetType = UNSET
    expires_at: float | UnsetType | None = UNSET
    may_confirm: bool | UnsetType = UNSET
    owner: str | UnsetType | None = UNSET
    note: str | UnsetType | None = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET

    @property
    def changes(self) -> dict[str, Any]:
        """The changes, by the field's name."""
        return {name: value for name, value in asdict(self).items() if value is not UNSET}


class KeyChange(Struct, frozen=True):
    """A key before and after an edit."""

    before: KeyRecord
    after: KeyRecord

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that are not what they were."""
        return tuple(
            name
            for name in self.after.__struct_fields__
            if name != "revision" and getattr(self.before, name) != getattr(self.after, name)
        )


class KeyFilter(Struct, frozen=True, kw_only=True):
    """The keys to list: every condition that is set must hold. Times are wall-clock seconds.

    ``unused_since``: not used from then on, or never. ``ends_before``: it has an end, and that is before then.
    """

    server: str | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    is_never_used: bool = False
    has_no_end: bool = False
    unused_since: float | None = None
    ends_before: float | None = None
    are_ended_too: bool = False

    def takes(self, record: KeyRecord, now: float, max_age_s: float | None) -> bool:
        """Return whether a key fits."""
        ends_at = record.ends_at(max_age_s)
        used_at = record.last_used_at
        return all(
            (
                self.are_ended_too or record.is_live(now, max_age_s),
                self.server is None or self.server in record.servers or EVERY_SERVER in record.servers,
                self.owner is None or self.owner == (record.owner or ""),
                set(self.tags) <= set(record.tags),
                not self.is_never_used or used_at is None,
                not self.has_no_end or ends_at is None,
                # A key that was made a moment ago has not been idle since long before.
                self.unused_since is None or max(used_at or 0.0, record.created_at) < self.unused_since,
                self.ends_before is None or (ends_at is not None and ends_at < self.ends_before),
            )
        )


async def create_key(
    site: Site, clock: Clock, rights: KeyRights, max_age_s: float | None = None
) -> tuple[Secret, KeyRecord]:
    """Make a key and keep its record. The text exists in this answer only.

    Raises:
        Invalid: it would live longer than ``max_age_s`` (the setting ``keys.max_age``, in seconds).
    """
    _require_age(rights.expires_at, clock.now(), max_age_s)
    secret, record = issue(site.pepper_keys, clock, **asdict(rights))
    await site.store.keys.add(record)
    return secret, record


async def get_key(site: Site, key_id: str) -> KeyRecord:
    """Return the key of an id.

    Raises:
        Denied: there is none.
        Invalid: that is a whole key, which must not be repeated, in the place of its id.
    """
    inside = find_id(key_id)
    if inside is not None:
        what = "that is a key, not a key id; it is now in your shell history: rotate it"
        raise Invalid(what, f"its id is {inside}; create its successor: mcpward key rotate {inside}")
    record = await site.store.keys.get(key_id)
    if record is None:
        named = [one.id for one in await site.store.keys.list() if one.name == key_id]
        hint = f"keys of this name have the id {', '.join(named)}" if named else "mcpward key list --all"
        raise Denied(f"there is no key {key_id!r}", hint)
    return record


async def first_key(site: Site, key_id: str) -> str:
    """Return the id of the key that a key was rotated from at the first: limits and sessions are that one's.

    Raises:
        Denied: there is no such key.
    """
    key = await get_key(site, key_id)
    keys = {each.id: each for each in await site.store.keys.list()}
    for _ in range(len(keys)):  # bounded, so that a damaged chain cannot loop
        before = keys.get(key.rotated_from or "")
        if before is None:
            break
        key = before
    return key.rotated_from or key.id


async def get_live_key(site: Site, key_id: str, now: float, max_age_s: float | None) -> KeyRecord:
    """Return the key of an id if it opens something.

    Raises:
        Denied: there is none, or it has ended.
        Invalid: as :func:`get_key`.
    """
    record = await get_key(site, key_id)
    if not record.is_live(now, max_age_s):
        raise Denied(f"key {record.id} has ended", _MORE)
    return record


async def list_keys(site: Site, wanted: KeyFilter, now: float, max_age_s: float | None) -> Sequence[KeyRecord]:
    """Return the keys that fit, the newest first."""
    found = [record for record in await site.store.keys.list() if wanted.takes(record, now, max_age_s)]
    return sorted(found, key=lambda record: -record.created_at)


async def edit_key(site: Site, key_id: str, edit: KeyEdit, now: float, max_age_s: float | None) -> KeyChange:
    """Change a live key. Every worker knows within a second; the text of the key stays the same.

    Raises:
        Denied: there is none, it has ended, or it has these values already. Invalid: it would live longer than
        ``max_age_s``, or as :func:`get_key`.
    """
    record = await get_live_key(site, key_id, now, max_age_s)
    if edit.expires_at is not UNSET:
        _require_age(edit.expires_at, record.created_at, max_age_s)

    def edited(known: KeyRecord) -> KeyRecord:
        if not known.is_live(now, max_age_s):  # revoked since we looked: an edit must not bring it back
            raise Denied(f"key {known.id} has ended", _MORE)
        return replace(known, **edit.changes)

    found = await site.store.keys.edit(record.id, edited)
    if found is None:  # keys are never removed, so another process must have done that
        raise Denied(f"there is no key {key_id!r}", "mcpward key list --all")
    change = KeyChange(*found)
    if not change.fields:
        raise Denied(f"key {record.id} has these values already", f"mcpward key show {record.id}")
    return change


async def rotate_key(
    site: Site, clock: Clock, key_id: str, grace_until: float, max_age_s: float | None
) -> tuple[Secret, KeyRecord]:
    """Make the successor of a live key, with the same rights; the old one lives on until ``grace_until`` (wall clock).

    Raises:
        Denied: there is none, or it has ended.
        Invalid: as :func:`get_key`.
    """
    old = await get_live_key(site, key_id, clock.now(), max_age_s)
    secret, new = reissue(site.pepper_keys, clock, old)
    await site.store.keys.rotate(old.id, new, grace_until)
    return secret, new


async def revoke_key(site: Site, key_id: str, now: float) -> KeyRecord:
    """End a key now, for every worker within a second, and return what it is then.

    Raises:
        Denied: there is none, or it was revoked before.
        Invalid: as :func:`get_key`.
    """
    record = await get_key(site, key_id)
    if record.revoked_at is not None:
        raise Denied(f"key {record.id} was revoked at {moment_text(record.revoked_at)}")
    await site.store.keys.revoke(record.id, now)
    return await get_key(site, record.id)


async def every_key(site: Site) -> Sequence[KeyRecord]:
    """Return every key, live or ended, the oldest first."""
    return await site.store.keys.list()


async def has_made(site: Site, key: Secret) -> bool:
    """Return whether this site has made a key, whatever happened to it since."""
    parsed = parse(key.reveal())
    record = await site.store.keys.get(parsed.id) if parsed else None
    return record is not None and site.pepper_keys.matches(key.reveal(), record.digest)


def state_of(record: KeyRecord, now: float, max_age_s: float | None) -> str:
    """Return the status of a key at ``now`` as a word: live, grace, ended or revoked."""
    if record.revoked_at is not None:
        return "revoked"
    if not record.is_live(now, max_age_s):
        return "ended"
    return "grace" if record.grace_until is not None else "live"


def _require_age(expires_at: float | None, created_at: float, max_age_s: float | None) -> None:
    """Refuse an end that the key would not live to see: its author would rely on it."""
    if expires_at is not None and max_age_s is not None and expires_at > created_at + max_age_s:
        longest = span_text(max_age_s)
        what = f"the key would end later than keys.max_age allows: {longest} after its creation"
        raise Invalid(what, f"--expires {longest} at most; without --expires it ends then")
