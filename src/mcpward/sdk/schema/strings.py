"""Parameters that are filled only from texts, as those of prompts are: a type that no text can be is refused."""

import dataclasses
import typing
from types import NoneType, UnionType
from typing import Any, Final

from pydantic import BaseModel

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import Signature

_HOLDING_OTHERS: Final = (list, dict, set, frozenset, tuple)


def require_strings(signature: Signature, what: str, place: str) -> None:
    """Refuse a parameter of a prompt that no text can fill (MCP, prompts: arguments are strings).

    Raises:
        AuthoringError: a list, a dict, a model or a dataclass.
    """
    for parameter in signature.parameters:
        if not _is_readable(parameter.annotation):
            problem = f"{what}: a prompt's arguments are texts, and {parameter.name!r} cannot be read from one"
            raise AuthoringError(problem, place, f"write {parameter.name}: str, and parse it in the function")


def _is_readable(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _is_readable(typing.get_args(annotation)[0])
    if origin in {typing.Union, UnionType}:
        return any(_is_readable(member) for member in typing.get_args(annotation) if member is not NoneType)
    kind = origin or annotation
    if not isinstance(kind, type):
        return True
    return not (issubclass(kind, (*_HOLDING_OTHERS, BaseModel)) or dataclasses.is_dataclass(kind))
