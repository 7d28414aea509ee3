"""The rules, one per function: each says why a principal may not use a tool, or nothing. They only ever deny."""

from collections.abc import Callable
from typing import Final

from mcpward.core.values import Principal, Tool

EVERY_SCOPE: Final = "*"
Rule = Callable[[Principal, Tool], str | None]


def server(principal: Principal, tool: Tool) -> str | None:
    """A principal is of one server: a key of server A opens nothing on server B."""
    return None if principal.server == tool.server else "tool of another server"


def grant(principal: Principal, tool: Tool) -> str | None:
    """A credential that names tools is good for those alone."""
    return None if principal.tools is None or tool.name in principal.tools else "tool not granted"


def access(principal: Principal, tool: Tool) -> str | None:
    """A principal cleared for one class is cleared for those below it, and no further."""
    return None if tool.access <= principal.access else "above the cleared access class"


def scope(principal: Principal, tool: Tool) -> str | None:
    """All scopes of the tool must be held; who holds :data:`EVERY_SCOPE` holds them all.

    Callers of public and unlisted servers hold none, so a tool that asks for a scope is closed to them.
    """
    held = principal.scopes
    return None if not tool.scopes or tool.scopes <= held or EVERY_SCOPE in held else "scope not held"


RULES: Final[tuple[Rule, ...]] = (server, grant, access, scope)
