"""Puts the settings of a start or a reload on record, and their differences from those before.

The settings themselves go with it, secrets masked, but those that have their default values, and the digest of each
server's file of tools: a reader of the record can say which settings were in force at any time, and who started the
site with them.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mcpward import __version__
from mcpward.config.model import Settings
from mcpward.config.show import chosen, digest_of
from mcpward.operations.acts import noted
from mcpward.operations.site import Site
from mcpward.storage.traffic_filter import TrafficFilter
from mcpward.traffic.act import Act

_log: Final = logging.getLogger("mcpward")
#: The object of such an act, as its row names it.
OBJECT: Final = "settings"
_LOOK_BACK: Final = 200
_MOST_NAMED: Final = 20
#: Of the settings in one act: a site of hundreds of servers has more.
_MOST_CHARACTERS: Final = 64 * 1024


async def note_settings(site: Site, settings: Settings, verb: str = "started") -> None:
    """Put the settings that are in force from now on on record; the site's operator and command go with it.

    On a full disk nothing is written, and the log says so: a start must not depend on room that a call would not get.
    """
    now, digest = chosen(settings), digest_of(settings)
    last = await _last(site) or {}
    before = last.get("settings")
    changed = _changed(before, now) if isinstance(before, dict) else {}
    sources, told = await asyncio.to_thread(source_digests, settings), last.get("sources")
    edited = _edited(told if isinstance(told, dict) else {}, sources)
    state: dict[str, Any] = {"version": __version__, "digest": digest, "settings": now, "sources": sources}
    if len(json.dumps(now)) > _MOST_CHARACTERS:
        state["settings"] = None  # the digest still shows whether they are those of another start
    act = Act(
        object=OBJECT,
        before={"digest": last.get("digest"), "changed": changed, "edited": edited} if last else None,
        after=state,
        detail=f"mcpward {__version__} {verb}, settings {digest[:12]}: {_words(last, digest, changed, edited)}",
    )
    if not await noted(site, act):
        _log.error("the disk is full, so the record does not say that the site %s", verb)


async def _last(site: Site) -> Mapping[str, Any] | None:
    """Return the state that was put on record last, None if there is none."""
    wanted = TrafficFilter(acts=True, way="operator", limit=_LOOK_BACK)
    for row in await site.store.traffic.select(wanted):
        try:
            told = json.loads(row["arguments"] or "{}")
        except (ValueError, RecursionError):
            continue
        # A process that writes to the store must not keep the site from starting: rows of another form are skipped.
        if isinstance(told, dict) and told.get("object") == OBJECT and isinstance(told.get("after"), dict):
            return dict(told["after"])
    return None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what differs, as pairs of before and after; None stands for the default."""
    names = dict.fromkeys((*before, *now))
    return {name: [before.get(name), now.get(name)] for name in names if before.get(name) != now.get(name)}


def differences(
    before: Settings, sources_before: Mapping[str, str], now: Settings, sources: Mapping[str, str]
) -> list[str]:
    """Return a line for each setting and each file of tools that is not as it was; secrets are masked."""
    changed = _changed(chosen(before), chosen(now))
    lines = [f"{name}: {_word(old)} → {_word(new)}" for name, (old, new) in changed.items()]
    return lines + [f"the tools of {name} were edited" for name in _edited(sources_before, sources)]


def _edited(before: Mapping[str, Any], now: Mapping[str, str]) -> dict[str, list[Any]]:
    return {name: [old, now.get(name)] for name, old in before.items() if old != now.get(name)}


def source_digests(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of each server's file of tools; files that these import are not covered."""
    found = {}
    for name, server in settings.servers.items():
        file = Path(str(server.source))
        with suppress(OSError):
            if file.is_file():
                found[name] = sha256(file.read_bytes()).hexdigest()
    return found


def _words(
    last: Mapping[str, Any], digest: str, changed: Mapping[str, list[Any]], edited: Mapping[str, list[Any]]
) -> str:
    if not last:
        return "the first on record"
    tools = "".join(f"; the tools of {name} were edited" for name in edited)
    if last.get("digest") == digest:
        return f"as before{tools}"
    said = [f"{name}: {_word(old)} → {_word(new)}" for name, (old, new) in [*changed.items()][:_MOST_NAMED]]
    said += [f"{len(changed) - _MOST_NAMED} more"] if len(changed) > _MOST_NAMED else []
    return (", ".join(said) or "the defaults of another release") + tools


def _word(value: Any) -> str:
    return "default" if value is None else value if isinstance(value, str) else json.dumps(value)
