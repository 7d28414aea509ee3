"""Reads ``confirm=``: whether a person must agree to a call, and the text that they are asked with."""

import inspect
from collections.abc import Callable, Collection
from typing import Any, Final

from msgspec import Struct

from mcpward.core.question_text import Wording, read_wording, unknown_names
from mcpward.sdk.checks import no_parameter
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import REQUIRED, Signature, read_signature, where

LONGEST: Final = 500
_EXAMPLE: Final = 'write confirm=True, confirm="Cancel order {order_id}?", or a function that returns the question'


class Confirm(Struct, frozen=True, kw_only=True, eq=False):
    """The option, read. ``question`` is the author's text, ``wording`` its parts if arguments stand in it.

    ``function`` returns the question of one call; ``signature`` is how it is called.
    """

    is_asked: bool = False
    question: str = ""
    wording: Wording | None = None
    function: Callable[..., Any] | None = None
    signature: Signature | None = None


def read_confirm(confirm: Any, names: Collection[str], lifespan: Any, what: str, place: str) -> Confirm:
    """Return what ``confirm=`` asks for. ``names`` are those of the tool's arguments.

    Raises:
        AuthoringError: it is no question, or names something that is no parameter of the tool.
    """
    if isinstance(confirm, bool):
        return Confirm(is_asked=confirm)
    if isinstance(confirm, str):
        return Confirm(is_asked=True, question=confirm, wording=_wording(confirm, names, what, place))
    if inspect.isroutine(confirm):
        return _computed(confirm, names, lifespan, what)
    said = f"True, False, a question of at most {LONGEST} characters, or a function"
    raise AuthoringError(f"{what}: confirm is {said}", place, _EXAMPLE)


def _wording(text: str, names: Collection[str], what: str, place: str) -> Wording | None:
    if not text.strip() or len(text) > LONGEST:
        problem = f"{what}: confirm is a question of 1 to {LONGEST} characters"
        raise AuthoringError(problem, place, _EXAMPLE)
    if "{" not in text and "}" not in text:
        return None
    try:
        wording = read_wording(text)
    except ValueError as wrong:
        raise AuthoringError(f"{what}: confirm: {wrong}", place, _EXAMPLE) from None
    for name in unknown_names(wording, names):
        no = no_parameter(f"{what}: confirm", name, names, place)
        hint = f"{no.hint}; for anything but an argument, write a function: confirm=question"
        raise AuthoringError(no.what, place, hint)
    return wording


def _computed(function: Callable[..., Any], names: Collection[str], lifespan: Any, what: str) -> Confirm:
    who, place = f"{what}: the function of confirm", where(function)
    signature = read_signature(function, who, lifespan)
    if signature.context:
        problem = f"{who} takes a Context, and nothing can be asked or reported before a person agrees"
        raise AuthoringError(problem, place, f"remove {signature.context!r}")
    for parameter in signature.parameters:
        if parameter.name not in names and parameter.default is REQUIRED:
            raise no_parameter(who, parameter.name, names, place)
    if signature.returns not in (str, REQUIRED):
        raise AuthoringError(f"{who} returns something else than a text", place, "write -> str")
    return Confirm(is_asked=True, function=function, signature=signature)
