"""Members that never leave, by their names: at every depth of what an author returns, and in texts that are JSON.

The protocol's own members stay: a pattern ``text`` takes no text out of a content block.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from mcpward.core.name_patterns import NamePatterns
from mcpward.core.values import RawResult
from mcpward.core.withheld import withheld
from mcpward.sanitize import json_text

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_OWN: Final = "io.modelcontextprotocol/"


class DroppedMembers:
    """Takes members out of results and messages."""

    def __init__(self, names: NamePatterns) -> None:
        self._drops = names.match

    def result(self, raw: RawResult) -> RawResult:
        """Return a tool's result without them; the same object if it has none.

        Raises :class:`Refusal` (output-refused) if the rest breaks the published schema.
        """
        structured, content = raw.structured, self.message(raw.content)
        meta = self.value(raw.meta)
        if structured is not None:
            value = _decode(structured) if isinstance(structured, Raw) else structured
            kept = self.value(value)
            if kept is not value:
                if raw.misfit is not None and (problem := raw.misfit(kept)) is not None:
                    raise withheld(f"without dropped members the result breaks its output schema: {problem}")
                structured = Raw(_encode(kept))
        return replace(raw, content=content, structured=structured, meta=meta)

    def message(self, value: Any) -> Any:
        """Return a message of ours, or a resource, a prompt or a list, without them."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.message(item) for item in value]
        if isinstance(value, dict):
            is_log = value.get("method") == "notifications/message"
            return {name: self._member(name, item, is_log) for name, item in value.items()}
        return value

    def value(self, value: Any) -> Any:
        """Return what an author wrote without them, at every depth; the same object if it has none."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            items = [self.value(item) for item in value]
            return items if any(map(_differs, items, value)) else value
        if isinstance(value, Mapping):
            members = {name: self.value(item) for name, item in value.items() if not self._drops(name)}
            return (
                members if len(members) < len(value) or any(map(_differs, members.values(), value.values())) else value
            )
        return value

    def _member(self, name: str, item: Any, is_log: bool) -> Any:
        if is_log and name == "params" and isinstance(item, dict):
            return {own: self.value(part) if own == "data" else part for own, part in item.items()}
        if name == "_meta" and isinstance(item, dict):
            own = {key: part for key, part in item.items() if key.startswith(_OWN)}
            return own | self.value({key: part for key, part in item.items() if key not in own})
        return self.message(item)

    def _text(self, text: str) -> str:
        return json_text.changed(text, self.value)


def _differs(one: Any, other: Any) -> bool:
    return one is not other
