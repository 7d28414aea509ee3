"""The one validator of JSON Schema 2020-12: for schemas that were written by hand, here or elsewhere.

jsonschema-rs, offline: nothing is fetched, and a reference to a document that was not handed in is an error. Its
engine for patterns takes linear time, so that no pattern can be made to run without end (attack 75).
"""

from collections.abc import Mapping
from typing import Any, Final

from jsonschema_rs import Draft202012, Draft202012Validator, RegexOptions, Registry

_LARGEST_PATTERN: Final = 1_000_000


def schema_validator(
    schema: Any, *, documents: Mapping[str, Any] | None = None, checks_formats: bool = True
) -> Draft202012Validator:
    """Return the validator of a schema. ``documents`` are those that it may refer to, by their URLs.

    The specification makes ``format`` an annotation; ``checks_formats`` has it checked all the same.

    Raises:
        ValueError: it is no schema of JSON Schema 2020-12, refers to an unknown document, or has a pattern that is
            beyond the engine.
    """
    registry = None if documents is None else Registry(list(documents.items()), draft=Draft202012)
    return Draft202012Validator(
        schema,
        offline=True,
        validate_formats=checks_formats,
        registry=registry,
        pattern_options=RegexOptions(size_limit=_LARGEST_PATTERN),
    )
