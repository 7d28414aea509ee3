"""The common part of all list entries: name, title, description, icons and ``_meta``."""

from typing import Any

from mcpward.sdk.definitions import PromptDefinition, ResourceDefinition, ToolDefinition


def entry_of(definition: ToolDefinition | ResourceDefinition | PromptDefinition, **more: Any) -> dict[str, Any]:
    """Return a list's entry for a definition, with ``more`` before icons and ``_meta``; what is None is left out."""
    entry: dict[str, Any] = {"name": definition.name}
    if definition.title is not None:
        entry["title"] = definition.title
    entry["description"] = definition.description
    entry |= {name: value for name, value in more.items() if value is not None}
    if definition.icons:
        entry["icons"] = [icon.block() for icon in definition.icons]
    if definition.meta:
        entry["_meta"] = definition.meta
    return entry
