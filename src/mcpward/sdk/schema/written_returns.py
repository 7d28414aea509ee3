"""A tool's return by a schema that the author wrote: published as it is, and every result is checked against it."""

from collections.abc import Mapping
from typing import Any

import pydantic_core

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.jsonable import jsonable
from mcpward.sdk.schema.returns import Returns, checked_by
from mcpward.sdk.schema.schema_bounds import Document


def read_written_returns(schema: Mapping[str, Any], structured: bool | None, what: str, where: str) -> Returns:
    """Read ``output_schema``: JSON Schema 2020-12 of an object, self-contained and of bounded size.

    Raises:
        AuthoringError: it is no such schema, or the tool publishes none.
    """
    if structured is False:
        problem = f"{what}: output_schema and structured=False exclude each other"
        raise AuthoringError(problem, where, "remove one of them")
    root = Document(schema, what, where, "output_schema").root
    encode, misfit = checked_by(root, lambda value: pydantic_core.to_json(jsonable(value)), what, where)
    return Returns(root, encode, misfit=misfit)
