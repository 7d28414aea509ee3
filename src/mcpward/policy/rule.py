"""The rules, one per function: each says why a principal may not use something, or nothing. They only ever deny."""

from collections.abc import Callable
from typing import Final, Protocol

from mcpward.core.values import Principal, Tool

EVERY_SCOPE: Final = "*"


class Offer(Protocol):
    """An offer of a server besides tools: a resource, a template, a prompt."""

    @property
    def server(self) -> str:
        """The server that offers it."""
        ...

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that a caller must hold, all of them."""
        ...


def server(principal: Principal, offer: Offer | Tool) -> str | None:
    """A principal is of one server: a key of server A opens nothing on server B."""
    return None if principal.server == offer.server else "tool of another server"


def grant(principal: Principal, tool: Tool) -> str | None:
    """A credential that names tools is good only for those."""
    return None if principal.tools is None or tool.name in principal.tools else "tool not granted"


def access(principal: Principal, tool: Tool) -> str | None:
    """A principal cleared for one class is cleared for those below it, and no further."""
    return None if tool.access <= principal.access else "above the cleared access class"


def scope(principal: Principal, offer: Offer | Tool) -> str | None:
    """All scopes of what is asked for must be held; a holder of :data:`EVERY_SCOPE` holds them all.

    Callers of public and unlisted servers hold none, so what asks for a scope is closed to them.
    """
    held = principal.scopes
    return None if not offer.scopes or offer.scopes <= held or EVERY_SCOPE in held else "scope not held"


def caller_values(principal: Principal, tool: Tool) -> str | None:
    """A tool that takes a value from its caller's identity is closed to a caller without it."""
    return None if tool.caller_values is None else tool.caller_values.missing(principal) or None


def tools_only(principal: Principal, _offer: Offer) -> str | None:
    """A credential that names its tools one by one is good for no resource and no prompt."""
    return None if principal.tools is None else "valid only for tools"


RULES: Final[tuple[Callable[[Principal, Tool], str | None], ...]] = (
    server,
    grant,
    access,
    scope,
    caller_values,
)
OFFER_RULES: Final[tuple[Callable[[Principal, Offer], str | None], ...]] = (server, tools_only, scope)
