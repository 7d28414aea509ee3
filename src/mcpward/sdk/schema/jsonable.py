"""Values as JSON has them: times with an offset, whole text, finite numbers. What JSON does not have is refused.

For values without a declared type; :mod:`mcpward.sdk.schema.serializer` is for those with one.
"""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import msgspec
import pydantic_core
from pydantic import TypeAdapter
from pydantic_core import SchemaSerializer

from mcpward.core.unicode import well_formed
from mcpward.sdk.schema.mismatch import found
from mcpward.sdk.schema.serializer import base64_text, serializer_of
from mcpward.sdk.schema.temporal import date_time, full_time

_MOST_DIGITS: Final = 308
_LARGEST: Final = 10**_MOST_DIGITS
#: Values that go into JSON as is.
_PLAIN: Final = frozenset({bool, type(None)})
Path = tuple[str | int, ...]


class NotJson(ValueError):
    """A value that JSON does not have: ``path`` leads to it, ``rule`` is what it breaks. Its value is in neither."""

    def __init__(self, rule: str, path: Path = ()) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = path


def jsonable(value: Any) -> Any:
    """Return ``value`` as dicts, lists, texts, numbers, booleans and None.

    Raises:
        NotJson: a part of it is nothing that JSON can hold.
        RecursionError: it is nested too deep, or holds itself.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is str:
        return value if value.isascii() else well_formed(value)
    if kind is int and -_LARGEST < value < _LARGEST:
        return value
    if kind is dict:
        return _members(value)
    if kind is list or isinstance(value, list | tuple | set | frozenset | Iterator):
        return _items(value)
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime | time):
        return _moment(value)
    if isinstance(value, str):
        return well_formed(str(value))
    return _members(value) if isinstance(value, Mapping) else _object(value)


def builtins_of(struct: msgspec.Struct) -> Any:
    """Return a msgspec struct as plain values that keep their times. Raises ``TypeError`` for what it cannot hold."""
    return msgspec.to_builtins(struct, builtin_types=(datetime, time))


def _members(value: Mapping[Any, Any]) -> dict[str, Any]:
    members = {}
    for name, member in value.items():
        text = name if type(name) is str and name.isascii() else _name(name)
        kind = type(member)
        if kind in _PLAIN or (kind is str and member.isascii()):  # most are so: a call less for each
            members[text] = member
            continue
        try:
            members[text] = jsonable(member)
        except NotJson as problem:
            raise NotJson(problem.rule, (text, *problem.path)) from None
    return members


def _items(value: Iterable[Any]) -> list[Any]:
    items: list[Any] = []
    try:
        for item in value:
            items.append(jsonable(item))  # noqa: PERF401  its length is where the problem is
    except NotJson as problem:
        raise NotJson(problem.rule, (len(items), *problem.path)) from None
    return items


def _name(name: Any) -> str:
    """Return what pydantic calls a member, but with times as they are elsewhere."""
    if isinstance(name, Enum):
        name = name.value
    if isinstance(name, str):
        return well_formed(str(name))
    if isinstance(name, datetime | time):
        return _moment(name)
    try:
        return str(next(iter(pydantic_core.to_jsonable_python({name: None}))))
    except (ValueError, TypeError):
        raise NotJson(f"{type(name).__name__} is not serializable as a name") from None


def _number(value: Any) -> int | float:
    """Numbers that a double cannot hold are infinity to most clients."""
    if isinstance(value, int):
        if not -_LARGEST < value < _LARGEST:
            raise NotJson(f"a number of more than {_MOST_DIGITS} digits")
        return int(value)
    if not math.isfinite(value):
        raise NotJson("not a finite number")
    return float(value)


def _moment(value: datetime | time) -> str:
    try:
        return date_time(value) if isinstance(value, datetime) else full_time(value)
    except ValueError as error:  # its words are ours
        raise NotJson(str(error)) from None


def _object(value: Any) -> Any:
    kind = type(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64_text(value)
    if inspect.iscoroutine(value):
        raise NotJson(f"found {found(value)}")
    try:
        if hasattr(kind, "__pydantic_serializer__"):
            return _model(value)
        if isinstance(value, msgspec.Struct):
            return jsonable(builtins_of(value))
        if is_dataclass(value) and not isinstance(value, type):
            return _members({field.name: getattr(value, field.name) for field in fields(value)})
        return pydantic_core.to_jsonable_python(value, by_alias=True, inf_nan_mode="constants")
    except NotJson:
        raise
    except (ValueError, TypeError):
        raise NotJson(f"{kind.__name__} is not serializable") from None


def _model(value: Any) -> Any:
    """Return a pydantic model or dataclass by its own rules."""
    try:
        model: Any = type(value)
        plain = _serializer(model).to_python(value, mode="json", by_alias=True, warnings=False)
    except (ValueError, TypeError):
        _members(value.__dict__)  # finds where it is
        raise
    return jsonable(plain)


@lru_cache(256)
def _serializer(model: Any) -> SchemaSerializer:
    return serializer_of(TypeAdapter(model).core_schema, jsonable)
