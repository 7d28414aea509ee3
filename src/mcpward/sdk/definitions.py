"""An author's declarations, read and checked, ready for the tools package to serve. Frozen."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from mcpward.core.scope import Access
from mcpward.core.values import Draw, Rate
from mcpward.sdk.confirmation import Confirm
from mcpward.sdk.guards.parameter_guard import Guard
from mcpward.sdk.icon import Icon
from mcpward.sdk.pools import Pooled
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.author_schema import Written
from mcpward.sdk.schema.caller_value import BoundArgument
from mcpward.sdk.schema.returns import Returns
from mcpward.sdk.signature import Signature
from mcpward.sdk.template import Template


class ToolDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """One tool. ``rate`` is still the author's text (or a value); ``deadline_s`` None takes the server's default.

    ``asked`` says whether a person must agree, and how that person is asked. ``task`` says whether it may
    (``optional``) or must (``required``) run as a task. ``draws`` are what it takes from budgets, ``pools`` those in
    which it holds a slot. ``unknown_arguments`` is what happens to those that it does not declare; None leaves that to
    the server. ``untrusted`` is the origin of its results if strangers write them. ``bound`` are the arguments that the
    caller's identity fills.
    """

    name: str
    title: str | None
    description: str
    function: Callable[..., Any]
    where: str
    signature: Signature
    arguments: Arguments | Written
    returns: Returns
    access: Access
    annotations: Mapping[str, Any]
    scopes: frozenset[str]
    rate: Rate | str | None
    guards: tuple[Guard, ...]
    deadline_s: float | None
    structured: bool | None
    asked: Confirm = Confirm()
    task: str | None = None
    ask_first: bool = False
    draws: tuple[Draw, ...] = ()
    pools: tuple[str | Pooled, ...] = ()
    concurrency: int | None = None
    icons: tuple[Icon, ...] = ()
    meta: Mapping[str, Any] = {}
    unknown_arguments: str | None = None
    untrusted: str | None = None
    bound: tuple[BoundArgument, ...] = ()

    @property
    def confirm(self) -> bool:
        """Whether a person must agree."""
        return self.asked.is_asked

    @property
    def question(self) -> str:
        """The text that a person is asked with; "" leaves the words to mcpward, or to the author's function."""
        return self.asked.question


class ResourceDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """One resource at a fixed URI, or all those of a template, read by calling ``function``.

    ``template`` is None for a fixed URI. ``arguments`` are the template's variables. ``ttl_s`` is for how many seconds
    a client may keep what it read.
    """

    uri: str
    name: str
    title: str | None
    description: str
    mime_type: str | None
    function: Callable[..., Any]
    where: str
    signature: Signature
    arguments: Arguments
    template: Template | None = None
    scopes: frozenset[str] = frozenset()
    icons: tuple[Icon, ...] = ()
    annotations: Mapping[str, Any] = {}
    size: int | None = None
    meta: Mapping[str, Any] = {}
    ttl_s: float = 0
    untrusted: str | None = None


class PromptDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """One prompt, made by calling ``function`` with the caller's string arguments."""

    name: str
    title: str | None
    description: str
    function: Callable[..., Any]
    where: str
    signature: Signature
    arguments: Arguments
    scopes: frozenset[str] = frozenset()
    icons: tuple[Icon, ...] = ()
    meta: Mapping[str, Any] = {}


class CompletionDefinition(Struct, frozen=True, kw_only=True, eq=False):
    """The completion of one ``argument`` of the prompt or template ``of``. ``signature`` has ``value`` and
    ``context``.
    """

    of: PromptDefinition | ResourceDefinition
    argument: str
    function: Callable[..., Any]
    where: str
    signature: Signature
