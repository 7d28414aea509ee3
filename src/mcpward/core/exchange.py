"""A token for an upstream, of the caller's own right (RFC 8693): the request, the result, and the reasons for failure.

identity obtains it, tools pass it to an author's function; they meet here.
"""

from enum import StrEnum
from typing import NoReturn, Protocol

from mcpward.core.secret import Secret
from mcpward.core.values import Call


class Token(Secret):
    """An access token for an upstream: a secret like any other, with an end.

    ``expires_at`` is in seconds since 1970, None if the provider did not state it. ``scopes`` are the granted ones,
    which may be fewer than were requested.
    """

    __slots__ = ("expires_at", "scopes")

    def __init__(self, value: str, *, expires_at: float | None, scopes: frozenset[str]) -> None:
        super().__init__(value, "exchanged token")
        self.expires_at = expires_at
        self.scopes = scopes

    def __repr__(self) -> str:
        return "Token(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token cannot be pickled")


class NoToken(StrEnum):
    """Why there is no token: a closed list of public words."""

    NOTHING_TO_EXCHANGE = "nothing-to-exchange"
    """The caller came without an access token: with a key, or with nothing."""
    IN_TASK = "in-task"
    """The call runs as a task: the caller's token was left behind when it began."""
    NOT_SET_UP = "not-set-up"
    """mcpward is no client at this provider, or not one that may exchange tokens."""
    REFUSED = "refused"
    """The provider grants this caller no token for that."""
    UNAVAILABLE = "unavailable"
    """The provider does not answer, or not as it should."""


class ExchangeFailed(Exception):
    """There is no token. ``error`` is the provider's code if it is one of OAuth's own; ``detail`` is for the log."""

    def __init__(self, why: NoToken, detail: str = "", error: str = "") -> None:
        super().__init__(why.value)
        self.why = why
        self.detail = detail
        self.error = error


class Exchange(Protocol):
    """A port between the tools package, which asks, and identity, which implements it."""

    async def exchange(self, call: Call, audience: str, scopes: frozenset[str]) -> Token:
        """Return a token for ``audience`` that acts for the caller of ``call``.

        Raises:
            ExchangeFailed: there is none.
            ValueError: the audience or a scope is not one that could be asked for.
        """
        ...
