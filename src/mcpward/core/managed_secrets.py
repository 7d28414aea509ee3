"""The secrets of one server, as an external secret manager keeps them."""

from collections.abc import Mapping

from msgspec import Struct

from mcpward.core.secret import Secret


class ManagedSecrets(Struct, frozen=True):
    """``values`` by name; ``problems`` has the names whose value cannot be used, with the reason.

    ``away`` is the reason for which the manager was not read yet: then no name is known to be absent. ``version`` is
    the manager's own number of the entry, 0 for none.
    """

    values: Mapping[str, Secret] = {}
    problems: Mapping[str, str] = {}
    away: str = ""
    version: int = 0

    def has(self, name: str) -> bool:
        """Return whether the manager keeps a secret of this name."""
        return name in self.values or name in self.problems
