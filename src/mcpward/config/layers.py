"""The layers of settings, put over each other: every value with its origin, and every relative path with the folder
that it belongs to. Judges nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mcpward.config.key_places import KeyPlaces, Keys, Origin

_PATHS: Final = frozenset(
    {
        ("site", "data"),
        ("site", "tls_cert"),
        ("site", "tls_key"),
        ("store", "mark"),
        ("secrets", "manager", "ca_file"),
    }
)
_TOKEN: Final = ("secrets", "manager", "token")
_FILE: Final = "file:"
_SQLITE: Final = "sqlite:///"
DATA: Final = "<data>"  # in store.url: the data folder of the site


class Layers:
    """The layers, merged: values, and the origin of each one."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[Keys, Origin] = {}
        self.lines: dict[Keys, int] = {}
        self.file = ""

    def put(self, path: Keys, value: Any, origin: Origin, folder: Path) -> None:
        """Put a value over what is there; a relative path belongs to ``folder``."""
        table = self.values
        for at, name in enumerate(path[:-1]):
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                inner = table[name] = {}
                self.origins.pop(path[: at + 1], None)  # the former value is gone, and is no mistake any more
            table = inner
        table[path[-1]] = anchor(path, value, folder)
        self.origins[path] = origin

    def value_at(self, path: Keys) -> Any:
        """Find the value at a path; None if there is none."""
        value: Any = self.values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def where(self, path: Keys) -> str:
        """Return the place of a key, or of the nearest table around it."""
        return self.places().where(path)

    def places(self) -> KeyPlaces:
        """Return the places of all keys, without the values."""
        return KeyPlaces(self.origins, self.lines, self.file)

    def without(self, paths: list[Keys]) -> dict[str, Any]:
        """Return a copy of the values without those at ``paths``."""
        kept = _copy(self.values)
        for path in paths:
            _prune(kept, path)
        return kept


def anchor(path: Keys, value: Any, folder: Path) -> Any:
    """Make a relative path absolute, from the folder of its file."""
    if _is_folders(path) and isinstance(value, list | tuple):
        return [str(folder / _at_home(one)) if isinstance(one, str) and one.strip() else one for one in value]
    if not isinstance(value, str) or not value.strip():
        return value
    is_source = len(path) == 3 and path[0] == "servers" and path[2] == "source"
    if path in _PATHS or (is_source and (value.endswith(".py") or ".py:" in value or "/" in value)):
        return str(folder / _at_home(value))
    if path == _TOKEN and value.startswith(_FILE) and value != _FILE:
        return f"{_FILE}{folder / _at_home(value.removeprefix(_FILE))}"
    if path == ("store", "url") and value.startswith(_SQLITE):
        place = value.removeprefix(_SQLITE)
        return value if not place or place.startswith(("/", DATA)) else f"{_SQLITE}{folder / place}"
    return value


def _is_folders(path: Keys) -> bool:
    return path == ("secrets", "files") or (len(path) == 3 and path[0] == "servers" and path[2] == "secret_files")


def _at_home(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:  # no account of that name has a home
        return Path(value)


def _copy(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, dict) else value for name, value in table.items()}


def _prune(table: dict[str, Any], path: Keys) -> None:
    for name in path[:-1]:
        inner = table.get(name)
        if not isinstance(inner, dict):
            table.pop(name, None)
            return
        table = inner
    table.pop(path[-1], None)
