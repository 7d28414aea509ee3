"""Secrets by server and name, sealed: each version has a data key of its own, which the vault's active key wraps.

A value in the table opens only in its own place (attack 87) and only with our keys. Does not decide who may have a
secret: the code that asks on behalf of a server does.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.ids import base62
from mcpward.core.secret import Secret, value_of
from mcpward.crypto.aead import Aead, SealRefused, new_key
from mcpward.crypto.envelope import Envelope
from mcpward.vault import wrapping_keys
from mcpward.vault.vault_entry import KEY, SECRET, VaultEntry, place_of
from mcpward.vault.wrapping_keys import WrappingKeys

#: How long a version that was replaced is kept, unless the operator says otherwise: it can be put back meanwhile.
GRACE_S: Final = 86_400.0
_ID: Final = 16
_BATCH: Final = 20
_LOST: Final = "restore its master key, or set the secret again"
#: Seals under one key with random nonces of 96 bits (NIST SP 800-38D, 8.3); half of the bound is time enough.
MOST_SEALS: Final = 2**31
ByServer = Mapping[str, Mapping[str, Secret]]
Progress = Callable[[int, int], None]


class VaultChanges(Protocol):
    """One transaction over the vault, which no other process changes meanwhile."""

    @property
    def entries(self) -> Sequence[VaultEntry]:
        """All rows, as they are within it."""
        ...

    async def put(self, entry: VaultEntry) -> None:
        """Add a row, or change the one with its id."""
        ...

    async def remove(self, entry: VaultEntry) -> None:
        """Remove a row."""
        ...


class VaultRows(Protocol):
    """The rows of the vault. A port of the storage package."""

    async def entries(self) -> Sequence[VaultEntry]:
        """Return all rows. Raises :class:`Untrusted` if one was not written with the master key."""
        ...

    def changing(self) -> AbstractAsyncContextManager[VaultChanges]:
        """Open a transaction; what it changed is on the disk when the block has been left."""
        ...

    async def touch(self, used: Mapping[tuple[str, str], float]) -> None:
        """Note when secrets were last used, by server and name."""
        ...


class Vault:
    """Seals what comes in and opens what goes out."""

    def __init__(self, table: VaultRows, root: Envelope, site: str, clock: Clock) -> None:
        self.table = table
        self._root = root
        self._site = site
        self._clock = clock

    async def set(
        self, server: str, name: str, value: Secret, grace_s: float = GRACE_S, *, keeps_binding: bool = True
    ) -> VaultEntry:
        """Keep ``value`` for ``server`` under ``name``. Return the new version.

        The version before is kept for ``grace_s``. A value without hosts goes where that one was allowed to go, and
        nowhere else, unless ``keeps_binding`` is False.
        """
        async with self.table.changing() as changes:
            bound = _bound_as(_current(changes, server, name), value) if keeps_binding else value
            return await self._put(changes, server, name, bound, grace_s)

    async def set_all(self, values: Mapping[tuple[str, str], Secret], grace_s: float = GRACE_S) -> int:
        """Keep several secrets, by server and name, all or none. Return how many differ from what was kept: the others
        get no new version. One without hosts goes where the version before was allowed to go.

        Raises :class:`Misconfigured` if what is kept under one of the names cannot be opened.
        """
        changed = 0
        async with self.table.changing() as changes:
            keys = await self._with_active(changes)
            for (server, name), value in values.items():
                current = _current(changes, server, name)
                bound = _bound_as(current, value)
                if current is None or not is_same(self._opened(keys, current), bound):
                    await self._put(changes, server, name, bound, grace_s)
                    changed += 1
        return changed

    async def roll_back(self, server: str, name: str, grace_s: float = GRACE_S) -> int:
        """Make the version before the present one the present one again, as a new version; return its number.

        Raises ``LookupError`` if there is none, and :class:`Misconfigured` if it cannot be opened.
        """
        async with self.table.changing() as changes:
            kept = [one for one in changes.entries if one.is_of(server, name) and one.ends_at is not None]
            kept = [one for one in kept if (one.ends_at or 0) > self._clock.now()]
            if not kept:
                raise LookupError(name)
            earlier = max(kept, key=lambda one: one.version)
            value = self._opened(self._keys(changes.entries), earlier)
            await changes.remove(earlier)
            return (await self._put(changes, server, name, value, grace_s)).version

    async def load_all(self, server: str) -> dict[str, Secret]:
        """Return the present version of every secret of ``server`` by name. Raises as :meth:`open_all`."""
        return self.open_all(await self.table.entries(), [server])[server]

    def open_all(self, entries: Sequence[VaultEntry], servers: Sequence[str]) -> dict[str, dict[str, Secret]]:
        """Return the present versions of the secrets of servers by name.

        Raises :class:`Misconfigured`, naming every one that cannot be opened: it was changed, moved, or sealed with
        a master key that is gone.
        """
        found, findings = self.open_each(entries, servers)
        if findings:
            raise Misconfigured([finding for of_place in findings.values() for finding in of_place])
        return found

    def open_each(
        self, entries: Sequence[VaultEntry], servers: Sequence[str]
    ) -> tuple[dict[str, dict[str, Secret]], dict[tuple[str, str], list[Finding]]]:
        """Return the present versions by server and name, and what is wrong with those that cannot be opened.

        Raises :class:`Misconfigured` if a key of the vault cannot be opened.
        """
        keys = self._keys(entries)
        found: dict[str, dict[str, Secret]] = {server: {} for server in servers}
        findings: dict[tuple[str, str], list[Finding]] = {}
        for entry in entries:
            if entry.kind == SECRET and entry.is_current and entry.server in found:
                try:
                    found[entry.server][entry.name] = self._opened(keys, entry)
                except Misconfigured as wrong:
                    findings[entry.server, entry.name] = list(wrong.findings)
        return found, findings

    async def load_kept(self) -> list[Secret]:
        """Return the versions that were replaced and are still kept: their values must not leave either."""
        entries = await self.table.entries()
        keys, now = self._keys(entries), self._clock.now()
        kept = [one for one in entries if one.kind == SECRET and one.ends_at is not None and one.ends_at > now]
        return [self._opened(keys, entry) for entry in kept]

    async def rename_server(self, old: str, new: str) -> int:
        """Move the secrets of a server to another name, each sealed for its new place. Return how many there were.

        Raises :class:`Misconfigured` for one that cannot be opened, and ``LookupError`` with the name of one that
        both servers have; nothing was changed then.
        """
        async with self.table.changing() as changes:
            keys = await self._with_active(changes)
            mine = [one for one in changes.entries if one.kind == SECRET and one.server == old]
            taken = {one.name for one in changes.entries if one.kind == SECRET and one.server == new}
            for entry in mine:
                if entry.name in taken:
                    raise LookupError(entry.name)
            for entry in mine:
                value = self._opened(keys, entry)
                await changes.put(self._sealed(keys, replace(entry, server=new), value))
        return len({entry.name for entry in mine})

    async def list(self, server: str) -> tuple[VaultEntry, ...]:
        """Return all versions of the server's secrets by name, the newest first, without opening any."""
        mine = [one for one in await self.table.entries() if one.kind == SECRET and one.server == server]
        return tuple(sorted(mine, key=lambda one: (one.name, -one.version)))

    async def remove(self, server: str, name: str) -> bool:
        """Forget a secret with all its versions; says whether there was one."""
        async with self.table.changing() as changes:
            mine = [one for one in changes.entries if one.is_of(server, name)]
            for entry in mine:
                await changes.remove(entry)
        return bool(mine)

    async def settle(self) -> None:
        """Seal under the newest master key what older ones sealed, and forget versions whose time is over."""
        if not any(self._is_due(entry) for entry in await self.table.entries()):
            return
        async with self.table.changing() as changes:
            for entry in changes.entries:
                if not self._is_due(entry):
                    continue
                if entry.kind == KEY:
                    await changes.put(replace(entry, blob=wrapping_keys.resealed(entry, self._root, self._site)))
                elif entry.key_id:
                    await changes.remove(entry)
            earlier = [one for one in changes.entries if one.kind == SECRET and not one.key_id]
            keys = await self._with_active(changes) if earlier else None
            for entry in earlier:
                assert keys is not None
                await changes.put(self._sealed(keys, entry, self._opened(keys, entry)))

    async def rotate(self, progress: Progress | None = None, batch: int = _BATCH) -> "Rotation":
        """Wrap every data key with a new key and forget the older keys. May run while all workers serve.

        Every ``batch`` rows are a transaction. A rotation that was killed is gone on with: the key that it made is
        active, so what is left is wrapped with that.

        Raises:
            Misconfigured: a secret cannot be opened; what was wrapped before it is in force.
        """
        await self.settle()
        is_resumed = await self._begin_rotation()
        left = [one for one in await self.table.entries() if one.kind == SECRET]
        for start in range(0, len(left), batch):
            await self._rewrap({entry.id for entry in left[start : start + batch]})
            if progress is not None:
                progress(min(start + batch, len(left)), len(left))
        async with self.table.changing() as changes:
            active = self._keys(changes.entries).active
            in_use = {one.key_id for one in changes.entries if one.kind == SECRET}
            for entry in changes.entries:
                if entry.kind == KEY and entry.id != active and entry.id not in in_use:
                    await changes.remove(entry)
        return Rotation(active, len(left), is_resumed=is_resumed)

    async def _begin_rotation(self) -> bool:
        """Make a new key active, unless a rotation is to be finished; return whether one is."""
        async with self.table.changing() as changes:
            keys = [one for one in changes.entries if one.kind == KEY]
            if len(keys) > 1:
                return True
            for entry in keys:
                await changes.put(replace(entry, ends_at=self._clock.now()))
            await changes.put(wrapping_keys.new_entry(self._root, self._site, self._clock.now()))
        return False

    async def _rewrap(self, ids: Collection[str]) -> None:
        async with self.table.changing() as changes:
            keys = self._keys(changes.entries)
            for entry in changes.entries:
                if entry.id in ids and entry.key_id != keys.active:
                    place = self._place(entry)
                    try:
                        data_key = keys.unwrap(entry.key_id, entry.wrapped, place)
                    except SealRefused:
                        raise _lost(entry) from None
                    await changes.put(replace(entry, key_id=keys.active, wrapped=keys.wrap(data_key, place)))

    async def _put(self, changes: VaultChanges, server: str, name: str, value: Secret, grace_s: float) -> VaultEntry:
        keys = await self._with_active(changes)
        mine = [one for one in changes.entries if one.is_of(server, name)]
        version = max((one.version for one in mine), default=0) + 1
        now = self._clock.now()
        for entry in mine:
            if entry.is_current and grace_s > 0:
                await changes.put(replace(entry, ends_at=now + grace_s))
            elif entry.is_current or (entry.ends_at or 0) <= now:
                await changes.remove(entry)
        new = VaultEntry(
            id=base62(_ID),
            kind=SECRET,
            blob=b"",
            set_at=now,
            server=server,
            name=name,
            version=version,
            hosts=value.hosts,
            header=value.header,
            is_http_only=value.is_http_only,
            last_used_at=max((one.last_used_at for one in mine if one.last_used_at is not None), default=None),
        )
        await changes.put(self._sealed(keys, new, value))
        return new

    async def _with_active(self, changes: VaultChanges) -> WrappingKeys:
        keys = self._keys(changes.entries)
        if keys.active:
            return keys
        await changes.put(wrapping_keys.new_entry(self._root, self._site, self._clock.now()))
        return self._keys(changes.entries)

    def _keys(self, entries: Sequence[VaultEntry]) -> WrappingKeys:
        return WrappingKeys(entries, self._root, self._site)

    def _sealed(self, keys: WrappingKeys, entry: VaultEntry, value: Secret) -> VaultEntry:
        place, data_key = self._place(entry), new_key()
        blob = Aead(data_key).seal(value_of(value).encode(), place)
        return replace(entry, key_id=keys.active, wrapped=keys.wrap(data_key, place), blob=blob)

    def _opened(self, keys: WrappingKeys, entry: VaultEntry) -> Secret:
        try:
            if entry.key_id:
                place = self._place(entry)
                plain = Aead(keys.unwrap(entry.key_id, entry.wrapped, place)).open(entry.blob, place)
            else:
                plain = self._root.open(entry.blob, _earlier_place(entry.server, entry.name))
        except SealRefused:
            raise _lost(entry) from None
        return Secret(
            plain.decode(), entry.name, hosts=entry.hosts, header=entry.header, is_http_only=entry.is_http_only
        )

    def _is_due(self, entry: VaultEntry) -> bool:
        """Whether :meth:`settle` has something to do about it."""
        if entry.kind == KEY:
            return not self._root.is_newest(entry.blob)
        return not entry.key_id or (entry.ends_at is not None and entry.ends_at <= self._clock.now())

    def _place(self, entry: VaultEntry) -> bytes:
        return place_of(self._site, entry.server, entry.name, entry.version)


class Rotation:
    """What a rotation did: the active key, how many data keys it wraps, and whether an earlier one was gone on with."""

    def __init__(self, key_id: str, count: int, *, is_resumed: bool) -> None:
        self.key_id, self.count, self.is_resumed = key_id, count, is_resumed


def _current(changes: VaultChanges, server: str, name: str) -> VaultEntry | None:
    return next((one for one in changes.entries if one.is_of(server, name) and one.is_current), None)


def _bound_as(current: VaultEntry | None, value: Secret) -> Secret:
    """Return a new value that may go where the one before was allowed to go, if it has no hosts of its own."""
    if current is None or value.hosts:
        return value
    return Secret(
        value_of(value), value.name, hosts=current.hosts, header=current.header, is_http_only=current.is_http_only
    )


def is_same(one: Secret, other: Secret) -> bool:
    """Return whether two secrets have the same value and may go to the same hosts."""
    bound = (one.hosts, one.header, one.is_http_only) == (other.hosts, other.header, other.is_http_only)
    return bound and value_of(one) == value_of(other)


def _lost(entry: VaultEntry) -> Misconfigured:
    what = f"the secret {entry.name} of {entry.server} (version {entry.version}) cannot be opened"
    return Misconfigured([Finding(what, "vault", _LOST)])


def _earlier_place(server: str, name: str) -> bytes:
    """Return what the ciphertexts of the first releases are bound to; they have no data key."""
    raw = server.encode()
    return b"vault/v1/" + len(raw).to_bytes(4) + raw + name.encode()
