"""``Server``: collects an author's tools, resources and prompts. Serves nothing itself; mistakes show at import."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, TypeVar, overload

from mcpward.core.change import Change, Topic
from mcpward.core.spelling import nearest
from mcpward.core.uri import canonical
from mcpward.core.values import Rate
from mcpward.sdk import checks
from mcpward.sdk.completion import read_completion
from mcpward.sdk.confirmation import read_confirm
from mcpward.sdk.definitions import CompletionDefinition, PromptDefinition, ResourceDefinition, ToolDefinition
from mcpward.sdk.draws import Budgets, read_draws
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.author_guards import read_guards
from mcpward.sdk.guards.parameter_guard import Guard
from mcpward.sdk.icon import Icon
from mcpward.sdk.labels import read_annotations, read_extensions, read_icons, read_meta, read_website
from mcpward.sdk.lifespan import Hook, Make, read_hook, read_lifespan
from mcpward.sdk.options import options
from mcpward.sdk.owned import require_owned
from mcpward.sdk.pools import Pooled, read_concurrency, read_pools
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.author_schema import Written
from mcpward.sdk.schema.caller_value import read_bound
from mcpward.sdk.schema.returns import Returns, read_returns
from mcpward.sdk.schema.strings import require_strings
from mcpward.sdk.schema.written_returns import read_written_returns
from mcpward.sdk.signature import Signature, read_signature, where
from mcpward.sdk.switches import Listener, Switches, Turned
from mcpward.sdk.template import Template, is_template, read_template, read_uri
from mcpward.sdk.untrusted import read_untrusted

F = TypeVar("F", bound=Callable[..., Any])
Question = Callable[..., str] | Callable[..., Awaitable[str]]
"""A function of the tool's arguments that returns what a person is asked."""


class Server:
    """An MCP server as its author writes it.

    ``name``, ``title``, ``instructions``, ``website_url`` and ``icons`` are shown to clients, ``extensions`` announced
    to them by name. ``lifespan`` is an async context manager that each worker enters before its first call and leaves
    after its last; functions get what it yields by the annotation of a parameter. The decorators work bare
    (``@server.tool``) and called (``@server.tool(read_only=True)``) and give the function back unchanged.
    """

    @options("Server")
    def __init__(
        self,
        name: str,
        *,
        version: str = "",
        title: str = "",
        instructions: str = "",
        website_url: str = "",
        icons: Sequence[Icon] = (),
        extensions: Mapping[str, Mapping[str, Any]] | None = None,
        lifespan: Make | None = None,
    ) -> None:
        checks.require_name(name, "server")
        checks.require_kinds(
            "server",
            "",
            version=(version, str, '"1.0"'),
            title=(title, str, '"Shop"'),
            instructions=(instructions, str, '"Orders of a shop."'),
        )
        self.name = name
        self.version = version
        self.title = title
        self.instructions = instructions
        self.website_url = read_website(website_url)
        self.icons = read_icons(icons, "server")
        self.extensions = read_extensions(extensions)
        self.lifespan = read_lifespan(lifespan, name)
        self._value = None if self.lifespan is None else self.lifespan.value
        self._starts: list[Hook] = []
        self._stops: list[Hook] = []
        self._tools: dict[str, ToolDefinition] = {}
        self._resources: dict[str, ResourceDefinition] = {}
        self._prompts: dict[str, PromptDefinition] = {}
        self._completions: dict[tuple[Topic, str, str], CompletionDefinition] = {}
        self._switches = Switches(name)

    @property
    def tools(self) -> tuple[ToolDefinition, ...]:
        """The tools in the order of their definition."""
        return tuple(self._tools.values())

    @property
    def resources(self) -> tuple[ResourceDefinition, ...]:
        """The resources, templates among them, in the order of their definition."""
        return tuple(self._resources.values())

    @property
    def prompts(self) -> tuple[PromptDefinition, ...]:
        """The prompts in the order of their definition."""
        return tuple(self._prompts.values())

    @property
    def completions(self) -> tuple[CompletionDefinition, ...]:
        """The completions that the author wrote."""
        return tuple(self._completions.values())

    @property
    def starts(self) -> tuple[Hook, ...]:
        """The functions to call at the start, in this order."""
        return tuple(self._starts)

    @property
    def stops(self) -> tuple[Hook, ...]:
        """The functions to call at the end, in this order."""
        return tuple(reversed(self._stops))

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
        budgets: Budgets = (),
        pools: Sequence[str | Pooled] = (),
        concurrency: int | None = None,
        guards: Sequence[Guard | Callable[..., Any]] = (),
        deadline_s: float | None = None,
        confirm: bool | str | Question = False,
        structured: bool | None = None,
        task: Literal["optional", "required"] | None = None,
        ask_first: bool = False,
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        unknown_arguments: Literal["refuse", "drop-client", "drop"] | None = None,
        untrusted: bool | str = False,
        icons: Sequence[Icon] = (),
        meta: Mapping[str, Any] | None = None,
        enabled: bool = True,
    ) -> Callable[[F], F]: ...
    @options("@server.tool")
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
        budgets: Budgets = (),
        pools: Sequence[str | Pooled] = (),
        concurrency: int | None = None,
        guards: Sequence[Guard | Callable[..., Any]] = (),
        deadline_s: float | None = None,
        confirm: bool | str | Question = False,
        structured: bool | None = None,
        task: Literal["optional", "required"] | None = None,
        ask_first: bool = False,
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        unknown_arguments: Literal["refuse", "drop-client", "drop"] | None = None,
        untrusted: bool | str = False,
        icons: Sequence[Icon] = (),
        meta: Mapping[str, Any] | None = None,
        enabled: bool = True,
    ) -> Any:
        """Declare a tool. Its schema comes from the annotations, its description from the docstring.

        ``read_only`` tools are counted as reads, ``destructive`` ones as destructive, all others as writes. ``rate``
        (``"60/minute"``) is this tool's own limit per caller, ``deadline_s`` its time in seconds. ``budgets`` are those
        of the site that a call draws on, ``{"stripe": 2, "openai": "max_tokens"}``: what it costs is a number, an int
        argument, or a function of the arguments. A call holds a slot in each of ``pools`` (a ``Database``, or a name),
        and ``concurrency`` calls of this tool run at once. ``scopes`` are those a caller must have; ``confirm`` asks a
        person first, in the given words (``"Cancel order {order_id}?"``), in those of a function, or in mcpward's.
        ``structured=False`` publishes no output schema. ``task`` lets the call run as a task, or demands it;
        ``ask_first`` has its questions answered before. ``input_schema`` is published instead of the annotations; the
        function then takes ``arguments: dict[str, Any]``. ``output_schema`` replaces the return annotation.
        ``unknown_arguments`` says whether undeclared arguments are refused or dropped. ``untrusted`` marks its results
        as data from strangers, or from ``"mail"``. ``enabled=False`` keeps the tool off until :meth:`enable`.

        Raises:
            AuthoringError: the function or an option cannot be served.
        """

        def declare(function: F) -> F:
            own_name = checks.own_name(name, function, "tool", self._tools)
            what, place = f"tool {own_name!r}", where(function)
            signature = read_signature(function, what, self._value, may_bind=True)
            kinds = _flags(read_only=read_only, destructive=destructive, ask_first=ask_first)
            kinds |= _perhaps(idempotent=idempotent, open_world=open_world)
            kinds |= {"structured": (structured, (bool, NoneType), "False")}
            kinds |= {"rate": (rate, (str, Rate, NoneType), '"60/minute"')}
            kinds |= {"deadline_s": (deadline_s, (int, float, NoneType), "30")}
            checks.require_kinds(what, place, **_shown(title, description, enabled), **kinds)
            guards_read = read_guards(guards, signature, what, place) if input_schema is None else ()
            arguments = _arguments(signature, input_schema, guards, what, place)
            checks.require_sound_run(deadline_s, task, ask_first, what, place)
            self._tools[own_name] = ToolDefinition(
                name=own_name,
                title=title,
                description=checks.description_of(function, description, title, own_name),
                function=function,
                where=place,
                signature=signature,
                arguments=arguments,
                returns=_returns(signature, output_schema, structured, guards_read, what, place),
                access=checks.access_of(read_only, destructive, what, place),
                annotations=checks.hints_of(title, read_only, destructive, idempotent, open_world),
                scopes=checks.read_scopes(scopes, what, place),
                rate=rate,
                draws=read_draws(budgets, arguments, what, place),
                pools=read_pools(pools, what, place),
                concurrency=read_concurrency(concurrency, what, place),
                guards=guards_read,
                deadline_s=deadline_s,
                asked=read_confirm(confirm, arguments.names, self._value, what, place),
                structured=structured,
                task=task,
                ask_first=ask_first,
                icons=read_icons(icons, what, place),
                meta=read_meta(meta, what, place),
                unknown_arguments=checks.read_unknown(unknown_arguments, what, place),
                untrusted=read_untrusted(untrusted, what, place),
                bound=tuple(read_bound(one, what, place) for one in signature.bound),
            )
            self._switches.declare(Topic.TOOLS, own_name, enabled=enabled)
            return function

        return _decorate(name, declare, "tool")

    @options("@server.resource")
    def resource(
        self,
        uri: str,
        *,
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        mime_type: str | None = None,
        scopes: Sequence[str] = (),
        icons: Sequence[Icon] = (),
        annotations: Mapping[str, Any] | None = None,
        size: int | None = None,
        meta: Mapping[str, Any] | None = None,
        ttl_s: float = 0,
        untrusted: bool | str = False,
        enabled: bool = True,
    ) -> Callable[[F], F]:
        """Declare a resource. The function returns ``str``, ``bytes`` or something JSON can hold.

        In a template (``orders://{order_id}/lines``) the variables are the function's parameters: ``{name}`` is one
        segment, ``{name*}`` several. ``scopes`` are those a caller must have; ``size`` is in bytes; ``annotations`` are
        ``audience``, ``priority`` and ``lastModified``; a client may keep what it read for ``ttl_s`` seconds.
        ``untrusted`` marks its text as data from strangers, ``True`` or the origin.

        Fixed text may be written raw or percent-encoded; clients see it encoded.

        Raises:
            AuthoringError: the URI is not absolute or taken, its variables are not the parameters, an option does not
                hold.
        """
        template = read_template(uri) if is_template(checks.require_uri(uri)) else None
        uri = read_uri(uri)

        def declare(function: F) -> F:
            what, place = f"resource {uri!r}", where(function)
            if uri in self._resources:
                problem = f"{what} is declared twice (before: {self._resources[uri].where})"
                raise AuthoringError(problem, place, "change the URI of one of them")
            checks.require_kinds(
                what,
                place,
                **_shown(title, description, enabled),
                name=(name, (str, NoneType), '"orders"'),
                mime_type=(mime_type, (str, NoneType), '"text/plain"'),
            )
            signature = read_signature(function, what, self._value)
            _require_variables(signature, template, what, place)
            own_name = name or function.__name__
            self._resources[uri] = ResourceDefinition(
                uri=uri,
                name=own_name,
                title=title,
                description=checks.description_of(function, description, title, own_name),
                mime_type=mime_type,
                function=function,
                where=place,
                signature=signature,
                arguments=Arguments(signature.parameters, what, place, strict=False),
                template=template,
                scopes=checks.read_scopes(scopes, what, place),
                icons=read_icons(icons, what, place),
                annotations=read_annotations(annotations, what, place),
                size=checks.read_size(size, what, place),
                meta=read_meta(meta, what, place),
                ttl_s=checks.read_ttl(ttl_s, what, place),
                untrusted=read_untrusted(untrusted, what, place),
            )
            self._switches.declare(Topic.RESOURCES, uri, enabled=enabled)
            return function

        return declare

    @overload
    def prompt(self, name: F, /) -> F: ...
    @overload
    def prompt(
        self,
        name: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        scopes: Sequence[str] = (),
        icons: Sequence[Icon] = (),
        meta: Mapping[str, Any] | None = None,
        enabled: bool = True,
    ) -> Callable[[F], F]: ...
    @options("@server.prompt")
    def prompt(
        self,
        name: Any = None,
        *,
        title: str | None = None,
        description: str | None = None,
        scopes: Sequence[str] = (),
        icons: Sequence[Icon] = (),
        meta: Mapping[str, Any] | None = None,
        enabled: bool = True,
    ) -> Any:
        """Declare a prompt. The function returns a text, a ``Message``, or a list of these.

        Its arguments arrive as strings and are read as their annotated types.

        Raises:
            AuthoringError: the function cannot be served.
        """

        def declare(function: F) -> F:
            own_name = checks.own_name(name, function, "prompt", self._prompts)
            what, place = f"prompt {own_name!r}", where(function)
            checks.require_kinds(what, place, **_shown(title, description, enabled))
            signature = read_signature(function, what, self._value)
            require_strings(signature, what, place)
            self._prompts[own_name] = PromptDefinition(
                name=own_name,
                title=title,
                description=checks.description_of(function, description, title, own_name),
                function=function,
                where=place,
                signature=signature,
                arguments=Arguments(signature.parameters, what, place, strict=False),
                scopes=checks.read_scopes(scopes, what, place),
                icons=read_icons(icons, what, place),
                meta=read_meta(meta, what, place),
            )
            self._switches.declare(Topic.PROMPTS, own_name, enabled=enabled)
            return function

        return _decorate(name, declare, "prompt")

    @options("@server.completion")
    def completion(self, *, argument: str, prompt: str | None = None, resource: str | None = None) -> Callable[[F], F]:
        """Declare what completes one argument of a prompt or one variable of a resource template, declared before.

        The function takes ``value: str``, what was typed so far, and perhaps ``context: dict[str, str]``, the other
        arguments; it returns a list of texts, the best first. Arguments of ``Literal``, ``Enum`` and ``bool`` complete
        by themselves.

        Raises:
            AuthoringError: there is no such prompt, template or argument, or the function takes something else.
        """
        topic, name = _one(prompt=prompt, resource=resource)

        def declare(function: F) -> F:
            of: Any = (self._prompts if topic is Topic.PROMPTS else self._resources).get(name)
            if (topic, name, argument) in self._completions:
                problem = f"completion of {argument!r} in {name!r} is declared twice"
                raise AuthoringError(problem, where(function), "keep one of them")
            self._completions[topic, name, argument] = read_completion(of, name, argument, function, self._value)
            return function

        return declare

    @options("@server.on_start")
    def on_start(self, function: F) -> F:
        """Call a function in each worker before its first call, within the lifespan; in the order of declaration.

        It may take what the lifespan yields. Its exception keeps the worker from starting.

        Raises:
            AuthoringError: it takes anything else, or is no function.
        """
        self._starts.append(read_hook(function, "on_start", self.lifespan))
        return function

    @options("@server.on_stop")
    def on_stop(self, function: F) -> F:
        """Call a function in each worker after its last call, before the lifespan ends; the last declared first.

        Its exception is logged, and the others are called all the same.

        Raises:
            AuthoringError: it takes anything but what the lifespan yields, or is no function.
        """
        self._stops.append(read_hook(function, "on_stop", self.lifespan))
        return function

    def enable(self, *, tool: str | None = None, prompt: str | None = None, resource: str | None = None) -> None:
        """Switch on what was declared and is off; listening clients are notified. From any thread.

        Raises:
            AuthoringError: nothing of that name is declared.
        """
        self._turn(*_one(tool=tool, prompt=prompt, resource=resource), on=True)

    def disable(self, *, tool: str | None = None, prompt: str | None = None, resource: str | None = None) -> None:
        """Switch off what was declared: it is not listed and not known until it is enabled. From any thread.

        ``resource`` is a URI, or a template as it was written. Calls that run already go on.

        Raises:
            AuthoringError: nothing of that name is declared.
        """
        self._turn(*_one(tool=tool, prompt=prompt, resource=resource), on=False)

    def resource_updated(self, uri: str) -> None:
        """Notify the subscribers of this URI that its content has changed. From any thread.

        Raises:
            AuthoringError: no resource is declared for it.
        """
        uri = canonical(uri) or uri
        templates = (one.template for one in self._resources.values() if one.template is not None)
        is_fixed = uri in self._resources and self._resources[uri].template is None
        if not is_fixed and not any(template.match(uri) is not None for template in templates):
            raise AuthoringError(f"resource {uri!r} is not declared", hint="use the URI as it is declared")
        self._switches.tell(Change(self.name, Topic.RESOURCE, uri))

    # ---- for mcpward ----------------------------------------------------------------------------------------------

    @property
    def off(self) -> frozenset[tuple[Topic, str]]:
        """The switched-off items: list and name (a resource's URI). Another set after each change."""
        return self._switches.off

    def watch(self, listener: Listener) -> None:
        """Call ``listener`` for each switch and update, in the thread that makes it."""
        self._switches.watch(listener)

    def watch_switches(self, turned: Turned) -> None:
        """Call ``turned`` with list, name and position of each switch, in the thread that makes it."""
        self._switches.watch_switches(turned)

    def tell(self, topic: Topic) -> None:
        """Notify the listeners that a list is another one now."""
        self._switches.tell(Change(self.name, topic))

    def adopt(self, topic: Topic, name: str, *, on: bool) -> None:
        """Apply the switches of another process, without notifications. Undeclared items are left out."""
        if name in self._declared(topic):
            self._switches.adopt(topic, name, on=on)

    def _declared(self, topic: Topic) -> Mapping[str, Any]:
        lists: dict[Topic, Mapping[str, Any]] = {
            Topic.TOOLS: self._tools,
            Topic.PROMPTS: self._prompts,
            Topic.RESOURCES: self._resources,
        }
        return lists.get(topic, {})

    def _turn(self, topic: Topic, name: str, *, on: bool) -> None:
        if name not in self._declared(topic):
            declared = self._declared(topic)
            meant = nearest(name, declared)
            hint = f"did you mean {meant!r}?" if meant else "declare it first, further up in the file"
            raise AuthoringError(f"{name!r} is not declared, so it cannot be switched", hint=hint)
        self._switches.turn(topic, name, on=on)


def _decorate(name: Any, declare: Callable[[F], F], kind: str) -> Any:
    """Bare use hands us the function, called use a name or nothing."""
    if name is None or isinstance(name, str):
        return declare
    if inspect.isroutine(name) and callable(name):  # a classmethod is no function yet
        return declare(name)  # type: ignore[arg-type]
    written = f"@server.{kind}"
    if isinstance(name, type):
        problem = f"class {name.__name__}: only functions can be served"
        raise AuthoringError(problem, hint="declare functions, or a method of an object: server.tool(shop.method)")
    if isinstance(name, Server):
        problem = f"{written} gets a Server, but belongs to one already"
        raise AuthoringError(problem, hint=f"write {written} above the function, without arguments")
    if callable(name) or hasattr(name, "__get__"):
        problem = f"{written} gets {type(name).__name__}: only functions can be served"
        raise AuthoringError(problem, hint=f"write a def that calls it, and {written} above that")
    raise AuthoringError(f"a name is a text, not {type(name).__name__}", hint=f'write {written}("orders")')


def _arguments(
    signature: Signature, input_schema: Mapping[str, Any] | None, guards: Sequence[Any], what: str, place: str
) -> Arguments | Written:
    if input_schema is None:
        return Arguments(signature.parameters, what, place)
    if guards:  # they read typed parameters; here there are none
        problem = f"{what}: guards and input_schema exclude each other"
        raise AuthoringError(problem, place, "check inside the function, and raise ToolError")
    return Written(input_schema, signature.parameters, what, place)


def _returns(
    signature: Signature,
    output_schema: Mapping[str, Any] | None,
    structured: bool | None,
    guards: Sequence[Guard],
    what: str,
    place: str,
) -> Returns:
    if output_schema is None:
        returns = read_returns(signature.returns, structured, what, place)
    else:
        returns = read_written_returns(output_schema, structured, what, place)
    require_owned(guards, returns, what, place)
    return returns


def _require_variables(signature: Signature, template: Template | None, what: str, place: str) -> None:
    """Nothing could fill a parameter that is no variable, and a variable that is no parameter would be thrown away."""
    parameters = [parameter.name for parameter in signature.parameters]
    if template is None and parameters:
        hint = f"put them into the URI, as in {{{parameters[0]}}}, or remove the parameters"
        raise AuthoringError(f"{what}: a resource at a fixed URI takes no arguments", place, hint)
    if template is not None and sorted(parameters) != sorted(template.names):
        hint = f"its variables are {_listed(template.names)}, its parameters {_listed(parameters)}"
        raise AuthoringError(f"{what}: its variables and the function's parameters are not the same", place, hint)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _shown(title: Any, description: Any, enabled: Any) -> dict[str, Any]:
    """The common options of the decorators of tools, resources and prompts, for :func:`checks.require_kinds`."""
    return {
        "title": (title, (str, NoneType), '"List orders"'),
        "description": (description, (str, NoneType), '"What it does."'),
        "enabled": (enabled, bool, "False"),
    }


def _flags(**given: Any) -> dict[str, Any]:
    return {name: (value, bool, "True") for name, value in given.items()}


def _perhaps(**given: Any) -> dict[str, Any]:
    return {name: (value, (bool, NoneType), "True") for name, value in given.items()}


def _one(**named: str | None) -> tuple[Topic, str]:
    """Return the one thing that was named, and the list that it stands in."""
    topics = {"tool": Topic.TOOLS, "prompt": Topic.PROMPTS, "resource": Topic.RESOURCES}
    given = [(topics[kind], name) for kind, name in named.items() if name is not None]
    if len(given) != 1:
        raise AuthoringError(f"name exactly one of {', '.join(named)}", hint=f'as in {next(iter(named))}="review"')
    topic, name = given[0]
    return topic, read_uri(name) if topic is Topic.RESOURCES else name
