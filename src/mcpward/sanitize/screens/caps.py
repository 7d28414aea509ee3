"""The largest result that a server or a tool may return: bytes, items of one list, levels of nesting."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from mcpward.core.values import RawResult
from mcpward.core.withheld import withheld
from mcpward.sanitize import json_text

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class ResultCaps(Struct, frozen=True):
    """``items`` are those of any one list, ``depth`` the levels of lists and objects in each other. None is no cap."""

    max_bytes: int | None = None
    items: int | None = None
    depth: int | None = None

    def require(self, raw: RawResult) -> None:
        """Require that a tool's result is within the caps, its copy as text not counted.

        Raises:
            Refusal: output-refused; the advice names the cap.
        """
        if self.items is not None or self.depth is not None:
            if raw.structured is not None:
                self._require_shape(_decode(raw.structured) if isinstance(raw.structured, Raw) else raw.structured)
            for block in raw.content:  # a text may be JSON, whatever is declared
                json_text.changed(str(block.get("text", "")), self._same_shape)

    def require_size(self, size: int) -> None:
        """Require that a result has at most ``max_bytes``. Raises :class:`Refusal` (output-refused)."""
        if self.max_bytes is not None and size > self.max_bytes:
            detail = f"the result has {size} bytes, output.max_bytes is {self.max_bytes}"
            raise withheld(detail, "it is too large: ask for less")

    def _same_shape(self, value: Any) -> Any:
        self._require_shape(value)
        return value

    def _require_shape(self, value: Any) -> None:
        level, depth = [value], 0
        while level := [one for one in level if isinstance(one, dict | list | tuple)]:
            depth += 1
            if self.depth is not None and depth > self.depth:
                raise withheld(
                    f"the result is nested deeper than output.max_depth ({self.depth})",
                    f"it is nested deeper than {self.depth} levels: ask for a part of it",
                )
            below: list[Any] = []
            for one in level:
                if isinstance(one, dict):
                    below += one.values()
                    continue
                if self.items is not None and len(one) > self.items:
                    raise withheld(
                        f"a list in the result has {len(one)} items, output.max_items is {self.items}",
                        f"it has a list of {len(one)} items, and at most {self.items} are allowed: ask for "
                        "fewer, with a filter, a limit or a page",
                    )
                below += one
            level = below
