"""What holds for the options of every decorator: names, scopes, times, words that exclude each other."""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from mcpward.core.scope import Access
from mcpward.core.values import UnknownArguments
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards import Guard
from mcpward.sdk.signature import where

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s](?:.{0,1998}[^\s])?", re.DOTALL)
#: RFC 6749 §3.3. With a space it would be two words, and no token could ever hold it.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
_TASKS: Final = (None, "optional", "required")
_LONGEST_DEADLINE_S: Final = 3600
_LONGEST_TTL_S: Final = 86_400
_LONGEST_QUESTION: Final = 500


def require_name(name: Any, kind: str, place: str = "") -> None:
    """Refuse a name that the specification does not allow. Raises :class:`AuthoringError`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AuthoringError(f"{kind} {name!r}: a name has 1 to 128 of the characters A-Z a-z 0-9 _ . -", place)


def own_name(name: Any, function: Callable[..., Any], kind: str, taken: Mapping[str, Any]) -> str:
    """Give the name of a declaration: as given, else the function's. Raises :class:`AuthoringError`."""
    own = name if isinstance(name, str) else getattr(function, "__name__", "?")
    require_name(own, kind, where(function))
    if own in taken:
        raise AuthoringError(f"{kind} {own!r} is declared twice (before: {taken[own].where})", where(function))
    return own


def require_uri(uri: Any) -> str:
    """Give an author's URI back if it is absolute. Raises :class:`AuthoringError`."""
    if not isinstance(uri, str) or not _URI.fullmatch(uri):
        raise AuthoringError("a resource needs an absolute URI, as in @server.resource('orders://schema')")
    if not uri.isprintable():
        raise AuthoringError(f"resource {uri!r}: write its unprintable characters percent-encoded, such as %0A")
    return uri


def description_of(function: Callable[..., Any], given: str | None, title: str | None, name: str) -> str:
    """Give the description: as given, else the docstring, the title, the name."""
    return given or inspect.getdoc(function) or title or name.replace("_", " ")


def read_scopes(scopes: Any, what: str, place: str) -> frozenset[str]:
    """Give the scopes. Raises :class:`AuthoringError` for what is no list of words that a token could hold."""
    # Read once: an iterator that was looked through would be empty, and what it was to close would be open.
    words: list[Any] = list(scopes) if isinstance(scopes, Iterable) and not isinstance(scopes, str) else [None]
    if not all(isinstance(word, str) and word for word in words):
        raise AuthoringError(f"{what}: scopes is a list, as in scopes=['orders:read']", place)
    for word in words:
        if not _SCOPE.fullmatch(word):
            raise AuthoringError(f"{what}: scope {word!r} is not one word of ASCII without quotes", place)
    return frozenset(words)


def access_of(read_only: bool, destructive: bool, what: str, place: str) -> Access:
    """Give the access class of a tool. Raises :class:`AuthoringError` for both at once."""
    if read_only and destructive:
        raise AuthoringError(f"{what}: read_only and destructive exclude each other", place)
    if destructive:
        return Access.DESTRUCTIVE
    return Access.READ if read_only else Access.WRITE


def hints_of(
    title: str | None, read_only: bool, destructive: bool, idempotent: bool | None, open_world: bool | None
) -> dict[str, Any]:
    """Give the hints of the specification (``ToolAnnotations``); its own defaults are the careful ones."""
    hints: dict[str, Any] = {"readOnlyHint": read_only, "destructiveHint": destructive}
    if title is not None:
        hints["title"] = title
    if idempotent is not None:
        hints["idempotentHint"] = idempotent
    if open_world is not None:
        hints["openWorldHint"] = open_world
    return hints


def require_sound_run(  # the options of one decorator
    deadline_s: float | None, confirm: Any, task: str | None, ask_first: bool, what: str, place: str
) -> None:
    """Refuse options of a tool's run that cannot hold. Raises :class:`AuthoringError`."""
    if deadline_s is not None and not 0 < deadline_s <= _LONGEST_DEADLINE_S:
        raise AuthoringError(f"{what}: deadline_s is more than 0 and at most {_LONGEST_DEADLINE_S} seconds", place)
    if not isinstance(confirm, bool | str) or (isinstance(confirm, str) and not _is_question(confirm)):
        said = f"True, False or a question of at most {_LONGEST_QUESTION} characters"
        raise AuthoringError(f"{what}: confirm is {said}", place)
    if task not in _TASKS:
        raise AuthoringError(f"{what}: task is None, 'optional' or 'required'", place)
    if ask_first and task is None:
        raise AuthoringError(f"{what}: ask_first is for tools that run as tasks", place)


def read_ttl(ttl_s: Any, what: str, place: str) -> float:
    """Give a time for which a client may keep something, in seconds. Raises :class:`AuthoringError`."""
    if type(ttl_s) not in {int, float} or not math.isfinite(ttl_s) or not 0 <= ttl_s <= _LONGEST_TTL_S:
        raise AuthoringError(f"{what}: ttl_s is 0 to {_LONGEST_TTL_S} seconds", place)
    return float(ttl_s)


def read_size(size: Any, what: str, place: str) -> int | None:
    """Give a resource's size in bytes. Raises :class:`AuthoringError`."""
    if size is not None and (type(size) is not int or size < 0):
        raise AuthoringError(f"{what}: size is a number of bytes", place)
    return size


def require_known(guards: Sequence[Guard], names: tuple[str, ...], what: str, place: str) -> None:
    """A guard over a parameter that does not exist would check nothing. Raises :class:`AuthoringError`."""
    for guard in guards:
        unknown = [name for name in guard.parameters if name not in names]
        if unknown:
            raise AuthoringError(f"{what}: {type(guard).__name__} names {unknown[0]!r}, which is no parameter", place)


def read_unknown(unknown: Any, what: str, place: str) -> str | None:
    """Return what happens to undeclared arguments. Raises :class:`AuthoringError`."""
    known = [each.value for each in UnknownArguments]
    if unknown is not None and unknown not in known:
        raise AuthoringError(f"{what}: unknown_arguments is {', '.join(map(repr, known))}", place)
    return cast("str | None", unknown)


def _is_question(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _LONGEST_QUESTION
