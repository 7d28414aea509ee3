"""``mcpward tools``: the tools of each server, and their rules. Loads the authors' files, serves nothing."""

import asyncio
import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, no_site, opened_server, server_names, settings_of
from mcpward.cli.tool_view import HEADER, detail_of, row_of, shape_of, with_schemas
from mcpward.config.model import Settings
from mcpward.config.names import nearest

if TYPE_CHECKING:
    from mcpward.tools.registry import Registry


@examples(
    "mcpward tools",
    "mcpward tools orders --tool query_orders",
    "mcpward tools tools.py --json | jq -r '.[] | select(.class == \"destructive\") | .tool'",
)
def tools(
    server: Annotated[
        str | None,
        typer.Argument(
            metavar="[SERVER]",
            help="A server of the site's file, a Python file, or module:object. Default: all servers.",
            autocompletion=server_names,
        ),
    ] = None,
    tool: Annotated[
        str | None, typer.Option("--tool", metavar="NAME", help="Only this tool, with all details and its schemas.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Include the schemas that clients see.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List tools with their class, scopes, limits and guards, from the source and the site's file together. The rate is
    that of the tool, else that of its class; a call counts against both. The command loads the sources like a start,
    and reports the same mistakes. Exit code 1 if there is no tool.
    """
    settings, chosen = (settings_of(config), None) if server is None else opened_server(config, server)
    if not settings.servers:
        raise no_site(config, or_else="or name a Python file: mcpward tools tools.py")
    shapes = _shapes(settings, chosen, with_schema=schema or tool is not None)
    if tool is not None:
        shapes = _named(shapes, tool)
    if json:
        ui.answer_json(shapes)
    elif tool is not None or schema:
        _details(shapes)
    elif shapes:
        _table(shapes)
    if not shapes:
        raise ui.CommandEnded(ui.Exit.NO, "there is no tool", "write @server.tool above a function")


def _shapes(settings: Settings, chosen: str | None, *, with_schema: bool) -> list[dict[str, Any]]:
    from mcpward.operations.tool_sources import load_tool_sources

    registries = asyncio.run(load_tool_sources(settings, CLOCK))
    shapes: list[dict[str, Any]] = []
    for name, registry in registries.items():
        if chosen in {None, name}:
            shapes += _of_server(registry, settings, with_schema=with_schema)
    return shapes


def _of_server(registry: "Registry", settings: Settings, *, with_schema: bool) -> list[dict[str, Any]]:
    definitions = {one.name: one for one in registry.author.tools}
    shapes = []
    for tool in registry.declared:
        is_on = registry.find(tool.name) is not None
        shape = shape_of(tool, definitions[tool.name], settings.servers[registry.server], is_on=is_on)
        shapes.append(with_schemas(shape, tool) if with_schema else shape)
    return shapes


def _named(shapes: list[dict[str, Any]], tool: str) -> list[dict[str, Any]]:
    found = [shape for shape in shapes if shape["tool"] == tool]
    if not found:
        names = [shape["tool"] for shape in shapes]
        meant = nearest(tool, names)
        hint = f"did you mean {meant}?" if meant else f"there are: {', '.join(names) or 'none'}"
        raise ui.CommandEnded(ui.Exit.NO, f"there is no tool {tool!r}", hint)
    return found


def _table(shapes: list[dict[str, Any]]) -> None:
    servers = {shape["server"] for shape in shapes}
    rows = [row_of(shape) for shape in shapes]
    if len(servers) == 1:
        ui.table(HEADER, rows)
    else:
        ui.table(("server", *HEADER), [(shape["server"], *row) for shape, row in zip(shapes, rows, strict=True)])


def _details(shapes: list[dict[str, Any]]) -> None:
    for number, shape in enumerate(shapes):
        if number:
            ui.answer()
        for line in ui.aligned(detail_of(shape)):
            ui.answer(line)
        for word in ("input_schema", "output_schema"):
            if shape.get(word):
                ui.answer(f"{word.replace('_', ' ')}:")
                for line in jsonlib.dumps(shape[word], indent=2, ensure_ascii=False).splitlines():
                    ui.answer(f"  {ui.safe(line)}")
