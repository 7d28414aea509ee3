"""``mcpward access``: the tools that each caller may call, by the rules that judge calls."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.meant import meant
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, chosen_server, in_site, no_site, server_names, settings_of
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.config.model import Settings
    from mcpward.operations.access_list import Permission

_HEADER: Final = ("server", "tool", "class", "who", "ends", "last used")


@examples(
    "mcpward access",
    "mcpward access --tool cancel_order",
    "mcpward access --key 4f9QkZp2LmXa --all",
    "mcpward access --json | jq -r '.[] | select(.class == \"destructive\") | .who'",
)
def access(
    server: Annotated[
        str | None,
        typer.Option("--server", "-s", metavar="NAME", help="Only this server.", autocompletion=server_names),
    ] = None,
    tool: Annotated[str | None, typer.Option(metavar="NAME", help="Only this tool.")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Only the key of this id.")] = None,
    denied: Annotated[bool, typer.Option("--all", help="Also list refused tools, with the rule.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the permitted callers of each tool: live keys, holders of the secret URL, all callers, and the needed
    tokens.

    The command loads the sources like a start, and applies the rules that judge calls. Only the identity provider knows
    the holders of tokens. Exit code 1 if no caller may call any of the tools.
    """
    settings = settings_of(config)
    if not settings.servers:
        raise no_site(config, server)
    only = None if server is None else chosen_server(settings, server)
    every = _permissions(settings)
    _require("tool", tool, {one.tool.name for one in every})
    _require("live key", key, {one.key.id for one in every if one.key is not None})
    found = [
        one
        for one in every
        if (denied or not one.denied_by)
        and only in {None, one.server}
        and tool in {None, one.tool.name}
        and (key is None or (one.key is not None and one.key.id == key))
    ]
    if json:
        ui.answer_json([_shape(settings, one) for one in found])
    elif found:
        ui.table((*_HEADER, "denied by") if denied else _HEADER, list(_rows(settings, found, denied=denied)))
    if not found:
        raise ui.CommandEnded(ui.Exit.NO, "no caller may call it", "--all shows the rule")


def _permissions(settings: "Settings") -> "list[Permission]":
    from mcpward.operations.access_list import permissions
    from mcpward.operations.keys import every_key
    from mcpward.operations.tool_sources import load_tool_sources

    keys = in_site(settings, every_key, must_exist=True)
    registries = asyncio.run(load_tool_sources(settings, CLOCK))
    return list(permissions(settings, registries, keys, CLOCK.now()))


def _require(kind: str, word: str | None, known: set[str]) -> None:
    if word is not None and word not in known:
        raise ui.CommandEnded(ui.Exit.NO, f"there is no {kind} {word!r}", meant(word, sorted(known)))


def _rows(settings: "Settings", found: "list[Permission]", *, denied: bool) -> Iterator[tuple[object, ...]]:
    for one in found:
        ends, used = "-", "-"
        if one.key is not None:
            ends = moment_text(one.key.ends_at(settings.keys.max_age), "no end")
            used = moment_text(one.key.last_used_at, "never used")
        row = (one.server, one.tool.name, one.tool.access.label, one.who, ends, used)
        yield (*row, one.denied_by or "-") if denied else row


def _shape(settings: "Settings", one: "Permission") -> dict[str, Any]:
    key = one.key
    return {
        "server": one.server,
        "tool": one.tool.name,
        "class": one.tool.access.label,
        "scopes": sorted(one.tool.scopes),
        "confirm": one.tool.confirm,
        "who": one.who,
        "key": None if key is None else key.id,
        "ends_at": None if key is None else moment_text(key.ends_at(settings.keys.max_age), "") or None,
        "last_used_at": None if key is None else moment_text(key.last_used_at, "") or None,
        "denied_by": one.denied_by or None,
    }
