"""Compares what servers offer with what they offered at the last start, and has the operator approve what changed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.operations.pin_diff import diff
from mcpward.operations.site import Site
from mcpward.storage.pins import PinTransaction
from mcpward.tools.pin import (
    COMMAND,
    SERVER,
    START,
    STRICT,
    Pin,
    Seen,
    entry_of_pin,
    held_of,
    is_pending,
    pin_id,
    seen_of,
)
from mcpward.tools.registry import Registry
from mcpward.tools.tool_source import ToolSource

_log: Final = structlog.get_logger("mcpward")
_MOST: Final = 20
"""Lines for one server at a start."""


class PinChange(Struct, frozen=True):
    """A difference since the last start: ``new``, ``changed`` or ``removed``."""

    how: str
    pin: Pin
    lines: tuple[str, ...] = ()


class PendingPin(Struct, frozen=True):
    """Something that waits for an approval. ``lines`` tell what differs from what was approved."""

    id: str
    kind: str
    name: str
    digest: str
    is_new: bool
    lines: tuple[str, ...]


async def pin_offers(site: Site, settings: Settings, sources: Mapping[str, Registry], clock: Clock) -> None:
    """Note what the servers offer now, log what changed since the last start, and hold back what is not approved.

    Several processes may do so at once: the first of them notes and logs the changes. If the store takes no write, as
    on a full disk, nothing is noted, and what was approved before decides.
    """
    for name, source in sources.items():
        pin = settings.servers[name].pin
        pins = {one.id: one for one in await site.store.pins.list(name)}
        seen = seen_of(source)
        if _differs(pins, seen, pin):
            try:
                pins = await _noted(site, source, pin, clock)
            except Exception as error:  # noqa: BLE001  whatever the store raises: a pinned server stays closed
                _log.warning(f"server {name}: its offers cannot be noted ({type(error).__name__})")
        held = held_of(source, pins, pin)
        source.hold(held)
        if held:
            some = ", ".join(sorted(named for _, named in held)[:5])
            hint = f"mcpward approve tools {name}"
            _log.warning(f"server {name}: {len(held)} not approved and held back: {some}", hint=hint)


def _differs(pins: Mapping[str, Pin], seen: Mapping[str, Seen], pin: bool | str) -> bool:
    if pins.keys() != seen.keys():
        return True
    return any(
        pins[known].seen != one.digest or (not pin and pins[known].approved != one.digest)
        for known, one in seen.items()
    )


async def _noted(site: Site, source: Registry, pin: bool | str, clock: Clock) -> dict[str, Pin]:
    """Note what a server offers in one transaction, and log what changed since the last start."""
    server, now = source.server, clock.now()
    async with site.store.pins.changing(server) as transaction:
        is_first = not transaction.pins
        changes = await _apply(transaction, source, pin, now, is_first=is_first)
        pins = dict(transaction.pins)
    if is_first:
        if pin:
            _tell_first(server, pin, len(seen_of(source)) - 1)
    else:
        _tell(server, changes)
    return pins


async def _apply(
    transaction: PinTransaction, source: ToolSource, pin: bool | str, now: float, *, is_first: bool
) -> list[PinChange]:
    changes, known, seen = [], transaction.pins, seen_of(source)
    for one_id, one in seen.items():
        before = known.get(one_id)
        is_trusted = not pin or (is_first and pin != STRICT)
        after = before or Pin(
            id=one_id, server=source.server, kind=one.kind, name=one.name, seen=one.digest, seen_entry=one.entry
        )
        if before is None:
            changes.append(PinChange("new", after))
        elif before.seen != one.digest:
            lines = tuple(diff(entry_of_pin(before.seen_entry), entry_of_pin(one.entry)))
            changes.append(PinChange("changed", after, lines))
            after = replace(after, seen=one.digest, seen_entry=one.entry)
        if is_trusted and after.approved != one.digest:
            after = _approved(after, START, now)
        if after != before:
            await transaction.put(after)
    for one_id, gone in known.items():
        if one_id not in seen:
            changes.append(PinChange("removed", gone))
            await transaction.remove(gone)
    return changes


def _approved(pin: Pin, by: str, now: float) -> Pin:
    return replace(pin, approved=pin.seen, approved_entry=pin.seen_entry, approved_by=by, approved_at=now)


def _tell_first(server: str, pin: bool | str, count: int) -> None:
    if pin == STRICT:
        return  # each is held back, which is told
    _log.info(f"server {server}: {count} offers are trusted as they are at this first start, and pinned")


def _tell(server: str, changes: Sequence[PinChange]) -> None:
    for one in changes[:_MOST]:
        said = {"diff": "; ".join(one.lines)} if one.lines else {}
        _log.warning(f"server {server}: {one.pin.called} is {one.how} since the last start", **said)
    if len(changes) > _MOST:
        _log.warning(f"server {server}: {len(changes) - _MOST} more changes since the last start")


async def pending_pins(
    site: Site, server: str, names: Collection[str], pin: bool | str
) -> tuple[list[PendingPin], list[str]]:
    """Return what waits for an approval, and those of ``names`` that the server does not offer. No names are all."""
    pins = await site.store.pins.list(server)
    known = {one.name for one in pins if one.kind != SERVER}
    wanted = [one for one in pins if is_pending(one, pin) and (not names or one.name in names)]
    return [_pending(one) for one in wanted], [name for name in names if name not in known]


def _pending(one: Pin) -> PendingPin:
    is_new = one.approved is None
    before, after = entry_of_pin(one.approved_entry), entry_of_pin(one.seen_entry)
    is_same = one.approved == one.seen
    lines = ["trusted by a start"] if is_same else diff({} if is_new else before, after, is_whole=True)
    return PendingPin(one.id, one.kind, one.name, one.seen, is_new, tuple(lines))


async def approve_pins(site: Site, server: str, pending: Collection[PendingPin], clock: Clock) -> list[PendingPin]:
    """Approve just what was shown: what has changed meanwhile is left. Return what was approved."""
    shown, done = {one.id: one for one in pending}, []
    async with site.store.pins.changing(server) as transaction:
        for one_id, pin in transaction.pins.items():
            if one_id in shown and pin.seen == shown[one_id].digest:
                await transaction.put(_approved(pin, COMMAND, clock.now()))
                done.append(shown[one_id])
    return done


__all__ = ["PendingPin", "approve_pins", "pending_pins", "pin_id", "pin_offers"]
