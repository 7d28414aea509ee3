"""pydantic's findings on a value, in our words: ``must be at most 65535``. They quote nothing of the value.

pydantic's own sentences change with its releases, and speak of input and parsing, which concern no reader here.
"""

from collections.abc import Mapping
from typing import Any, Final

BREAKS_SCHEMA: Final = "mcpward_schema"
"""The type of the error of a guard whose rule is in the published schema. Its context has the ``rule``."""
IS_DANGEROUS: Final = "mcpward_guard"
"""The type of the error of any other guard."""
_BOOL, _INTEGER, _NUMBER, _LIST = (
    "must be true or false",
    "must be a whole number",
    "must be a number",
    "must be a list",
)
_PLAIN: Final[Mapping[str, str]] = {
    "bool_parsing": _BOOL,
    "bool_type": _BOOL,
    "bytes_type": "must be bytes",
    "dataclass_type": "must be an object",
    "date_from_datetime_parsing": "must be a date, such as 2026-03-01",
    "date_parsing": "must be a date, such as 2026-03-01",
    "date_type": "must be a date",
    "datetime_parsing": "must be a date and time, such as 2026-03-01T00:00:00Z",
    "datetime_from_date_parsing": "must be a date and time, such as 2026-03-01T00:00:00Z",
    "datetime_type": "must be a date and time",
    "decimal_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "dict_type": "must be a mapping",
    "extra_forbidden": "is not known here",
    "finite_number": "must be a finite number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "frozen_set_type": "must be a set",
    "int_from_float": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": "must be a smaller number",
    "int_type": _INTEGER,
    "iterable_type": _LIST,
    "list_type": _LIST,
    "missing": "is missing",
    "model_type": "must be an object",
    "none_required": "must be None",
    "set_type": "must be a set",
    "string_type": "must be a text",
    "time_delta_type": "must be a span of time",
    "time_type": "must be a time",
    "timezone_aware": "must have a time zone",
    "timezone_naive": "must have no time zone",
    "tuple_type": _LIST,
    "url_parsing": "must be a URL",
    "url_type": "must be a URL",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
}
_FILLED: Final[Mapping[str, str]] = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} members",
    "too_long": "must have at most {max_length} members",
    "is_instance_of": "must be of the class {class}",
    "dataclass_exact_type": "must be of the class {class_name}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}


def model_words(kind: str, context: Mapping[str, Any]) -> str | None:
    """Return the rule that a value breaks, by the type and context of pydantic's error; None for kinds of other words.

    A value that an author's or our own check refused (``value_error``) has the words of that check.
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    form = _FILLED.get(kind)
    try:
        return None if form is None else form.format_map(context)
    except KeyError:  # a release of pydantic with other names
        return None
