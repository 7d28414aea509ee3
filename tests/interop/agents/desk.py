"""The server that agents are tried with, beside the shop of examples/orders."""

from mcpward import Server

server = Server("desk", version="1.0")


@server.tool(read_only=True)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def note(text: str) -> str:
    """Write a note down."""
    return f"noted {len(text)} characters"


@server.tool(destructive=True, confirm="Throw all notes away?")
def forget() -> str:
    """Throw all notes away."""
    return "all forgotten"
