"""The port of external secret managers: one read returns all secrets of one server."""

from typing import Protocol

from mcpward.core.managed_secrets import ManagedSecrets


class SourceFailed(Exception):
    """The manager did not return a server's secrets. The text is our own, without a token or a path, and is logged.

    ``is_away``: it would answer no other server either, so that none is asked in this round.
    """

    def __init__(self, problem: str, *, is_away: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_away = is_away


class SecretSource(Protocol):
    """An external secret manager."""

    async def read(self, server: str) -> ManagedSecrets:
        """Return all secrets of a server; none if the manager has no entry for it.

        Raises:
            SourceFailed: it does not answer, or not with secrets.
        """
        ...
