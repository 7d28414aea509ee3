"""Reads an author's function: which parameters the model fills, which the house injects, what comes back.

Everything that cannot be served is refused here, at import, in one line that names function and parameter.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union

from msgspec import Struct

from mcpward.sdk.context import Caller, Context
from mcpward.sdk.errors import AuthoringError

REQUIRED = inspect.Parameter.empty
_NO_VALUE = (None, NoneType)
_STARRED = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class Parameter(Struct, frozen=True):
    """One parameter that the caller fills. ``default`` is :data:`REQUIRED` where there is none."""

    name: str
    annotation: Any
    default: Any


class Signature(Struct, frozen=True, kw_only=True):
    """A function as the house calls it.

    ``caller``, ``context`` and ``lifespan`` (what the server's lifespan yields) name the injected parameters ("" for
    none).
    """

    parameters: tuple[Parameter, ...]
    caller: str
    context: str
    returns: Any
    is_async: bool
    lifespan: str = ""


def where(function: Callable[..., Any]) -> str:
    """Give ``file:line`` of a function, or "" where Python does not know."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def read_signature(function: Callable[..., Any], what: str, lifespan: Any = None) -> Signature:
    """Read ``function``; ``what`` names it in errors (``tool 'query_orders'``).

    ``lifespan`` is the class of what the server's lifespan yields: a parameter of that class is filled with it.

    Raises:
        AuthoringError: a parameter without annotation, ``*args``, a generator, an annotation that means nothing, …
    """
    _require_plain_function(function, what)
    hints = _hints(function, what)
    injected: dict[Any, str] = {Caller: "", Context: ""}
    if lifespan not in _NO_VALUE:
        injected[lifespan] = ""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        annotation = hints.get(parameter.name, REQUIRED)
        _require_servable(parameter, annotation, what, function)
        wanted = _injected(annotation, injected)
        if wanted is None:
            parameters.append(Parameter(parameter.name, annotation, parameter.default))
        elif injected[wanted]:
            asked = getattr(wanted, "__name__", wanted)
            raise AuthoringError(f"{what}: two parameters ask for {asked}", where(function))
        else:
            injected[wanted] = parameter.name
    return Signature(
        parameters=tuple(parameters),
        caller=injected[Caller],
        context=injected[Context],
        returns=hints.get("return", REQUIRED),
        is_async=inspect.iscoroutinefunction(function),
        lifespan=injected.get(lifespan, ""),
    )


def _require_plain_function(function: Callable[..., Any], what: str) -> None:
    if not inspect.isroutine(function):
        raise AuthoringError(f"{what}: only functions can be served, not {type(function).__name__} objects")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AuthoringError(f"{what}: a generator cannot be served; report progress instead", where(function))


def _hints(function: Callable[..., Any], what: str) -> dict[str, Any]:
    try:
        # Resolves the strings of ``from __future__ import annotations`` in the author's own module.
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        hint = "annotations must be importable from the module's top level"
        raise AuthoringError(f"{what}: the annotation {error.name!r} is not known; {hint}", where(function)) from error
    except Exception as error:
        raise AuthoringError(f"{what}: an annotation cannot be read: {error}", where(function)) from error


def _require_servable(parameter: inspect.Parameter, annotation: Any, what: str, function: Callable[..., Any]) -> None:
    name = parameter.name
    if parameter.kind in _STARRED:
        raise AuthoringError(f"{what}: {_STARRED[parameter.kind]}{name} has no schema; name it", where(function))
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise AuthoringError(f"{what}: parameter {name!r} is positional-only; arguments come by name", where(function))
    if annotation is REQUIRED:
        raise AuthoringError(f"{what}: parameter {name!r} has no annotation", where(function))
    if name.startswith("_"):
        raise AuthoringError(f"{what}: parameter {name!r} must not start with an underscore", where(function))


def _injected(annotation: Any, injected: Mapping[Any, str]) -> Any:
    """Return which injected type an annotation asks for, through ``Annotated`` and ``| None``; None for none."""
    if typing.get_origin(annotation) is Annotated:
        return _injected(typing.get_args(annotation)[0], injected)
    if typing.get_origin(annotation) in {Union, UnionType}:
        members = [member for member in typing.get_args(annotation) if member is not NoneType]
        return _injected(members[0], injected) if len(members) == 1 else None
    return next((wanted for wanted in injected if annotation is wanted or annotation == wanted), None)
