"""``Server``: collects an author's tools, resources and prompts. Serves nothing itself; mistakes show at import."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, overload

from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.sdk.arguments import Arguments
from mcpward.sdk.definitions import PromptDefinition, ResourceDefinition, ToolDefinition
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards import Guard
from mcpward.sdk.returns import read_returns
from mcpward.sdk.signature import read_signature, where

F = TypeVar("F", bound=Callable[..., Any])
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,2048}", re.ASCII)


class Server:
    """An MCP server as its author writes it.

    ``name`` and ``instructions`` are shown to clients. The decorators work bare (``@server.tool``) and called
    (``@server.tool(read_only=True)``) and give the function back unchanged.
    """

    def __init__(self, name: str, *, version: str = "", instructions: str = "") -> None:
        if not _NAME.fullmatch(name):
            raise AuthoringError("a server's name has 1 to 128 of the characters A-Z a-z 0-9 _ . -")
        self.name = name
        self.version = version
        self.instructions = instructions
        self._tools: dict[str, ToolDefinition] = {}
        self._resources: dict[str, ResourceDefinition] = {}
        self._prompts: dict[str, PromptDefinition] = {}

    @property
    def tools(self) -> tuple[ToolDefinition, ...]:
        """The tools in the order of their definition."""
        return tuple(self._tools.values())

    @property
    def resources(self) -> tuple[ResourceDefinition, ...]:
        """The resources in the order of their definition."""
        return tuple(self._resources.values())

    @property
    def prompts(self) -> tuple[PromptDefinition, ...]:
        """The prompts in the order of their definition."""
        return tuple(self._prompts.values())

    @overload
    def tool(self, name: F, /) -> F: ...
    @overload
    def tool(
        self,
        name: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        read_only: bool = False,
        destructive: bool = False,
        idempotent: bool | None = None,
        open_world: bool | None = None,
        scopes: Sequence[str] = (),
        rate: Rate | str | None = None,
        guards: Sequence[Guard] = (),
        deadline_s: float | None = None,
        confirm: bool = False,
        structured: bool | None = None,
    ) -> Callable[[F], F]: ...
    def tool(
        self,
        name: Any = None,
        *,
        title: str | None = None,
        description: str | None = None,
        read_only: bool = False,
        destructive: bool = False,
        idempotent: bool | None = None,
        open_world: bool | None = None,
        scopes: Sequence[str] = (),
        rate: Rate | str | None = None,
        guards: Sequence[Guard] = (),
        deadline_s: float | None = None,
        confirm: bool = False,
        structured: bool | None = None,
    ) -> Any:
        """Declare a tool. Its schema comes from the annotations, its description from the docstring.

        ``read_only`` tools are counted as reads, ``destructive`` ones as destructive, all others as writes.
        ``rate`` (``"60/minute"``) is this tool's own limit per caller, ``deadline_s`` its time in seconds.
        ``scopes`` are those a caller must have; ``confirm`` is not served yet and refused;
        ``structured=False`` publishes no output schema.

        Raises:
            AuthoringError: the function or an option cannot be served.
        """

        def declare(function: F) -> F:
            own_name = _own_name(name, function, "tool", self._tools)
            what = f"tool {own_name!r}"
            signature = read_signature(function, what)
            place = where(function)
            arguments = Arguments(signature.parameters, what, place)
            _require_sound_options(what, place, read_only, destructive, scopes, deadline_s)
            if confirm:  # accepted and not enforced it would be a promise that nobody keeps
                raise AuthoringError(f"{what}: confirm needs a way to ask a person, which is not served yet", place)
            _require_known(guards, arguments.names, what, place)
            self._tools[own_name] = ToolDefinition(
                name=own_name,
                title=title,
                description=_description(function, description, title, own_name),
                function=function,
                where=place,
                signature=signature,
                arguments=arguments,
                returns=read_returns(signature.returns, structured, what, place),
                access=_access(read_only, destructive),
                annotations=_annotations(title, read_only, destructive, idempotent, open_world),
                scopes=frozenset(scopes),
                rate=rate,
                guards=tuple(guards),
                deadline_s=deadline_s,
                confirm=confirm,
                structured=structured,
            )
            return function

        return _decorate(name, declare)

    def resource(
        self,
        uri: Any,
        *,
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        mime_type: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a resource at a fixed URI. The function gives ``str``, ``bytes`` or something JSON can hold.

        Raises:
            AuthoringError: the URI is not absolute, is a template, is taken, or the function wants arguments.
        """
        if not isinstance(uri, str) or not _URI.fullmatch(uri):
            raise AuthoringError("a resource needs an absolute URI, as in @server.resource('orders://schema')")
        if "{" in uri:
            raise AuthoringError(f"resource {uri!r}: URI templates are not served, only fixed URIs")

        def declare(function: F) -> F:
            what = f"resource {uri!r}"
            if uri in self._resources:
                raise AuthoringError(f"{what} is declared twice", where(function))
            signature = read_signature(function, what)
            if signature.parameters:
                raise AuthoringError(f"{what}: a resource takes no arguments", where(function))
            own_name = name or function.__name__
            self._resources[uri] = ResourceDefinition(
                uri=uri,
                name=own_name,
                title=title,
                description=_description(function, description, title, own_name),
                mime_type=mime_type,
                function=function,
                where=where(function),
                signature=signature,
            )
            return function

        return declare

    @overload
    def prompt(self, name: F, /) -> F: ...
    @overload
    def prompt(
        self, name: str | None = None, *, title: str | None = None, description: str | None = None
    ) -> Callable[[F], F]: ...
    def prompt(self, name: Any = None, *, title: str | None = None, description: str | None = None) -> Any:
        """Declare a prompt. The function gives a text, a ``Message``, or a list of these.

        Its arguments arrive as strings and are read as their annotated types.

        Raises:
            AuthoringError: the function cannot be served.
        """

        def declare(function: F) -> F:
            own_name = _own_name(name, function, "prompt", self._prompts)
            what = f"prompt {own_name!r}"
            signature = read_signature(function, what)
            self._prompts[own_name] = PromptDefinition(
                name=own_name,
                title=title,
                description=_description(function, description, title, own_name),
                function=function,
                where=where(function),
                signature=signature,
                arguments=Arguments(signature.parameters, what, where(function), strict=False),
            )
            return function

        return _decorate(name, declare)


def _decorate(name: Any, declare: Callable[[F], F]) -> Any:
    """Bare use hands us the function, called use a name or nothing."""
    if name is None or isinstance(name, str):
        return declare
    if inspect.isroutine(name):
        return declare(name)  # type: ignore[arg-type]
    raise AuthoringError(f"a name is a text, not {type(name).__name__}")


def _own_name(name: Any, function: Callable[..., Any], kind: str, taken: dict[str, Any]) -> str:
    own_name = name if isinstance(name, str) else getattr(function, "__name__", "?")
    if not _NAME.fullmatch(own_name):
        raise AuthoringError(
            f"{kind} {own_name!r}: a name has 1 to 128 of the characters A-Z a-z 0-9 _ . -", where(function)
        )
    if own_name in taken:
        before = taken[own_name].where
        raise AuthoringError(f"{kind} {own_name!r} is declared twice (before: {before})", where(function))
    return own_name


def _description(function: Callable[..., Any], given: str | None, title: str | None, name: str) -> str:
    return given or inspect.getdoc(function) or title or name.replace("_", " ")


def _access(read_only: bool, destructive: bool) -> Access:
    if destructive:
        return Access.DESTRUCTIVE
    return Access.READ if read_only else Access.WRITE


def _annotations(
    title: str | None, read_only: bool, destructive: bool, idempotent: bool | None, open_world: bool | None
) -> dict[str, Any]:
    """Give the hints of the specification (``ToolAnnotations``); its own defaults are the careful ones."""
    hints: dict[str, Any] = {"readOnlyHint": read_only, "destructiveHint": destructive}
    if title is not None:
        hints["title"] = title
    if idempotent is not None:
        hints["idempotentHint"] = idempotent
    if open_world is not None:
        hints["openWorldHint"] = open_world
    return hints


def _require_sound_options(
    what: str, place: str, read_only: bool, destructive: bool, scopes: Sequence[str], deadline_s: float | None
) -> None:
    if read_only and destructive:
        raise AuthoringError(f"{what}: read_only and destructive exclude each other", place)
    if isinstance(scopes, str):
        raise AuthoringError(f"{what}: scopes is a list, as in scopes=['orders:read']", place)
    if deadline_s is not None and not 0 < deadline_s <= 3600:
        raise AuthoringError(f"{what}: deadline_s is more than 0 and at most 3600 seconds", place)


def _require_known(guards: Sequence[Guard], names: tuple[str, ...], what: str, place: str) -> None:
    """A guard over a parameter that does not exist would check nothing."""
    for guard in guards:
        unknown = [name for name in guard.parameters if name not in names]
        if unknown:
            raise AuthoringError(f"{what}: {type(guard).__name__} names {unknown[0]!r}, which is no parameter", place)
