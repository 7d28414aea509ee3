"""The values that a parameter's type names itself: what completes without an author's help."""

import typing
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal

_BOOLEANS: Final = ("true", "false")


def choices_of(annotation: Any) -> tuple[str, ...]:
    """Return the texts that a ``Literal``, an ``Enum`` or ``bool`` takes, in their order; none for all other types.

    Looks through ``Annotated`` and unions. Numbers among them are left out: as texts they would not be taken.
    """
    if annotation is bool:
        return _BOOLEANS
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation if isinstance(member.value, str))
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return tuple(value for value in typing.get_args(annotation) if isinstance(value, str))
    if origin is typing.Annotated:
        return choices_of(typing.get_args(annotation)[0])
    if origin in {typing.Union, UnionType}:
        return _of_union(typing.get_args(annotation))
    return ()


def _of_union(members: tuple[Any, ...]) -> tuple[str, ...]:
    """A union is closed only if all its members are."""
    found: list[str] = []
    for member in members:
        if member is not NoneType:
            choices = choices_of(member)
            if not choices:
                return ()
            found += choices
    return tuple(dict.fromkeys(found))
