"""The secret that ``env`` returns: one for each name of a server, with the value that holds now."""

from typing import Final

from mcpward.core.secret import Secret, value_of
from mcpward.sdk.errors import MissingSecret, SecretUnreadable

_WITHDRAWN_HINT: Final = "see the line of the log about it"


class LiveSecret(Secret):
    """Changes its value in place. Once it is removed it has none: an empty text would be taken for a credential."""

    __slots__ = ()

    def reveal(self) -> str:
        """Return the value that holds now.

        Raises:
            HttpOnly: as :meth:`Secret.reveal`.
            MissingSecret: it was removed while the server runs, or cannot be read any more.
        """
        if not self._held.value:
            if self._held.problem:
                raise SecretUnreadable(self.name, self._held.problem, _WITHDRAWN_HINT)
            raise MissingSecret(self.name)
        return super().reveal()

    def template(self, text: str) -> Secret:
        """Return a secret with the value in the place of ``{}``, which follows and ends with this one."""
        made = super().template(text)
        made.__class__ = LiveSecret
        return made

    def holds(self, value: str, bound: Secret) -> bool:
        """Return whether nothing has changed: neither the value nor its binding to hosts."""
        binding = (self.hosts, self.header, self.is_http_only)
        return value_of(self) == value and binding == (bound.hosts, bound.header, bound.is_http_only)

    def renew(self, value: str, bound: Secret) -> None:
        """Replace the value, and its binding by that of ``bound``."""
        self._held.problem = ""
        self._renew(value, hosts=bound.hosts, header=bound.header, is_http_only=bound.is_http_only)

    def remove(self, problem: str = "") -> None:
        """Take the value away. ``problem`` says why it cannot be read, if it is not removed for good."""
        self._held.problem = problem
        self._renew("")
