"""pydantic's errors as problems: path and rule of each field, never its value."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcpward.core.facts import Problem
from mcpward.core.model_words import BREAKS_SCHEMA, IS_DANGEROUS
from mcpward.core.subschema import Place
from mcpward.validation.paths import public_path
from mcpward.validation.wording import describe, required, undeclared

_MOST: Final = 16
_COUNTED: Final = 1000
_KEY: Final = "[key]"
_EXTRA: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_MISSING: Final = frozenset({"missing", "missing_argument", "missing_keyword_only_argument"})
#: Errors of the text itself.
_PLAIN: Final = frozenset({"finite_number", "json_invalid"})
#: Checks that an author wrote: what they say may quote the value.
_OWN: Final = frozenset({"value_error", "assertion_error"})
_OF_GUARDS: Final = frozenset({BREAKS_SCHEMA, IS_DANGEROUS})
#: The name of an error type if the schema says nothing of its place.
_RULES: Final = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "dict_type": "an object",
    "list_type": "an array",
    "tuple_type": "an array",
    "set_type": "an array",
    "frozen_set_type": "an array",
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
    "json_invalid": "valid JSON",
}


def problems_of(error: ValidationError, top: Place, value: Any) -> list[Problem]:
    """Return up to 16 problems: ``Problem("limit", "an integer of at most 100")``.

    ``top`` is the place of the arguments in their schema, ``value`` what came: it distinguishes names that are in it
    from those that pydantic gives to the members of a union.
    """
    if error.error_count() > _COUNTED:  # telling them apart would cost more than anything else that the call does
        return [Problem("", f"fewer than {_COUNTED} things wrong at once")]
    found: dict[tuple[str, str], None] = {}
    details = error.errors(include_url=False, include_input=False)
    if value is None:  # a flat mapping of strings, or no JSON
        value = {detail["loc"][0]: None for detail in details if detail["loc"]}
    for detail in details:
        found[_problem(detail, top, value)] = None
        if len(found) >= _MOST:
            break
    return [Problem(path, rule) for path, rule in found]


def is_of_guards(error: ValidationError) -> bool:
    """Return whether the value fits the schema, and only guards refuse it."""
    if error.error_count() > _COUNTED:
        return False
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return all(detail["type"] == IS_DANGEROUS for detail in details)


def _problem(detail: ErrorDetails, top: Place, value: Any) -> tuple[str, str]:
    kind, parts = detail["type"], detail["loc"]
    path: list[str | int] = []
    place = top
    for at, part in enumerate(parts):
        is_last = at == len(parts) - 1
        if isinstance(value, Mapping):
            place = place.fitting(value)
            if is_last and (kind in _EXTRA or kind in _MISSING):
                return public_path([*path, part]), _of_name(kind, str(part), place, is_top=not path)
            if part not in value:
                continue
            value, place = value[part], place.member(str(part))
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int):
            place = place.item(part)
            if part >= len(value):
                return public_path([*path, part]), required(place)
            value = value[part]
        else:
            continue  # which member of a union was tried
        path.append(part)
    rule = describe(place) or _RULES.get(kind, kind)
    if kind in _OF_GUARDS:
        rule = detail["ctx"]["rule"]
    elif kind in _OWN:
        rule = "refused by this tool's own check"
    elif parts and parts[-1] == _KEY:
        rule = "a name that the schema's propertyNames allow"
    elif kind in _PLAIN:
        rule = _RULES[kind]
    return public_path(path), rule


def _of_name(kind: str, name: str, place: Place, *, is_top: bool) -> str:
    if kind in _EXTRA:
        return undeclared(name, place.names, is_top=is_top)
    return required(place.member(name))
