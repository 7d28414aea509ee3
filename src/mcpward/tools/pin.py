"""The fingerprint of each thing that a server offers, and whether it is approved: a changed one may be held back.

It is taken over the whole list entry as clients see it, so that no field changes unnoticed.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.core.change import Topic
from mcpward.tools.tool_source import ToolSource

COMMAND: Final = "command"
"""``approved_by`` of a pin that the operator approved; :data:`START` for one that a start trusted by itself."""
START: Final = "start"
STRICT: Final = "strict"
SERVER: Final = "server"
"""The kind of a server's own words. Every server has one, so that one without tools was seen all the same."""
_TOPICS: Final = {
    "tool": Topic.TOOLS, "prompt": Topic.PROMPTS, "resource": Topic.RESOURCES, "template": Topic.RESOURCES,
}  # fmt: skip
Item = tuple[Topic, str]


class Pin(Struct, frozen=True, kw_only=True):
    """One thing as it was last ``seen``, and as it was ``approved``: digests, and the entries, compressed."""

    id: str
    server: str
    kind: str
    name: str
    seen: str
    seen_entry: bytes
    approved: str | None = None
    approved_entry: bytes | None = None
    approved_by: str | None = None
    approved_at: float | None = None
    revision: int = 0

    @property
    def called(self) -> str:
        """Its name for people."""
        return "its own words" if self.kind == SERVER else f"{self.kind} {self.name}"

    def is_approved(self, digest: str, pin: bool | str) -> bool:
        """Return whether something with this digest may be offered; with ``pin="strict"`` only a command says so."""
        return self.approved == digest and (pin != STRICT or self.approved_by == COMMAND)


class Seen(Struct, frozen=True):
    """One thing as it is now."""

    kind: str
    name: str
    digest: str
    entry: bytes


def seen_of(source: ToolSource) -> dict[str, Seen]:
    """Return all that a server offers, on or off, by the ids of pins."""
    return {pin_id(source.server, kind, name): _seen(kind, name, entry) for kind, name, entry in _entries(source)}


def pin_id(server: str, kind: str, name: str) -> str:
    """Return the id of the pin of something."""
    return f"{server}/{kind}/{name}"


def held_of(source: ToolSource, pins: Mapping[str, Pin], pin: bool | str) -> frozenset[Item]:
    """Return what is held back: everything that is not approved as it is now, if the server is pinned."""
    if not pin:
        return frozenset()
    return frozenset(
        (_TOPICS[seen.kind], seen.name)
        for known, seen in seen_of(source).items()
        if seen.kind in _TOPICS and not (known in pins and pins[known].is_approved(seen.digest, pin))
    )


def is_pending(one: Pin, pin: bool | str) -> bool:
    """Return whether the operator has yet to approve it as it was last seen."""
    return not one.is_approved(one.seen, pin)


def entry_of_pin(entry: bytes | None) -> Any:
    """Return an entry as it was published; None if there is none."""
    return None if entry is None else json.loads(zlib.decompress(entry))


def _entries(source: ToolSource) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    published, own = source.published, source.introduction
    yield SERVER, "", {"title": own.title, "instructions": own.instructions}
    lists: Iterable[tuple[str, str, Iterable[Mapping[str, Any]]]] = (
        ("tool", "name", published.tools),
        ("prompt", "name", published.prompts),
        ("resource", "uri", published.resources),
        ("template", "uriTemplate", published.templates),
    )
    for kind, name, entries in lists:
        for entry in entries:
            yield kind, str(entry[name]), entry


def _seen(kind: str, name: str, entry: Mapping[str, Any]) -> Seen:
    text = json.dumps(entry, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=dict).encode()
    return Seen(kind, name, hashlib.sha256(text).hexdigest(), zlib.compress(text))
