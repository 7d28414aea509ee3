"""Everything one server offers, ready to be served, in the author's order."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from mcpward.config.rate import parse_rate
from mcpward.core.errors import Finding, Misconfigured, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Rate, Tool
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.server import Server
from mcpward.tools.prompt import Prompt, bind_prompt
from mcpward.tools.resource import Resource, bind_resource
from mcpward.tools.stage import runner_of


class Defaults(Struct, frozen=True):
    """What holds where an author said nothing. Times in seconds."""

    deadline_s: float = 30.0


class Registry:
    """The tools, resources and prompts of one server. Does not change while it is served."""

    def __init__(self, server_name: str, server: Server, defaults: Defaults = Defaults()) -> None:  # noqa: B008  frozen
        findings: list[Finding] = []
        tools = [_tool(server_name, definition, defaults, findings) for definition in server.tools]
        if findings:
            raise Misconfigured(findings)
        self.server = server_name
        self.source = server
        self.tools: tuple[Tool, ...] = tuple(tools)
        self.resources: tuple[Resource, ...] = tuple(
            bind_resource(server_name, definition, defaults.deadline_s) for definition in server.resources
        )
        self.prompts: tuple[Prompt, ...] = tuple(
            bind_prompt(server_name, definition, defaults.deadline_s) for definition in server.prompts
        )
        self._tools = {tool.name: tool for tool in self.tools}
        self._resources = {resource.uri: resource for resource in self.resources}
        self._prompts = {prompt.name: prompt for prompt in self.prompts}

    def find(self, name: str) -> Tool | None:
        """Give the tool of that exact name, or None."""
        return self._tools.get(name)

    def find_resource(self, uri: str) -> Resource | None:
        """Give the resource at that exact URI, or None."""
        return self._resources.get(uri)

    def find_prompt(self, name: str) -> Prompt | None:
        """Give the prompt of that exact name, or None."""
        return self._prompts.get(name)


def _tool(server_name: str, definition: ToolDefinition, defaults: Defaults, findings: list[Finding]) -> Tool:
    return Tool(
        server=server_name,
        name=definition.name,
        access=definition.access,
        listing=_listing(definition),
        bind=_guarded(definition),
        run=runner_of(definition),
        scopes=definition.scopes,
        rate=_rate(definition, findings),
        deadline_s=definition.deadline_s if definition.deadline_s is not None else defaults.deadline_s,
        confirm=definition.confirm,
        structured=definition.returns.schema is not None,
    )


def _listing(definition: ToolDefinition) -> Mapping[str, Any]:
    listing: dict[str, Any] = {"name": definition.name}
    if definition.title is not None:
        listing["title"] = definition.title
    listing["description"] = definition.description
    listing["inputSchema"] = definition.arguments.schema()
    if definition.returns.schema is not None:
        listing["outputSchema"] = definition.returns.schema
    listing["annotations"] = definition.annotations
    return listing


def _guarded(definition: ToolDefinition) -> Callable[[bytes], dict[str, Any]]:
    """Bind raw arguments; then ask the guards, all of them, so that a model mends its call at once."""
    bind, guards = definition.arguments.bind, definition.guards
    if not guards:
        return bind

    def bind_guarded(raw: bytes) -> dict[str, Any]:
        arguments = bind(raw)
        problems = [problem for guard in guards if (problem := guard.check(arguments)) is not None]
        if problems:
            told = [{"path": problem.path, "rule": problem.rule} for problem in problems]
            raise Refusal(Reason.ARGUMENT_DANGEROUS, "a guard refused", problems=told)
        return arguments

    return bind_guarded


def _rate(definition: ToolDefinition, findings: list[Finding]) -> Rate | None:
    if definition.rate is None or isinstance(definition.rate, Rate):
        return definition.rate
    try:
        return parse_rate(definition.rate)
    except ValueError as error:
        what = f"tool {definition.name!r}: its rate cannot be read"
        findings.append(Finding(what=what, where=definition.where, hint=str(error)))
        return None
