"""The question that an operator has put to a person before a tool runs: ``true``, or a text with ``{argument}``."""

from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

from mcpward.core.question_text import read_wording

_LONGEST: Final = 500


def _question(value: object) -> object:
    if value is None or value is True:
        return value
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise ValueError(f"must be true, or a question of 1 to {_LONGEST} characters; only the author can take it away")
    read_wording(value)
    return value


QuestionOrNone = Annotated[
    bool | str | None,
    BeforeValidator(_question),
    WithJsonSchema({"anyOf": [{"const": True}, {"type": "string", "maxLength": _LONGEST}, {"type": "null"}]}),
]
