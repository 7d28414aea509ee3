"""JSON schemas as pydantic makes them, brought into the form in which they are published."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema


class Untitled(GenerateJsonSchema):
    """A JSON schema without the titles that pydantic makes from names: they tell a model nothing and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic calls it so
        """Never."""
        return False


def inline_root(schema: dict[str, Any]) -> dict[str, Any]:
    """Put a referenced root in place: MCP wants ``"type": "object"`` at the root itself."""
    root = schema.get("$ref")
    if root is None:
        return schema
    definitions = schema["$defs"]
    return {**definitions[root.removeprefix("#/$defs/")], "$defs": definitions}


def first_line(error: Exception) -> str:
    """Give the first line of an error's text, for a message that stays one line."""
    return str(error).strip().partition("\n")[0]
