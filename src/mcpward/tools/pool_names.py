"""The pools in which the tools of one server hold slots: what their authors called them, and how large those are."""

from collections.abc import Sequence
from typing import Final

from mcpward.core.errors import Finding
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.pools import Pooled

#: The name of a database whose author gave it none; the second one is ``database-2``, in the order of the tools.
UNNAMED: Final = "database"


class PoolNames:
    """Assigns each database its name as a pool, and each such pool its size.

    ``unnamed`` are the names that no author chose.
    """

    def __init__(self, definitions: Sequence[ToolDefinition], findings: list[Finding]) -> None:
        self._names: dict[int, str] = {}
        self.sizes: dict[str, int] = {}
        pooled = [(pool, one) for one in definitions for pool in one.pools if not isinstance(pool, str)]
        for pool, definition in pooled:
            if pool.name is not None:
                self._add(pool, pool.name, definition, findings)
        taken = {pool for one in definitions for pool in one.pools if isinstance(pool, str)} | set(self.sizes)
        named = set(self.sizes)
        for pool, definition in pooled:
            if id(pool) not in self._names:
                self._add(pool, _free(taken), definition, findings)
        self.unnamed = frozenset(self.sizes) - named

    def of(self, definition: ToolDefinition) -> tuple[str, ...]:
        """Return the names of a tool's pools, each once."""
        names = (pool if isinstance(pool, str) else self._names[id(pool)] for pool in definition.pools)
        return tuple(dict.fromkeys(names))

    def _add(self, pool: Pooled, name: str, definition: ToolDefinition, findings: list[Finding]) -> None:
        self._names[id(pool)] = name
        size = self.sizes.setdefault(name, pool.max_concurrency)
        if size != pool.max_concurrency:
            what = f"tool {definition.name!r}: two databases are called {name!r}, for {size} and {pool.max_concurrency}"
            hint = "rename one of them, or set the same max_concurrency for both"
            findings.append(Finding(f"{what} statements at once", definition.where, hint))


def _free(taken: set[str]) -> str:
    number, name = 1, UNNAMED
    while name in taken:
        number += 1
        name = f"{UNNAMED}-{number}"
    taken.add(name)
    return name
