"""A secret cut in two and sent as two content blocks (attack 85): no block holds it, the model that reads both does."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mcpward.sanitize.screens.invisible import bare, strip

_REPLACEMENT: Final = "\ufffd"


def spoken(content: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the texts of all blocks as a model may read them: one after the other, then again line by line."""
    texts = [bare(strip(_text(block))).replace(_REPLACEMENT, "") for block in content]
    return "\0".join(("".join(texts), "\n".join(texts))).encode("utf-8", "replace")


def _text(block: Mapping[str, Any]) -> str:
    text = block.get("text")
    if text is None:
        text = (block.get("resource") or {}).get("text", "")
    return text if isinstance(text, str) else ""
