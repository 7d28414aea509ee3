"""The origin of each setting: the file and line, the variable or the flag. An error that names it is half mended."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.config.lines import line_of
from mcpward.core.errors import Finding

Keys = tuple[str, ...]


class Origin(Struct, frozen=True):
    """The origin of a value: ``layer`` is file, env or flag; ``where`` is file:line, a variable or a flag's key."""

    layer: str
    where: str


class KeyPlaces(Struct, frozen=True):
    """The origins of all values that are no default, and the lines of all keys and tables of ``file``."""

    origins: Mapping[Keys, Origin] = {}
    lines: Mapping[Keys, int] = {}
    file: str = ""

    def where(self, path: Keys) -> str:
        """Return the place of a key, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return origin.where
        for known, origin in self.origins.items():
            if known[: len(path)] == path and origin.layer != "file":
                return origin.where
        number = line_of(self.lines, path)
        return f"{self.file}:{number}" if number else self.file

    def of(self, dotted: str) -> str:
        """Return the place of a dotted key; the key itself if it is in no file. A name in it may hold dots."""
        known = (path for path in (*self.origins, *self.lines) if ".".join(path) == dotted)
        return self.where(next(known, tuple(dotted.split(".")))) or dotted

    def placed(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings; those that stand at the key of a setting name the place that set it."""
        return [replace(one, where=self.of(one.where)) if _is_key(one.where) else one for one in findings]


def _is_key(where: str) -> bool:
    """Distinguish a key from ``tools.py:7``."""
    return where.partition(".")[0] in _SECTIONS and "." in where and ":" not in where


#: The tables of the file; a test compares them with the model.
_SECTIONS: Final = frozenset(
    {"site", "store", "keys", "http", "limits", "traffic", "output", "log", "secrets", "egress", "approvals"}
    | {"budgets", "pools", "issuers", "servers"}
)
