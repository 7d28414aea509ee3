"""Which tools can do harm with what a misled model knows: they destroy something, or reach the outside."""

from mcpward.core.scope import Access
from mcpward.sdk.definitions import ToolDefinition


def may_harm(definition: ToolDefinition) -> bool:
    """Return whether a tool is destructive or open-world.

    The specification takes a tool for open-world unless it says otherwise. So does this for one that changes something;
    one that only reads says it itself, or most tools would be.
    """
    if definition.access is Access.DESTRUCTIVE:
        return True
    hint = definition.annotations.get("openWorldHint")
    return hint is True or (hint is None and definition.access is not Access.READ)
