"""Acts that are no change of a row: put on record beforehand, some of them unless the disk is full."""

from collections.abc import Sequence
from pathlib import Path

from mcpward.operations.limit_callers import BucketFilter, words_of
from mcpward.operations.operator_call import OperatorCall
from mcpward.operations.site import Site
from mcpward.storage.opening import Older
from mcpward.traffic.act import Act
from mcpward.traffic.sink import NoRoom


async def noted(site: Site, act: Act) -> bool:
    """Put an act on record and return True; on a full disk return False.

    For acts that only carry data away or start the site: these must work on a full disk, because they free space.
    """
    try:
        await site.store.acts.note(act)
    except NoRoom:
        return False
    return True


async def note_backup(site: Site, file: Path) -> bool:
    """Note that the site is backed up to a file; False if that is not on record, for the disk is full."""
    return await noted(site, Act(object="site", detail=f"site backed up to {file}"))


async def note_call(site: Site, call: OperatorCall) -> None:
    """Note that the operator calls a tool in a caller's name; the outcome is in the record of the request.

    Raises:
        NoRoom: the disk is full.
    """
    caller = call.caller
    who = f"the holder of key {caller.key_id}" if caller.key_id is not None else f"operator:{caller.name}"
    detail = f"tool {call.tool} of {call.server} called as {who}"
    act = Act(object=f"tool {call.tool}", server=call.server, key_id=caller.key_id, detail=detail)
    await site.store.acts.note(act)


async def note_limits_reset(site: Site, match: BucketFilter, found: int) -> None:
    """Note that limits were reset, of ``found`` counters.

    Raises:
        NoRoom: the disk is full.
    """
    act = Act(object="limits", server=match.server, detail=f"{found} counters of {words_of(match)} reset")
    await site.store.acts.note(act)


async def note_reload_asked(site: Site, outcome: str, said: Sequence[str], *, is_done: bool) -> None:
    """Note that a reload was asked for, and how it ended.

    Raises:
        NoRoom: the disk is full.
    """
    how = "site reloaded" if is_done else "site not reloaded"
    act = Act(object="site", after={"outcome": outcome}, detail=f"{how}: {'; '.join(said) or 'as before'}")
    await site.store.acts.note(act)


async def note_store_accepted(site: Site, older: Older) -> None:
    """Note that a store was accepted that does not match its mark.

    Raises:
        NoRoom: the disk is full.
    """
    before = {name: mark for name, (_, mark) in older.standings.items()}
    after = {name: store for name, (store, _) in older.standings.items()}
    what = f"another database accepted, {sum(older.foreign.values())} foreign rows dropped: {older.why}"
    await site.store.acts.note(Act(object="store", before=before, after=after, detail=what))
