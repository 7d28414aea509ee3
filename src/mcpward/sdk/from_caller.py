"""``FromCaller``: a parameter that the caller's identity fills. It is in no schema, and the model cannot set it."""

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Struct
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mcpward.core.caller_path import CallerPath, read_caller_path
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.options import options

_REQUIRED: Final = inspect.Parameter.empty


@dataclass(frozen=True, init=False)
class FromCaller:
    """Fills a parameter from the caller: ``tenant: Annotated[str, FromCaller("tags.tenant")]``.

    ``path`` is ``subject``, ``issuer``, ``client`` (OAuth), ``claims.NAME`` (a claim of the token; dots lead into
    objects) or ``tags.NAME`` (a tag of the API key). A caller without the value cannot see or call the tool.

    Raises:
        AuthoringError: there is nothing of that name.
    """

    path: str

    @options("FromCaller")
    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise AuthoringError("FromCaller: the path is a text", hint='write FromCaller("subject")')
        try:
            read_caller_path(path)
        except ValueError as error:
            raise AuthoringError(f"FromCaller: {error}", hint=_meant(path)) from None
        vars(self).update(path=path)


class BoundParameter(Struct, frozen=True):
    """A parameter that mcpward fills from the caller."""

    name: str
    annotation: Any
    path: CallerPath


def bound_parameter(name: str, annotation: Any, default: Any, what: str, where: str) -> BoundParameter | None:
    """Return the parameter as bound to the caller, None if it is the model's.

    Raises:
        AuthoringError: ``FromCaller`` stands where it would bind nothing, so that the model could set the value.
    """
    own = _own(annotation)
    said = f"{what}: parameter {name!r}"
    if isinstance(default, FromCaller) or default is FromCaller:
        hint = f"write {name}: Annotated[str, FromCaller({_path_of(default)})]"
        raise AuthoringError(f"{said}: FromCaller is not a default", where, hint)
    if FromCaller in own:
        raise AuthoringError(f"{said}: FromCaller needs a path", where, 'write FromCaller("subject")')
    markers = [one for one in own if isinstance(one, FromCaller)]
    if not markers:
        if any(_is_marker(one) for one in _within(annotation, set())):
            problem = f"{said}: FromCaller inside another type binds nothing"
            raise AuthoringError(problem, where, f'write {name}: Annotated[…, FromCaller("subject")] around the whole')
        return None
    if len(markers) > 1:
        raise AuthoringError(f"{said} has FromCaller twice", where, "keep one of them")
    if default is not _REQUIRED:
        hint = "remove the default; for a value that a caller may lack, take caller: Caller"
        raise AuthoringError(f"{said}: FromCaller and a default exclude each other", where, hint)
    return BoundParameter(name, annotation, read_caller_path(markers[0].path))


def _path_of(default: Any) -> str:
    return f'"{getattr(default, "path", "subject")}"'


def _is_marker(one: Any) -> bool:
    return isinstance(one, FromCaller) or one is FromCaller


def _own(annotation: Any) -> tuple[Any, ...]:
    """Return what stands in the outermost ``Annotated``."""
    return typing.get_args(annotation)[1:] if typing.get_origin(annotation) is Annotated else ()


def _within(annotation: Any, seen: set[Any]) -> Iterator[Any]:
    """Yield all that stands in an ``Annotated`` at any depth, in fields of classes too."""
    yield from _own(annotation)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        if annotation not in seen:
            seen.add(annotation)
            for inner in _fields(annotation):
                yield from _within(inner, seen)
        return
    for part in typing.get_args(annotation):
        if isinstance(part, FieldInfo):
            yield from part.metadata
        elif not isinstance(part, str | int | bytes | bool):  # a Literal's
            yield from _within(part, seen)


def _fields(kind: type) -> Iterator[Any]:
    if issubclass(kind, BaseModel):
        for field in kind.model_fields.values():
            yield Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    elif dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
        try:
            yield from typing.get_type_hints(kind, include_extras=True).values()
        except Exception:  # noqa: BLE001  reported elsewhere, with its line
            return


def _meant(path: str) -> str:
    plain = path.strip().removeprefix("caller.").removeprefix("claim.").removeprefix("tag.")
    for group in ("claims", "tags"):
        if path.strip().removeprefix("caller.").startswith(f"{group[:-1]}."):
            return f'write FromCaller("{group}.{plain}")'
    try:
        read_caller_path(plain)
    except ValueError:
        simple = plain.isidentifier()
        return f'write FromCaller("claims.{plain}") or FromCaller("tags.{plain}")' if simple else "see its docstring"
    return f'write FromCaller("{plain}")'
