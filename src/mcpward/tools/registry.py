"""The tools, resources and prompts of a server that is written in Python, ready to be served, in its author's order."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any, Final, ParamSpec, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from mcpward.config.limits import ToolSettings
from mcpward.config.output import ServerOutput
from mcpward.config.rate import parse_rate
from mcpward.core.change import Change, Topic
from mcpward.core.effort import Effort
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.values import Call, Rate, Tool, UnknownArguments
from mcpward.core.work import loaded
from mcpward.sdk.database.constants import CONSTANTS
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.guards.author_guards import value_guards
from mcpward.sdk.guards.parameter_guard import Guard
from mcpward.sdk.owned import Owned
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.returns import Returns
from mcpward.sdk.server import Server
from mcpward.sdk.signature import unwrapped_code
from mcpward.tools.bound_arguments import FilledArguments, bound_arguments
from mcpward.tools.completion import Completion, Completions, Offer
from mcpward.tools.configured_guards import configured
from mcpward.tools.entry import entry_of
from mcpward.tools.guarding import checker, guarded, inquirer
from mcpward.tools.overrides import NOTHING, asked_of, draws_of, origin_of, published_returns, unknown_tools
from mcpward.tools.owned_rows import owned_rows
from mcpward.tools.pool_names import PoolNames
from mcpward.tools.prompt import Prompt, bind_prompt
from mcpward.tools.published_guards import with_guards
from mcpward.tools.resource import Resource, ResourceTemplate, bind_resource, find_declared, published, spelt
from mcpward.tools.result import shape
from mcpward.tools.run_context import runner_of
from mcpward.tools.taint import may_harm
from mcpward.tools.tool_source import Introduction, Published
from mcpward.tools.unbounded_arguments import unbounded_findings, unbounded_of

_DATABASE: Final = "mcpward.sdk.database.database"
_Bind = Callable[[bytes], dict[str, Any]]
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Defaults(Struct, frozen=True):
    """The defaults for an author's omissions, times in seconds; and the operator's settings of single ``tools``.

    ``output`` says what must never leave in results, ``bounds`` what happens to arguments without a bound.
    ``is_taint_on`` if a person must agree to what can do harm while a conversation has read what strangers wrote.
    """

    deadline_s: float = 30.0
    unknown_arguments: str = UnknownArguments.DROP_CLIENT.value
    tools: Mapping[str, ToolSettings] = {}
    output: ServerOutput = ServerOutput()
    bounds: str = "off"
    is_taint_on: bool = False


class _Listings(Struct, frozen=True, kw_only=True, eq=False):
    """The items that are on while ``off`` is switched off."""

    off: frozenset[tuple[Topic, str]]
    tools: Mapping[str, Tool]
    prompts: Mapping[str, Prompt]
    resources: Mapping[str, Resource]
    templates: Mapping[str, ResourceTemplate]


class Registry:
    """Implements :class:`~mcpward.tools.tool_source.ToolSource` for Python functions. ``author`` is their server.

    The declarations do not change while they are served. The switches may, from any thread: ``tools``, ``resources``,
    ``templates`` and ``prompts`` are the items that are on now.
    """

    def __init__(self, server_name: str, server: Server, defaults: Defaults = Defaults()) -> None:  # noqa: B008  frozen
        if _DATABASE in sys.modules:  # only for its users: before the first call, not during it
            CONSTANTS.collect({Path(code.co_filename).parent for code in _codes(server)})
        deadline_s = defaults.deadline_s
        names = [definition.name for definition in server.tools]
        findings = unknown_tools(server_name, defaults.tools, names)
        self._pools = PoolNames(server.tools, findings)
        self._declared_tools = [
            _tool(server_name, definition, defaults, self._pools.of(definition), findings)
            for definition in server.tools
        ]
        if findings:
            raise Misconfigured(findings)
        self.server = server_name
        self.author = server
        self.introduction = Introduction(
            name=server.name,
            version=server.version,
            title=server.title,
            instructions=server.instructions,
            website_url=server.website_url,
            icons=tuple(icon.block() for icon in server.icons),
            extensions=server.extensions,
        )
        self._places = {definition.name: definition.where for definition in server.tools}
        self._declared_prompts = [bind_prompt(server_name, definition, deadline_s) for definition in server.prompts]
        offers = [bind_resource(server_name, definition, deadline_s) for definition in server.resources]
        self._fixed = {offer.uri: offer for offer in offers if isinstance(offer, Resource)}
        self._spelt = spelt(self._fixed)
        self._declared_templates = [offer for offer in offers if isinstance(offer, ResourceTemplate)]
        self._completions = Completions((*server.prompts, *server.resources), server.completions, deadline_s)
        self._held: frozenset[tuple[Topic, str]] = frozenset()
        self._current = self._sorted(server.off)

    # ---- what is there at all, on or off: what a server announces -------------------------------------------------

    @property
    def has_tools(self) -> bool:
        """Whether tools are declared."""
        return bool(self._declared_tools)

    @property
    def published(self) -> Published:
        """All list entries, on or off."""
        return Published(
            tools=tuple(tool.listing for tool in self._declared_tools),
            prompts=tuple(prompt.listing for prompt in self._declared_prompts),
            resources=tuple(resource.listing for resource in self._fixed.values()),
            templates=tuple(template.listing for template in self._declared_templates),
        )

    @property
    def declared(self) -> tuple[Tool, ...]:
        """The tools, on or off, in the author's order."""
        return tuple(self._declared_tools)

    @property
    def pools(self) -> Mapping[str, int]:
        """The pools that databases of this server stand for, each with the size that its author gave it."""
        return self._pools.sizes

    @property
    def unnamed_pools(self) -> frozenset[str]:
        """Those among :attr:`pools` whose database has no name of its author's."""
        return self._pools.unnamed

    @property
    def has_resources(self) -> bool:
        """Whether resources or templates are declared."""
        return bool(self._fixed or self._declared_templates)

    @property
    def has_prompts(self) -> bool:
        """Whether prompts are declared."""
        return bool(self._declared_prompts)

    @property
    def has_completions(self) -> bool:
        """Whether any argument completes."""
        return self._completions.any

    @property
    def has_tasks(self) -> bool:
        """Whether a tool may run as a task."""
        return any(tool.task is not None for tool in self._declared_tools)

    # ---- what is on now -------------------------------------------------------------------------------------------

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools, in the author's order."""
        return tuple(self._on().tools.values())

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts, in the author's order."""
        return tuple(self._on().prompts.values())

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The resources at fixed URIs, in the author's order."""
        return tuple(self._on().resources.values())

    @property
    def templates(self) -> tuple[ResourceTemplate, ...]:
        """The resource templates, in the author's order."""
        return tuple(self._on().templates.values())

    def find(self, name: str) -> Tool | None:
        """Return the tool of that exact name, or None."""
        current = self._current
        if current.off is not self.author.off:
            current = self._on()
        return current.tools.get(name)

    def find_prompt(self, name: str) -> Prompt | None:
        """Return the prompt of that exact name, or None."""
        return self._on().prompts.get(name)

    def find_resource(self, uri: str) -> Resource | None:
        """Return the item at a URI: the resource at exactly that URI, else by the first template that matches.

        The first declaration decides: if it is switched off, there is nothing, and no wider template steps in.
        """
        found = find_declared(uri, self._fixed, self._spelt, self._declared_templates)
        if found is None:
            return None
        item = Topic.RESOURCES, found[0]
        if item in self.author.off or item in self._held:
            return None
        return found[1]

    def complete(self, call: Call) -> Completion | None:
        """Return the completion that a ``completion/complete`` asks for; None if it is of no known item."""
        ref, argument = call.params["ref"], call.params["argument"]["name"]
        current = self._on()
        offer: Offer | None
        if ref["type"] == "ref/prompt":
            offer = current.prompts.get(ref["name"])
        else:
            uri = published(ref["uri"])
            offer = current.templates.get(uri) or current.resources.get(uri)
        return self._completions.of(offer, argument) if offer is not None else None

    def where(self, tool: str) -> str:
        """Return the file and line where a tool is written."""
        return self._places.get(tool, "")

    # ---- what changes ---------------------------------------------------------------------------------------------

    def hold(self, held: frozenset[tuple[Topic, str]]) -> None:
        """Hold items back: as if they were switched off, whatever their author says. Listeners are notified."""
        changed = {topic for topic, _ in held ^ self._held}
        if not changed:
            return
        self._held = held
        self._current = self._sorted(self.author.off)
        for topic in changed:
            self.author.tell(topic)

    def is_held(self, name: str) -> bool:
        """Return whether a tool of that exact name is held back."""
        return (Topic.TOOLS, name) in self._held

    def watch(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` for each switch and update, in the thread that makes it."""
        self.author.watch(listener)

    def watch_switches(self, turned: Callable[[Topic, str, bool], None]) -> None:
        """Call ``turned`` with the list, the name and the position of each switch, in the thread that makes it."""
        self.author.watch_switches(turned)

    def adopt(self, topic: Topic, name: str, *, on: bool) -> None:
        """Switch what another worker has switched. Listeners are not called."""
        self.author.adopt(topic, name, on=on)

    def _on(self) -> _Listings:
        """Look whether anything was switched since: one comparison if nothing was."""
        current, off = self._current, self.author.off
        if current.off is not off:
            current = self._current = self._sorted(off)
        return current

    def _sorted(self, off: frozenset[tuple[Topic, str]]) -> _Listings:
        out = off | self._held
        return _Listings(
            off=off,
            tools={tool.name: tool for tool in self._declared_tools if (Topic.TOOLS, tool.name) not in out},
            prompts={one.name: one for one in self._declared_prompts if (Topic.PROMPTS, one.name) not in out},
            resources={uri: one for uri, one in self._fixed.items() if (Topic.RESOURCES, uri) not in out},
            templates={one.uri: one for one in self._declared_templates if (Topic.RESOURCES, one.uri) not in out},
        )


def _codes(server: Server) -> Iterator[CodeType]:
    """The code of the author's functions, as far as it is Python's."""
    functions = [one.function for one in server.tools]
    functions += [one.function for one in server.resources] + [one.function for one in server.prompts]
    for function in functions:
        code = unwrapped_code(function)
        if code is not None:
            yield code


def _tool(
    server_name: str, definition: ToolDefinition, defaults: Defaults, pools: tuple[str, ...], findings: list[Finding]
) -> Tool:
    added = defaults.tools.get(definition.name, NOTHING)
    returns = published_returns(server_name, definition, defaults.output, added, findings)
    guards = (*definition.guards, *configured(server_name, definition, added.guards, findings))
    bound = bound_arguments(server_name, definition, added, findings)
    listing = _listing(definition, bound, returns, guards)
    unbounded = unbounded_of(bound.arguments, listing["inputSchema"])
    if unbounded and defaults.bounds == "strict":
        findings += unbounded_findings(server_name, definition, unbounded)
    elif unbounded and defaults.bounds == "defaults":
        bound = replace(bound, arguments=bound.arguments.with_default_bounds())
        listing = _listing(definition, bound, returns, guards)
    owners = tuple(guard.path for guard in definition.guards if isinstance(guard, Owned))
    filled = bound.caller_values(checker(guards), owners)
    if filled is not None:
        filled = replace(
            filled, fill=_as_server(server_name, filled.fill), missing=_as_server(server_name, filled.missing)
        )
    return Tool(
        server=server_name,
        name=definition.name,
        access=definition.access,
        listing=listing,
        bind=_binder(server_name, guards, bound, bound.arguments.bind),
        inquire=inquirer(guards),
        run=runner_of(definition),
        shape=partial(shape, returns, structured=definition.structured is not False, where=definition.where),
        scopes=definition.scopes,
        rate=added.rate or _rate(definition, findings),
        deadline_s=definition.deadline_s if definition.deadline_s is not None else defaults.deadline_s,
        **asked_of(server_name, definition, added, findings),
        parameter_of=definition.arguments.parameter_of(),
        structured=returns.schema is not None,
        mirrored=bound.arguments.headers,
        task=definition.task,
        ask_first=definition.ask_first,
        concurrency=added.concurrency or definition.concurrency,
        pools=tuple(dict.fromkeys((*pools, *added.pools))),
        draws=draws_of(definition.draws, added),
        unknown_arguments=UnknownArguments(
            added.unknown_arguments or definition.unknown_arguments or defaults.unknown_arguments
        ),
        untrusted=origin_of(definition.untrusted, added),
        asks_tainted=defaults.is_taint_on and may_harm(definition),
        suspects=bound.arguments.suspects,
        effort=_effort(server_name, guards, bound),
        caller_values=filled,
        unbounded=unbounded,
        owned=owned_rows(definition, returns),
        guards=(*map(repr, guards), *value_guards(definition.signature)),
    )


def _listing(
    definition: ToolDefinition, bound: FilledArguments, returns: Returns, guards: Sequence[Guard]
) -> dict[str, Any]:
    entry = entry_of(
        definition,
        inputSchema=bound.arguments.schema(),
        outputSchema=returns.schema,
        annotations=definition.annotations,
    )
    written = bound.arguments.written() if isinstance(bound.arguments, Arguments) else {}
    return with_guards(entry, guards, written=written)


def _effort(server_name: str, guards: Sequence[Guard], bound: FilledArguments) -> Effort | None:
    effort = bound.arguments.effort
    if effort is None:
        return None
    return replace(effort, bind=_binder(server_name, guards, bound, effort.bind))


def _binder(server_name: str, guards: Sequence[Guard], bound: FilledArguments, bind: _Bind) -> _Bind:
    if bound.filled:  # guards see the filled arguments too, so that they wait for them
        return _as_server(server_name, bound.refusing(bind))
    return _as_server(server_name, guarded(guards, bind))


def _as_server(server_name: str, bind: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let an author's validators and guards, which run before the call does, have the secrets of their server."""

    def bind_as_server(*given: _P.args, **named: _P.kwargs) -> _R:
        before = loaded.set(server_name)
        try:
            return bind(*given, **named)
        finally:
            loaded.reset(before)

    return bind_as_server


def _rate(definition: ToolDefinition, findings: list[Finding]) -> Rate | None:
    if definition.rate is None or isinstance(definition.rate, Rate):
        return definition.rate
    try:
        return parse_rate(definition.rate)
    except ValueError as error:
        what = f"tool {definition.name!r}: its rate cannot be read"
        findings.append(Finding(what=what, where=definition.where, hint=str(error)))
        return None
