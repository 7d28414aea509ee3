"""Reads an author's function: which parameters the model fills, which mcpward injects, what comes back.

Everything that cannot be served is refused here, at import, in one line that names function and parameter.
"""

import builtins
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, NoneType, UnionType
from typing import Annotated, Any, Union

from msgspec import Struct

from mcpward.core.spelling import nearest
from mcpward.sdk.context import Caller, Context
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.from_caller import BoundParameter, bound_parameter
from mcpward.sdk.place import place_of

REQUIRED = inspect.Parameter.empty
_NO_VALUE = (None, NoneType)
_STARRED = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class Parameter(Struct, frozen=True):
    """One parameter that the caller fills. ``default`` is :data:`REQUIRED` if there is none."""

    name: str
    annotation: Any
    default: Any


class Signature(Struct, frozen=True, kw_only=True):
    """A function as mcpward calls it.

    ``caller``, ``context`` and ``lifespan`` (what the server's lifespan yields) name the injected parameters ("" for
    none). ``bound`` are those that the caller's identity fills.
    """

    parameters: tuple[Parameter, ...]
    caller: str
    context: str
    returns: Any
    is_async: bool
    lifespan: str = ""
    bound: tuple[BoundParameter, ...] = ()


def where(function: Callable[..., Any]) -> str:
    """Return ``file:line`` of a function, or "" if Python does not know."""
    code = unwrapped_code(function)
    return place_of(code.co_filename, code.co_firstlineno) if code is not None else ""


def unwrapped_code(function: Callable[..., Any]) -> CodeType | None:
    """Return the code that an author wrote, below decorators that say what they wrap; None if there is none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code if isinstance(code, CodeType) else None


def read_signature(
    function: Callable[..., Any], what: str, lifespan: Any = None, *, may_bind: bool = False
) -> Signature:
    """Read ``function``; ``what`` names it in errors (``tool 'query_orders'``).

    ``lifespan`` is the class of what the server's lifespan yields: a parameter of that class is filled with it. With
    ``may_bind``, parameters may be filled by ``FromCaller``.

    Raises:
        AuthoringError: a parameter without annotation, ``*args``, a generator, an annotation that means nothing, …
    """
    _require_plain_function(function, what)
    hints = _hints(function, what)
    injected: dict[Any, str] = {Caller: "", Context: ""}
    if lifespan not in _NO_VALUE:
        injected[lifespan] = ""
    parameters = []
    bound = []
    for parameter in inspect.signature(function).parameters.values():
        annotation = hints.get(parameter.name, REQUIRED)
        _require_servable(parameter, annotation, what, function)
        wanted = _injected(annotation, injected)
        own = bound_parameter(parameter.name, annotation, parameter.default, what, where(function))
        if own is not None:
            if not may_bind:
                hint = "take caller: Caller, and read it there"
                raise AuthoringError(f"{what}: FromCaller is for the parameters of tools", where(function), hint)
            bound.append(own)
        elif wanted is None:
            parameters.append(Parameter(parameter.name, annotation, parameter.default))
        elif injected[wanted]:
            asked = getattr(wanted, "__name__", wanted)
            hint = f"keep one of {injected[wanted]!r} and {parameter.name!r}"
            raise AuthoringError(f"{what}: two parameters ask for {asked}", where(function), hint)
        else:
            injected[wanted] = parameter.name
    return Signature(
        parameters=tuple(parameters),
        caller=injected[Caller],
        context=injected[Context],
        returns=hints.get("return", REQUIRED),
        is_async=inspect.iscoroutinefunction(function),
        lifespan=injected.get(lifespan, ""),
        bound=tuple(bound),
    )


def _require_plain_function(function: Callable[..., Any], what: str) -> None:
    if not inspect.isroutine(function):
        problem = f"{what}: only functions can be served, not {type(function).__name__} objects"
        raise AuthoringError(problem, hint="write a def that calls it, and decorate that")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        hint = "return a list; to report progress, await context.report_progress(…)"
        raise AuthoringError(f"{what}: a generator cannot be served", where(function), hint)


def _hints(function: Callable[..., Any], what: str) -> dict[str, Any]:
    try:
        # Resolves the strings of ``from __future__ import annotations`` in the author's own module.
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        known = {**vars(builtins), **getattr(inspect.unwrap(function), "__globals__", {})}
        meant = nearest_name(str(error.name), known)
        hint = f"did you mean {meant!r}?" if meant else "define or import it at the top level of the file"
        problem = f"{what}: the annotation {error.name!r} is not known"
        raise AuthoringError(problem, where(function), hint) from error
    except Exception as error:
        problem = f"{what}: an annotation cannot be read: {error}"
        raise AuthoringError(problem, where(function), "write a type, as in limit: int") from error


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the name that looks most like ``name``, in whatever case it is written."""
    by_lower = {one.lower(): one for one in known if not one.startswith("_")}
    meant = nearest(name.lower(), by_lower)
    return by_lower[meant] if meant else None


def _require_servable(parameter: inspect.Parameter, annotation: Any, what: str, function: Callable[..., Any]) -> None:
    name = parameter.name
    mistake: tuple[str, str] | None = None
    if parameter.kind in _STARRED:
        mistake = f"{_STARRED[parameter.kind]}{name} has no schema", _starred_hint(parameter, function)
    elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        mistake = f"parameter {name!r} is positional-only; arguments come by name", "remove the / from the def"
    elif annotation is REQUIRED and name in {"self", "cls"}:
        mistake = (
            f"it is a method, so {name!r} cannot be filled",
            "declare a function, or server.tool(shop.method) of an object",
        )
    elif annotation is REQUIRED:
        mistake = f"parameter {name!r} has no annotation", _annotation_hint(parameter)
    elif name.startswith("_"):
        mistake = f"parameter {name!r} must not start with an underscore", f"call it {name.strip('_') or 'value'!r}"
    if mistake:
        raise AuthoringError(f"{what}: {mistake[0]}", where(function), mistake[1])


def _starred_hint(parameter: inspect.Parameter, function: Callable[..., Any]) -> str:
    if function.__qualname__.partition("<locals>")[2]:  # what a decorator made of the author's function
        return "if this comes from your decorator, add @functools.wraps to it, or put @server.tool below it"
    kind = "list" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "dict"
    return f"write {parameter.name}: {kind}[{'str, ' * (kind == 'dict')}str], or name each argument"


def _annotation_hint(parameter: inspect.Parameter) -> str:
    injected = {"caller": "Caller", "context": "Context", "ctx": "Context"}.get(parameter.name)
    default = type(parameter.default).__name__
    is_plain = parameter.default is not REQUIRED and parameter.default is not None
    return f"write {parameter.name}: {injected or (default if is_plain else 'str')}, or its type"


def _injected(annotation: Any, injected: Mapping[Any, str]) -> Any:
    """Return which injected type an annotation asks for, through ``Annotated`` and ``| None``; None for none."""
    if typing.get_origin(annotation) is Annotated:
        return _injected(typing.get_args(annotation)[0], injected)
    if typing.get_origin(annotation) in {Union, UnionType}:
        members = [member for member in typing.get_args(annotation) if member is not NoneType]
        return _injected(members[0], injected) if len(members) == 1 else None
    return next((wanted for wanted in injected if annotation is wanted or annotation == wanted), None)
