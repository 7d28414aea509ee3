"""The effective settings, with the origin of each one; secrets masked."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from mcpward.config.explain import toml_text
from mcpward.config.key_places import Origin
from mcpward.config.load import Loaded
from mcpward.config.masked import masked
from mcpward.config.model import Settings
from mcpward.config.schema_paths import ANY_NAME, Path, every_key

_DEFAULT: Final = Origin("default", "")


def in_force(settings: Settings) -> dict[str, Any]:
    """Return every effective setting by its dotted key, secrets masked."""
    return _values(settings.model_dump(mode="json"))


def chosen(settings: Settings) -> dict[str, Any]:
    """Return the settings with a value that was set, by their dotted keys, secrets masked."""
    return _values(settings.model_dump(mode="json", exclude_unset=True))


def digest_of(settings: Settings) -> str:
    """Return the SHA-256 of the settings in force, defaults too. A masked value has no part in it but its mask."""
    text = json.dumps(in_force(settings), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode("ascii")).hexdigest()


class Shown(Struct, frozen=True):
    """One effective setting: its value as JSON has it and as TOML text, and its origin."""

    key: str
    value: Any
    text: str
    origin: Origin


def shown(loaded: Loaded) -> list[Shown]:
    """List every effective setting of a site, with those of each server and provider."""
    values = in_force(loaded.settings)
    rows = [Shown(key, value, toml_text(value), _origin(loaded, key)) for key, value in values.items()]
    return sorted(rows, key=lambda row: _owner(row.key))


def _values(dumped: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in every_key():
        for path, value in _found(dumped, key.path):
            values[".".join(path)] = masked(str(value)) if key.is_secret else value
    return values


def _found(value: Any, path: Path, told: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Return every value at a path, one for each name in the place of ``<name>``."""
    if not path:
        yield told, value
        return
    for name in value if path[0] == ANY_NAME else path[:1]:
        if name in value:
            yield from _found(value[name], path[1:], (*told, name))


def _origin(loaded: Loaded, dotted: str) -> Origin:
    """Return the origin of a value; of a table of values, that of the first."""
    within = (origin for key, origin in loaded.origins.items() if key.startswith(f"{dotted}."))
    return loaded.origins.get(dotted) or next(within, _DEFAULT)


def _owner(dotted: str) -> tuple[str, str]:
    """The settings of one server, provider, budget or pool stand together, after those of the site."""
    first, _, rest = dotted.partition(".")
    return (first, rest.partition(".")[0]) if first in {"budgets", "issuers", "pools", "servers"} else ("", "")
