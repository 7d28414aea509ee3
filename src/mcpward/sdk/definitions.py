"""What an author declared, read and checked, ready for the tools room to serve. Frozen."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.sdk.arguments import Arguments
from mcpward.sdk.guards import Guard
from mcpward.sdk.returns import Returns
from mcpward.sdk.signature import Signature


class ToolDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """One tool. ``rate`` is still the author's text (or a value); ``deadline_s`` None takes the server's default."""

    name: str
    title: str | None
    description: str
    function: Callable[..., Any]
    where: str
    signature: Signature
    arguments: Arguments
    returns: Returns
    access: Access
    annotations: Mapping[str, Any]
    scopes: frozenset[str]
    rate: Rate | str | None
    guards: tuple[Guard, ...]
    deadline_s: float | None
    confirm: bool
    structured: bool | None


class ResourceDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """One resource at a fixed URI, read by calling ``function``."""

    uri: str
    name: str
    title: str | None
    description: str
    mime_type: str | None
    function: Callable[..., Any]
    where: str
    signature: Signature


class PromptDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """One prompt, made by calling ``function`` with the caller's string arguments."""

    name: str
    title: str | None
    description: str
    function: Callable[..., Any]
    where: str
    signature: Signature
    arguments: Arguments
