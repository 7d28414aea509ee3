"""pydantic's errors as problems: path and rule of each field, never its value (protocol trap T15)."""

from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcpward.validation.paths import public_path

_MOST: Final = 16
_COUNTED: Final = 1000

#: What an error type is called; the others keep pydantic's own name, which is made of plain words.
_RULES: Final = {
    "extra_forbidden": "not an argument of this tool",
    "unexpected_keyword_argument": "not an argument of this tool",
    "missing": "required",
    "missing_argument": "required",
    "missing_keyword_only_argument": "required",
    "model_type": "object",
    "model_attributes_type": "object",
    "dataclass_type": "object",
    "dict_type": "object",
    "list_type": "array",
    "tuple_type": "array",
    "set_type": "array",
    "frozen_set_type": "array",
    "string_type": "string",
    "int_type": "integer",
    "int_parsing": "integer",
    "int_parsing_size": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "float_parsing": "number",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "finite_number": "finite number",
    "json_invalid": "valid JSON",
}
#: The bounds that an author declared: public, they stand in the published schema. Nothing else of a context is shown.
_BOUNDS: Final = {
    "greater_than": "gt",
    "greater_than_equal": "ge",
    "less_than": "lt",
    "less_than_equal": "le",
    "multiple_of": "multiple_of",
    "string_too_short": "min_length",
    "string_too_long": "max_length",
    "too_short": "min_length",
    "too_long": "max_length",
    "bytes_too_short": "min_length",
    "bytes_too_long": "max_length",
    "decimal_max_digits": "max_digits",
    "decimal_max_places": "decimal_places",
    "literal_error": "expected",
    "enum": "expected",
    "string_pattern_mismatch": "pattern",
}


def problems_of(error: ValidationError) -> list[dict[str, str]]:
    """Give up to 16 problems, each ``{"path": "limit", "rule": "less_than_equal 100"}``."""
    if error.error_count() > _COUNTED:  # telling them apart would cost more than anything else that the call does
        return [{"path": "", "rule": f"fewer than {_COUNTED} things wrong at once"}]
    details = error.errors(include_url=False, include_input=False)
    return [{"path": public_path(detail["loc"]), "rule": _rule(detail)} for detail in details[:_MOST]]


def _rule(detail: ErrorDetails) -> str:
    kind = detail["type"]
    bound: Any = detail.get("ctx", {}).get(_BOUNDS.get(kind, ""))
    if bound is not None:
        return f"{kind} {bound}"
    return _RULES.get(kind, kind)
