"""Titles for the choices of a form: what a person reads in place of each value (SEP-1330)."""

from collections.abc import Mapping
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from mcpward.sdk.errors import AuthoringError


class Titles:
    """A title for each value of a ``Literal`` or an ``Enum``.

    ``Annotated[Literal["r", "g"], Titles(r="Red", g="Green")]``, or a mapping for values that are no Python names.
    Several choices are a list of it: ``list[Annotated[Literal[…], Titles(…)]]``. ``legacy`` writes ``enumNames``, for
    clients that know no other form.
    """

    def __init__(self, titles: Mapping[str, str] | None = None, /, *, legacy: bool = False, **more: str) -> None:
        self._titles = {**(titles or {}), **more}
        self._legacy = legacy

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Publish the choices with their titles.

        Raises:
            AuthoringError: the titles are not those of exactly the values.
        """
        plain = handler.resolve_ref_schema(handler(schema))
        values = plain.get("enum", [plain["const"]] if "const" in plain else [])
        if not values or set(values) != set(self._titles):
            hint = f"write one title for each of {', '.join(map(repr, values)) or 'the values of a Literal or an Enum'}"
            raise AuthoringError(
                f"titles are given for {', '.join(map(repr, self._titles)) or 'nothing'}, and the values are others",
                hint=hint,
            )
        if self._legacy:
            return {"type": "string", "enum": list(values), "enumNames": [self._titles[value] for value in values]}
        return {"type": "string", "oneOf": [{"const": value, "title": self._titles[value]} for value in values]}
