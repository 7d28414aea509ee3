"""A client's declared capabilities against the required ones: ClientCapabilities objects, compared member by member."""

from collections.abc import Iterable, Mapping
from typing import Any

_MODES = ("form", "url")


def lacks(declared: Mapping[str, Any], needed: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the part of ``needed`` that was not declared, as a ClientCapabilities object; None if all of it was.

    A member counts as declared when an object stands there. ``{"elicitation": {}}`` declares its form mode (2025-11-25
    and 2026-07-28, ``client/elicitation``). ``declared`` comes from a stranger and may hold anything.
    """
    missing: dict[str, Any] = {}
    for name, wanted in needed.items():
        given = declared.get(name)
        if not isinstance(given, Mapping):
            missing[name] = wanted
            continue
        if name == "elicitation" and not any(mode in given for mode in _MODES):
            given = {"form": {}}
        if (part := lacks(given, wanted)) is not None:
            missing[name] = part
    return missing or None


def together(needed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one ClientCapabilities object that holds all of them."""
    whole: dict[str, Any] = {}
    for one in needed:
        for name, wanted in one.items():
            whole[name] = together([whole.get(name, {}), wanted])
    return whole
