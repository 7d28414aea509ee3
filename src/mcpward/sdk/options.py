"""Options of decorators and constructors, checked before Python checks them: with the nearest name, not a TypeError."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, ParamSpec, TypeVar

from mcpward.core.spelling import nearest
from mcpward.sdk.errors import AuthoringError

P = ParamSpec("P")
R = TypeVar("R")
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REQUIRED: Final = inspect.Parameter.empty
_BY_PLACE: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
#: Names of options in other frameworks and the specification, and the names to write here.
_ELSEWHERE: Final = {
    "annotations": "read_only=True, destructive=True, idempotent=True or open_world=True",
    "auth": "scopes=['orders:read']",
    "read_only_hint": "read_only=True",
    "destructive_hint": "destructive=True",
    "idempotent_hint": "idempotent=True",
    "open_world_hint": "open_world=True",
    "timeout": "deadline_s=10",
    "rate_limit": 'rate="60/minute"',
    "tags": "meta={'example.com/tags': ['a']}",
    "host": "nothing here: mcpward serve tools.py --host ADDRESS",
    "port": "nothing here: mcpward serve tools.py --port 9000",
    "readonly": "read_only=True",
    "row_limit": "row_cap=1000",
    "pool_size": "max_concurrency=5",
}


def options(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for what authors call: ``what`` names it in errors (``@server.tool``).

    The function raises :class:`AuthoringError` for an unknown option, for a missing one, and for options given by
    position instead of by name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        owner = function.__qualname__.partition(".")[0] if "self" in signature.parameters else ""

        @functools.wraps(function)
        def checked(*args: P.args, **given: P.kwargs) -> R:
            if owner and not (args and owner in (one.__name__ for one in type(args[0]).__mro__)):
                hint = f'write server = Server("shop"), and {what} above the function'
                raise AuthoringError(f"{what} is a method of a server, not of the class {owner}", hint=hint)
            try:
                signature.bind(*args, **given)
            except TypeError:
                raise _mistake(what, signature, args, given) from None
            return function(*args, **given)

        return checked

    return decorate


def unknown_option(what: str, name: str, known: Iterable[str]) -> AuthoringError:
    """Return the error for an option that does not exist, with the nearest one that does, or all of them."""
    known = list(known)
    plain = _CAPITAL.sub("_", name).lower()
    meant = plain if plain in known else None
    elsewhere = _ELSEWHERE.get(plain)
    meant = meant or (None if elsewhere else nearest(plain, known))
    if meant:
        hint = f"did you mean {meant!r}?"
    elif elsewhere:
        hint = f"write {elsewhere}"
    else:
        hint = f"it has {', '.join(known)}"
    return AuthoringError(f"{what} has no option {name!r}", hint=hint)


def _mistake(what: str, signature: inspect.Signature, args: tuple[Any, ...], given: dict[str, Any]) -> AuthoringError:
    parameters = {name: one for name, one in signature.parameters.items() if name != "self"}
    by_place = [name for name, one in parameters.items() if one.kind in _BY_PLACE]
    by_name = [name for name, one in parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = [name for name in given if name not in parameters]
    if unknown:
        return unknown_option(what, unknown[0], parameters)
    taken = len(args) - ("self" in signature.parameters)
    if taken > len(by_place):
        if inspect.isroutine(args[-1]):  # a decorator without its options: what comes is the function
            needed = next((f"{name}=…" for name in by_name if parameters[name].default is _REQUIRED), "")
            return AuthoringError(f"{what} needs its options", hint=f"write {what}({needed}) above the function")
        first = by_name[0] if by_name else ""
        said = f"only {', '.join(map(repr, by_place))} by position" if by_place else "no positional arguments"
        return AuthoringError(f"{what} takes {said}", hint=f"name the others, as in {first}=…" if first else "")
    twice = [name for name in by_place[:taken] if name in given]
    if twice:
        return AuthoringError(f"{what} gets {twice[0]!r} twice", hint="by position or by name, not both")
    missing = [
        name
        for name, one in parameters.items()
        if one.default is _REQUIRED and name not in given and name not in by_place[:taken]
    ]
    if missing[0] == "function":
        return AuthoringError(f"{what} has no function", hint=f"write {what} above it, without parentheses")
    return AuthoringError(f"{what} needs {missing[0]!r}", hint=f"add {missing[0]}=…")
