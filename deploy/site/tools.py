"""What deploy/compose.yaml serves until your own tools stand here."""

from typing import Annotated

from pydantic import Field

from mcpward import Limit, Server

server = Server("notes", instructions="Finds notes.")
NOTES = ["mcpward keeps the door", "a note for the container"]


@server.tool(read_only=True)
def find_notes(word: Annotated[str, Field(max_length=100)], limit: Annotated[int, Limit(max=20)] = 5) -> list[str]:
    """Find the notes that contain a word."""
    return [note for note in NOTES if word.lower() in note.lower()][:limit]
