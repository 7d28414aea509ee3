"""The effective settings, with where each one came from; secrets masked."""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.config.explain import toml_text
from mcpward.config.layers import Origin
from mcpward.config.load import Loaded
from mcpward.config.shape import ANY_NAME, every_key

_DEFAULT: Final = Origin("default", "")
# A database URL may carry a password before the @ or in its query.
_PLACE: Final = re.compile(r"(?P<scheme>[a-z0-9+]+://)(?:.*@)?(?P<rest>[^?@]*)", re.ASCII | re.DOTALL)


class Shown(Struct, frozen=True):
    """One effective setting: its value as JSON has it and as TOML text, and its origin."""

    key: str
    value: Any
    text: str
    origin: Origin


def shown(loaded: Loaded) -> list[Shown]:
    """List every effective setting of a site, servers included."""
    values = loaded.settings.model_dump(mode="json")
    rows: list[Shown] = []
    for key in every_key():
        names = [ANY_NAME] if key.path[0] != "servers" else list(values["servers"])
        for name in names:
            path = tuple(name if part == ANY_NAME else part for part in key.path)
            value = _value_at(values, path)
            if key.is_secret:
                value = masked(str(value))
            dotted = ".".join(path)
            rows.append(Shown(dotted, value, toml_text(value), loaded.origins.get(dotted, _DEFAULT)))
    return sorted(rows, key=lambda row: row.key.split(".")[1] if row.key.startswith("servers.") else "")


def _value_at(tree: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = tree
    for name in path:
        value = value[name]
    return value


def masked(url: str) -> str:
    """Give a database URL without what may be a credential."""
    match = _PLACE.match(url)
    if match is None:
        return "***"
    hidden = "***@" if "@" in url else ""
    return f"{match['scheme']}{hidden}{match['rest']}" + ("?***" if "?" in url else "")
