"""An author's code at the start and the end of a worker: read and checked here, run by the tools package.

A lifespan is an async context manager, as in Starlette, FastAPI and the MCP SDKs. Functions receive the yielded value
by annotation, so its type must be known when they are declared. It is read from the lifespan's own annotation.
"""

import inspect
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any, Final, TypeVar
from uuid import UUID

from msgspec import Struct

from mcpward.core.secret import Secret
from mcpward.sdk.context import Caller, Context
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import read_signature, where

NOTHING: Final = NoneType
_SAY: Final = "annotate the yielded type: async def lifespan() -> AsyncIterator[Shop]"
_WRITE: Final = "write @asynccontextmanager above an async def function that yields once"
_YIELDED: Final = (AsyncIterator, AsyncGenerator, AsyncIterable, AbstractAsyncContextManager)
#: The types of arguments: the model fills a parameter of such a type.
_DATA: Final = (
    str, bytes, int, float, complex, dict, list, tuple, set, frozenset, date, time, timedelta, Decimal, Enum, PurePath,
    UUID, Secret, Caller, Context, type,
)  # fmt: skip

Make = Callable[..., AbstractAsyncContextManager[Any]]


class Lifespan(Struct, frozen=True, kw_only=True, eq=False):
    """One server's lifespan. ``value`` is the class of what it yields, :data:`NOTHING` for none.

    ``takes_server`` says that ``make`` is called with the :class:`~mcpward.sdk.server.Server`, as in FastMCP.
    """

    make: Make
    name: str
    where: str
    value: Any
    takes_server: bool

    def require(self, value: Any) -> None:
        """Require that what was yielded is what the annotation says.

        Raises:
            AuthoringError: it is something else; the author's functions would get what they do not expect.
        """
        wanted = typing.get_origin(self.value) or self.value
        if getattr(wanted, "_is_protocol", False) or isinstance(value, wanted):
            return
        said = "None" if self.value is NOTHING else f"a {_name(wanted)}"
        got = "None" if value is None else f"a {type(value).__name__}"
        raise AuthoringError(f"{self.name} is annotated to yield {said}, but yields {got}", self.where)


class Hook(Struct, frozen=True, kw_only=True, eq=False):
    """A function for the start or the end. ``parameter`` takes what the lifespan yields ("" for none)."""

    function: Callable[..., Any]
    name: str
    where: str
    parameter: str
    is_async: bool


def read_lifespan(lifespan: Any, server: str) -> Lifespan | None:
    """Return the lifespan of a server; None if it has none.

    Raises:
        AuthoringError: it is no function or class that makes an async context manager, or does not say what it yields.
    """
    if lifespan is None:
        return None
    what = f"the lifespan of server {server!r}"
    place = _place(lifespan)
    if not callable(lifespan):
        _refuse_object(lifespan, what, place)
    is_class = inspect.isclass(lifespan)
    if is_class:
        if not (hasattr(lifespan, "__aenter__") and hasattr(lifespan, "__aexit__")):
            raise AuthoringError(f"{what}: {lifespan.__name__} has no __aenter__ and __aexit__; {_WRITE}", place)
    else:
        _require_manager(lifespan, what, place)
    return Lifespan(
        make=lifespan,
        name=what,
        where=place,
        value=_value(lifespan.__aenter__ if is_class else lifespan, lifespan if is_class else None, what, place),
        takes_server=_takes_server(lifespan, what, place),
    )


def read_hook(function: Any, kind: str, lifespan: Lifespan | None) -> Hook:
    """Return a function for the start or the end, read; ``kind`` is the decorator's name.

    Raises:
        AuthoringError: it takes something else than what the lifespan yields, or cannot be called.
    """
    what = f"@server.{kind}"
    if not inspect.isroutine(function):
        given = type(function).__name__
        raise AuthoringError(f"{what} is for a function, not {given}", "", f"write {what} above it, without arguments")
    what = f"{kind} function {function.__name__!r}"
    signature = read_signature(function, what, None if lifespan is None else lifespan.value)
    strange = [*(one.name for one in signature.parameters), signature.caller, signature.context]
    if strange := list(filter(None, strange)):
        may = "no parameters" if lifespan is None or lifespan.value is NOTHING else "only the yielded object"
        raise AuthoringError(f"{what}: parameter {strange[0]!r}: it takes {may}; there is no caller", where(function))
    return Hook(
        function=function,
        name=what,
        where=where(function),
        parameter=signature.lifespan,
        is_async=signature.is_async,
    )


def _place(lifespan: Any) -> str:
    if inspect.isclass(lifespan):
        maker = vars(lifespan).get("__aenter__") or vars(lifespan).get("__init__")
        return where(maker) if inspect.isroutine(maker) else ""
    return where(lifespan) if callable(lifespan) else ""


def _refuse_object(lifespan: Any, what: str, place: str) -> None:
    if hasattr(lifespan, "__aenter__"):
        raise AuthoringError(f"{what} was called: pass the function itself, without ()", place)
    raise AuthoringError(f"{what} is a {type(lifespan).__name__}; {_WRITE}", place)


def _require_manager(function: Callable[..., Any], what: str, place: str) -> None:
    """Distinguish the common mistakes, each with its remedy."""
    if hasattr(function, "__aenter__"):
        raise AuthoringError(f"{what} was called: pass the function itself, without ()", place)
    inner = inspect.unwrap(function)
    if inspect.isasyncgenfunction(function):
        raise AuthoringError(f"{what} lacks its decorator: {_WRITE}", place)
    if inspect.iscoroutinefunction(inner):
        raise AuthoringError(f"{what} never yields: {_WRITE}; for a start without a stop use @server.on_start", place)
    if inspect.isgeneratorfunction(inner):
        raise AuthoringError(f"{what} is not async: {_WRITE}", place)
    if not inspect.isasyncgenfunction(inner) and not _is_annotated_manager(function):
        raise AuthoringError(f"{what} does not make an async context manager: {_WRITE}", place)


def _is_annotated_manager(function: Callable[..., Any]) -> bool:
    try:
        hint = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001  whatever an annotation raises, it says nothing
        return False
    origin = typing.get_origin(hint) or hint
    return inspect.isclass(origin) and hasattr(origin, "__aenter__") and hasattr(origin, "__aexit__")


def _takes_server(lifespan: Callable[..., Any], what: str, place: str) -> bool:
    try:
        parameters = inspect.signature(lifespan).parameters.values()
    except (TypeError, ValueError):  # a class of C's
        return False
    needed = [one for one in parameters if one.default is one.empty and one.kind in _ASKING]
    if len(needed) > 1 or any(one.kind is one.KEYWORD_ONLY for one in needed):
        raise AuthoringError(f"{what} takes nothing, or only the server; not {needed[-1].name!r}", place)
    return bool(needed)


_ASKING: Final = (
    inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY,
)  # fmt: skip


def _value(function: Callable[..., Any], owner: type | None, what: str, place: str) -> Any:
    """Return the class of what is yielded, from the annotation of the function, or of ``owner.__aenter__``."""
    try:
        hint = typing.get_type_hints(inspect.unwrap(function)).get("return", ...)
    except NameError as error:
        raise AuthoringError(f"{what}: the annotation {error.name!r} is not known", place) from error
    except Exception as error:
        raise AuthoringError(f"{what}: its annotation cannot be read", place) from error
    if owner is not None:
        found = owner if hint is ... or hint is typing.Self or isinstance(hint, TypeVar) else hint
    elif hint is ...:
        raise AuthoringError(f"{what} does not {_SAY}", place)
    else:
        found = _yielded(hint, what, place)
    _require_class(found, what, place)
    return found


def _yielded(hint: Any, what: str, place: str) -> Any:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in _YIELDED and arguments and arguments[0] is not Any:
        return NOTHING if arguments[0] is None else arguments[0]
    if hint in _YIELDED or Any in arguments or hint in (Any, None, NoneType):
        raise AuthoringError(f"{what} does not {_SAY}", place)
    entered = getattr(hint, "__aenter__", None)
    if entered is None:
        raise AuthoringError(f"{what} is annotated with {_name(hint)}; {_SAY}", place)
    return hint


def _require_class(found: Any, what: str, place: str) -> None:
    """A parameter of this type is filled by mcpward: it must not be one that a model could be meant to fill."""
    origin = typing.get_origin(found) or found
    if found is NOTHING:
        return
    is_union = origin in (typing.Union, types.UnionType)
    if not inspect.isclass(origin) or is_union or origin is object or issubclass(origin, _DATA):
        raise AuthoringError(
            f"{what} yields {_name(found)}, which a tool cannot tell from an argument: "
            "yield an object of a class of your own, such as a dataclass",
            place,
        )


def _name(value: Any) -> str:
    if inspect.isclass(value) and not typing.get_args(value):
        return value.__name__
    return str(value).replace("typing.", "")
