"""Checks for the options of every decorator: names, scopes, times, words that exclude each other."""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from mcpward.core.scope import Access
from mcpward.core.spelling import nearest
from mcpward.core.values import UnknownArguments
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import where

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s](?:.{0,1998}[^\s])?", re.DOTALL)
#: RFC 6749 §3.3. With a space it would be two words, and no token could ever hold it.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
_TASKS: Final = (None, "optional", "required")
_LONGEST_DEADLINE_S: Final = 3600
_LONGEST_TTL_S: Final = 86_400
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_WORDS: Final = {bool: "True or False", str: "a text", int: "a number"}
Kinds = type | tuple[type, ...]


def require_name(name: Any, kind: str, place: str = "") -> None:
    """Refuse a name that the specification does not allow. Raises :class:`AuthoringError`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        what = f"{kind} {name!r}: a name has 1 to 128 of the characters A-Z a-z 0-9 _ . -"
        raise AuthoringError(what, place, _name_hint(name, kind))


def own_name(name: Any, function: Callable[..., Any], kind: str, taken: Mapping[str, Any]) -> str:
    """Return the name of a declaration: as given, else the function's. Raises :class:`AuthoringError`."""
    own = name if isinstance(name, str) else getattr(function, "__name__", "?")
    require_name(own, kind, where(function))
    if own in taken:
        what = f"{kind} {own!r} is declared twice (before: {taken[own].where})"
        raise AuthoringError(what, where(function), f'rename one of them, or set a name: @server.{kind}("…")')
    return own


def _name_hint(name: Any, kind: str) -> str:
    plain = _NO_NAME.sub("_", name).strip("_")[:128] if isinstance(name, str) else ""
    if not plain or plain == "lambda":
        return f'write a def, or name it: @server.{kind}("…")' if kind != "server" else 'write Server("shop")'
    return f'write "{plain}", and the name for people as title="…"'


def require_uri(uri: Any) -> str:
    """Return an author's URI back if it is absolute. Raises :class:`AuthoringError`."""
    if not isinstance(uri, str) or not _URI.fullmatch(uri):
        raise AuthoringError("a resource needs an absolute URI", hint='write @server.resource("orders://schema")')
    if not uri.isprintable():
        what = f"resource {uri!r} holds characters that cannot be printed"
        raise AuthoringError(what, hint="write them percent-encoded, such as %0A")
    return uri


def description_of(function: Callable[..., Any], given: str | None, title: str | None, name: str) -> str:
    """Return the description: as given, else the docstring, the title, the name."""
    return given or inspect.getdoc(function) or title or name.replace("_", " ")


def read_scopes(scopes: Any, what: str, place: str) -> frozenset[str]:
    """Return the scopes. Raises :class:`AuthoringError` for what is no list of words that a token could hold."""
    # Read once: an iterator that was looked through would be empty, and what it was to close would be open.
    words: list[Any] = list(scopes) if isinstance(scopes, Iterable) and not isinstance(scopes, str) else [None]
    if not all(isinstance(word, str) and word for word in words):
        raise AuthoringError(f"{what}: scopes is a list of texts", place, 'write scopes=["orders:read"]')
    for word in words:
        if not _SCOPE.fullmatch(word):
            several = ", ".join(f'"{one}"' for one in word.split()) if len(word.split()) > 1 else '"orders:read"'
            problem = f"{what}: scope {word!r} is not one ASCII word without quotes"
            raise AuthoringError(problem, place, f"write scopes=[{several}]")
    return frozenset(words)


def access_of(read_only: bool, destructive: bool, what: str, place: str) -> Access:
    """Return the access class of a tool. Raises :class:`AuthoringError` for both at once."""
    if read_only and destructive:
        problem = f"{what}: read_only and destructive exclude each other"
        raise AuthoringError(problem, place, "keep read_only=True only if a call changes nothing")
    if destructive:
        return Access.DESTRUCTIVE
    return Access.READ if read_only else Access.WRITE


def hints_of(
    title: str | None, read_only: bool, destructive: bool, idempotent: bool | None, open_world: bool | None
) -> dict[str, Any]:
    """Return the hints of the specification (``ToolAnnotations``); its own defaults are the careful ones."""
    hints: dict[str, Any] = {"readOnlyHint": read_only, "destructiveHint": destructive}
    if title is not None:
        hints["title"] = title
    if idempotent is not None:
        hints["idempotentHint"] = idempotent
    if open_world is not None:
        hints["openWorldHint"] = open_world
    return hints


def require_sound_run(  # the options of one decorator
    deadline_s: float | None, task: str | None, ask_first: bool, what: str, place: str
) -> None:
    """Refuse options of a tool's run that cannot hold. Raises :class:`AuthoringError`."""
    if deadline_s is not None and not 0 < deadline_s <= _LONGEST_DEADLINE_S:
        problem = f"{what}: deadline_s is more than 0 and at most {_LONGEST_DEADLINE_S} seconds"
        raise AuthoringError(problem, place, "write deadline_s=30; longer calls can run as a task")
    if task not in _TASKS:
        problem = f"{what}: task is None, 'optional' or 'required'"
        raise AuthoringError(problem, place, 'write task="optional", so that clients without tasks can call it too')
    if ask_first and task is None:
        raise AuthoringError(f"{what}: ask_first is for tools that run as tasks", place, 'add task="optional"')


def read_ttl(ttl_s: Any, what: str, place: str) -> float:
    """Return a time for which a client may keep something, in seconds. Raises :class:`AuthoringError`."""
    if type(ttl_s) not in {int, float} or not math.isfinite(ttl_s) or not 0 <= ttl_s <= _LONGEST_TTL_S:
        raise AuthoringError(f"{what}: ttl_s is 0 to {_LONGEST_TTL_S} seconds", place, "write a number: ttl_s=3600")
    return float(ttl_s)


def read_size(size: Any, what: str, place: str) -> int | None:
    """Return a resource's size in bytes. Raises :class:`AuthoringError`."""
    if size is not None and (type(size) is not int or size < 0):
        raise AuthoringError(f"{what}: size is a number of bytes", place, "write size=1024, or leave it out")
    return size


def no_parameter(who: str, name: str, known: Iterable[str], place: str) -> AuthoringError:
    """Return the error for a name that is no parameter, with the nearest one that is."""
    known = list(known)
    meant = nearest(name, known)
    listed = f"its parameters are {', '.join(known)}" if known else "it has no parameters"
    return AuthoringError(
        f"{who} names {name!r}, which is not a parameter", place, f"did you mean {meant!r}?" if meant else listed
    )


def require_kinds(what: str, place: str, **given: tuple[Any, Kinds, str]) -> None:
    """Refuse options of another type: ``name=(value, kinds, example)``. Raises :class:`AuthoringError`.

    ``read_only="no"`` would count as yes, and ``title=3`` would fail a client's list of all tools.
    """
    for name, (value, kinds, example) in given.items():
        if not isinstance(value, kinds) or (isinstance(value, bool) and not _takes_bool(kinds)):
            said = _WORDS.get(_first(kinds), _first(kinds).__name__)
            raise AuthoringError(
                f"{what}: {name} is {said}, not {type(value).__name__}", place, f"write {name}={example}"
            )


def _takes_bool(kinds: Kinds) -> bool:
    return bool in (kinds if isinstance(kinds, tuple) else (kinds,))


def _first(kinds: Kinds) -> type:
    return kinds[0] if isinstance(kinds, tuple) else kinds


def read_unknown(unknown: Any, what: str, place: str) -> str | None:
    """Return what happens to undeclared arguments. Raises :class:`AuthoringError`."""
    known = [each.value for each in UnknownArguments]
    if unknown is not None and unknown not in known:
        meant = nearest(str(unknown), known) or known[1]
        problem = f"{what}: unknown_arguments is {', '.join(map(repr, known))}"
        raise AuthoringError(problem, place, f'write unknown_arguments="{meant}"')
    return cast("str | None", unknown)
