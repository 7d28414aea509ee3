"""A client's declared capabilities (``ClientCapabilities``): reduced to fit into a session's token."""

import re
from collections.abc import Mapping
from typing import Any, Final

from mcpward.protocol.versions import TASKS

NEEDS_TASKS: Final[Mapping[str, Any]] = {"extensions": {TASKS: {}}}
"""The capability that everything about tasks requires of a client (SEP-2663), as a ClientCapabilities object."""

_KINDS: Final = {"elicitation": ("form", "url"), "sampling": ("context", "tools"), "roots": ()}
_MOST: Final = 8
_TOGETHER: Final = 160
#: The characters of a ``_meta`` key (2025-11-25, basic page): nothing that JSON would have to escape.
_NAME: Final = re.compile(r"[A-Za-z0-9._/-]{1,64}")


def reduced(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be asked of the client, and the names of its extensions as far as there is room for them.

    Everything else is left out, so that the token that carries it stays short whatever a client declares.
    """
    kept: dict[str, Any] = {}
    for kind, parts in _KINDS.items():
        said = declared.get(kind)
        if type(said) is dict:
            kept[kind] = {part: {} for part in parts if type(said.get(part)) is dict}
    if names := _extensions(declared.get("extensions")):
        kept["extensions"] = {name: {} for name in names}
    return kept


def _extensions(said: object) -> list[str]:
    if type(said) is not dict:
        return []
    names: list[str] = []
    room = _TOGETHER
    for name, settings in said.items():
        if type(settings) is dict and len(names) < _MOST and len(name) <= room and _NAME.fullmatch(name):
            names.append(name)
            room -= len(name)
    return names
