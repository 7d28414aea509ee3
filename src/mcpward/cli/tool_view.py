"""The public view of a tool: its class, scopes, limits and guards, with the settings of the site put over them."""

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import asdict

from mcpward.config.model import Server
from mcpward.config.rate import rate_text

if TYPE_CHECKING:
    from mcpward.core.values import Tool
    from mcpward.sdk.definitions import ToolDefinition

HEADER: Final = ("tool", "class", "scopes", "per caller", "guards", "notes")


def shape_of(tool: "Tool", definition: "ToolDefinition", server: Server, *, is_on: bool = True) -> dict[str, Any]:
    """Return all of it but the schemas. ``class_rate`` holds for all tools of the class together."""
    of_class = getattr(server.limits, tool.access.label)
    return {
        "server": tool.server,
        "tool": tool.name,
        "title": definition.title,
        "description": definition.description,
        "class": tool.access.label,
        "scopes": sorted(tool.scopes),
        "confirm": tool.confirm,
        "on": is_on,
        "rate": rate_text(tool.rate) if tool.rate else None,
        "class_rate": rate_text(of_class.rate) if of_class else None,
        "concurrency": tool.concurrency,
        "deadline_s": tool.deadline_s,
        "pools": list(tool.pools),
        "budgets": {draw.budget: draw.cost if draw.cost_of is None else "by its arguments" for draw in tool.draws},
        "filled": {} if tool.caller_values is None else dict(tool.caller_values.sources),
        "guards": [*tool.guards],
        "task": tool.task,
        "unknown_arguments": tool.unknown_arguments.value,
        "bounds": server.bounds,
        "unbounded": [asdict(one) for one in tool.unbounded],
        "annotations": dict(definition.annotations),
        "where": definition.where,
    }


def with_schemas(shape: dict[str, Any], tool: "Tool") -> dict[str, Any]:
    """Return the shape with the schemas that clients are shown."""
    return shape | {
        "input_schema": tool.listing.get("inputSchema"),
        "output_schema": tool.listing.get("outputSchema"),
    }


def row_of(shape: dict[str, Any]) -> tuple[str, ...]:
    """Return the tool's line in a list: the cells of :data:`HEADER`."""
    rate = shape["rate"] or shape["class_rate"] or "-"
    guards = ", ".join(guard.partition("(")[0] for guard in shape["guards"]) or "-"
    return shape["tool"], shape["class"], " ".join(shape["scopes"]) or "-", rate, guards, _notes(shape) or "-"


def detail_of(shape: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of one tool as pairs of a word and a text, for people."""
    words: list[tuple[str, str]] = []
    for word, value in shape.items():
        if word.endswith("schema") or value in (None, [], {}, ""):
            continue
        if word == "unbounded":
            words += [("no bound", f"{one['path'] or 'the whole'} ({one['kind']}): {one['fix']}") for one in value]
            continue
        words.append((word.replace("_", " "), _text(value)))
    return words


def _notes(shape: dict[str, Any]) -> str:
    notes = [
        "off" if not shape["on"] else "",
        "asks a person" if shape["confirm"] else "",
        f"task {shape['task']}" if shape["task"] else "",
        f"{shape['concurrency']} at once" if shape["concurrency"] else "",
        *(f"pool {pool}" for pool in shape["pools"]),
        *(f"budget {name}" for name in shape["budgets"]),
        f"{len(shape['unbounded'])} without a bound" if shape["unbounded"] else "",
        *(f"{name} from {source}" if source else f"{name} fixed" for name, source in shape["filled"].items()),
    ]
    return ", ".join(note for note in notes if note)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
