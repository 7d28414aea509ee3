"""The settings of policy rules: who may call what, when, and with which arguments."""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator

from mcpward.config.hours import Hours, parse_hours
from mcpward.config.section import Section, key

#: The kinds of caller that a rule can name, each with a word for what stands behind the colon.
CALLER_KINDS: Final = ("key", "subject", "client", "scope", "tag", "mode")
MODE_WORDS: Final = ("public", "unlisted", "api-key", "oauth", "operator")
_CALLER: Final = re.compile(rf"({'|'.join(CALLER_KINDS)}):(\S.{{0,254}})")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_PATTERN: Final = re.compile(r"[A-Za-z0-9_.*?-]{1,128}", re.ASCII)
_PATH: Final = re.compile(r"[^\s.]{1,128}(\.[^\s.]{1,128}){0,7}")
_MOST_VALUES: Final = 1_000


def _rule_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 of a-z, 0-9, _ and -, such as large-refunds")
    return value


def _pattern(value: str) -> str:
    if not _PATTERN.fullmatch(value):
        raise ValueError("must be the name of a tool, such as cancel_order; * and ? stand for characters")
    return value


def _caller(value: str) -> str:
    found = _CALLER.fullmatch(value.strip())
    if found is None:
        raise ValueError("must be key:ID, subject:NAME, client:ID, scope:NAME, tag:NAME or mode:NAME")
    kind, name = found.groups()
    if kind == "mode" and name not in MODE_WORDS:
        raise ValueError(f"mode:{name} is none: write one of {', '.join(f'mode:{word}' for word in MODE_WORDS)}")
    return f"{kind}:{name.strip()}"


def _hours(value: object) -> object:
    return parse_hours(value) if isinstance(value, str) else value


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError("must be an argument, such as amount; a dot leads into an object: customer.country")
    return value


def _number(value: object) -> object:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)):
        raise ValueError("must be a number")
    return value


def _plain(value: object) -> object:
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError("must be a text, a number, true or false")
    return value


def _plains(value: object) -> object:
    if value is None:
        return value
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= _MOST_VALUES or None in value:
        raise ValueError(f"must be a list of 1 to {_MOST_VALUES} values")
    return tuple(_plain(one) for one in value)


def _texts(value: object) -> object:
    values = _plains(value)
    if isinstance(values, tuple) and not all(isinstance(one, str) and one for one in values):
        raise ValueError("must be a list of texts; * and ? stand for characters")
    return values


def _each(check: Callable[[str], str]) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise ValueError("must be a list of texts")
        return tuple(check(one) for one in value)

    return read


def _class(value: str) -> str:
    if value not in {"read", "write", "destructive"}:
        raise ValueError(f"{value!r} is not a class of tools: write read, write or destructive")
    return value


_SCALAR: Final = ["string", "number", "boolean"]
_Number = Annotated[int | float | None, BeforeValidator(_number)]
_Value = Annotated[Any, BeforeValidator(_plain), WithJsonSchema({"anyOf": [{"type": one} for one in _SCALAR]})]
_Values = Annotated[
    tuple[Any, ...] | None,
    BeforeValidator(_plains),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"anyOf": [{"type": one} for one in _SCALAR]}}]}),
]
_Patterns = Annotated[tuple[str, ...] | None, BeforeValidator(_texts)]
_HoursOrNone = Annotated[
    Hours | None,
    BeforeValidator(_hours),
    PlainSerializer(lambda hours: None if hours is None else hours.text),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]}),
]
RuleName = Annotated[str, AfterValidator(_rule_name)]
_patterns, _callers, _classes = _each(_pattern), _each(_caller), _each(_class)
ToolPatterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]
CallerWords = Annotated[tuple[str, ...], BeforeValidator(_callers)]
ClassWords = Annotated[tuple[str, ...], BeforeValidator(_classes)]
ArgumentPath = Annotated[str, AfterValidator(_path)]


class Condition(Section):
    """[servers.<name>.rules.<name>.when.<name>]: conditions on an argument, all of which must hold."""

    above: _Number = key(None, "more than this number", "100")
    below: _Number = key(None, "less than this number", "0")
    at_least: _Number = key(None, "this number or more", "100")
    at_most: _Number = key(None, "this number or less", "10")
    equals: _Value = key(None, "exactly this value", '"DE"')
    one_of: _Values = key(None, "one of these values", '["DE", "AT"]')
    none_of: _Values = key(None, "none of these values", '["DE", "AT"]')
    like: _Patterns = key(None, "a text like one of these; * and ? stand for characters", '["*@example.com"]')
    unlike: _Patterns = key(None, "a text like none of these", '["*@example.com"]')
    longer: Annotated[int, Field(ge=0)] | None = key(None, "more characters or entries than this", "100")
    present: bool | None = key(None, "whether it has a value at all; null is none", "false")


class PolicyRule(Section):
    """[servers.<name>.rules.<name>]: one rule on calls: by caller, tool, class, hours and arguments."""

    do: Literal["allow", "deny", "confirm"] = key(
        ...,
        "what happens to calls that it applies to: `deny` refuses, `confirm` has a person agree, `allow` lets them by "
        "the last rule. Deny wins over confirm, and confirm over allow",
        '"confirm"',
    )
    tools: ToolPatterns = key(
        (), "tools by name; * and ? stand for characters; all tools if empty", '["refund", "cancel_*"]'
    )
    classes: ClassWords = key(
        (), "classes of tools: read, write, destructive; all if empty", '["write", "destructive"]'
    )
    callers: CallerWords = key(
        (),
        "callers, one of which must fit: key:ID, subject:NAME, client:ID, scope:NAME, tag:NAME=VALUE, mode:NAME; all "
        "if empty",
        '["key:4f9QkZp2LmXa", "scope:orders:write"]',
    )
    not_callers: CallerWords = key((), "callers to whom it does not apply", '["subject:alice@example.com"]')
    hours: _HoursOrNone = key(
        None, "hours in which it applies; a zone may follow, else UTC", '"Mon-Fri 09:00-17:00 Europe/Berlin"'
    )
    not_hours: _HoursOrNone = key(None, "hours in which it does not apply", '"Mon-Fri 09:00-17:00 Europe/Berlin"')
    when: dict[ArgumentPath, Condition] = key(
        {}, "what arguments must be for it to apply, by name; all of it must hold", "{ amount = { above = 100 } }"
    )
    reason: Annotated[str, Field(max_length=200)] = key(
        "", "why, for the caller that is refused and the person that is asked", '"refunds above 100 need a person"'
    )

    @field_validator("when", mode="after")
    @classmethod
    def _says_something(cls, when: dict[str, Condition]) -> dict[str, Condition]:
        for path, condition in when.items():
            if not condition.model_fields_set:
                raise ValueError(f"{path} must say something, such as {{ above = 100 }}")
        return when

    @property
    def is_last(self) -> bool:
        """Whether it has no condition: it applies to every call that no other rule applies to."""
        return not (
            self.tools or self.classes or self.callers or self.not_callers or self.hours or self.not_hours or self.when
        )


#: The words for types of settings on the page of all settings.
POLICY_KINDS: Final[Mapping[object, str]] = {
    _patterns: "list of patterns",
    _callers: "list of callers",
    _classes: "list of classes",
    _hours: "hours of a week",
    _number: "number",
    _plain: "text, number, true or false",
    _plains: "list of values",
    _texts: "list of patterns",
}
