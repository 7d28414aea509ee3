"""A call whose arguments passed: from the raw bytes, once, without coercion (attacks 73, 77)."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from mcpward.core.errors import Fault, Refusal
from mcpward.core.ids import error_id
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Call, Tool
from mcpward.validation import written
from mcpward.validation.numbers import LONG_NUMBER, find_long_integers
from mcpward.validation.schema import problems_of

_NONE: Final = b"{}"
_ENDS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)
_WRONG: Final = (ValidationError, msgspec.MsgspecError, ExceptionGroup, *_ENDS)
_has_long_number: Final = LONG_NUMBER.search


def accept(call: Call, tool: Tool) -> AcceptedCall:
    """Give the accepted call.

    Raises:
        Refusal: arguments-invalid with the fact ``problems`` (path and rule each); argument-dangerous from a guard.
        Fault: an author's guard or validator would have ended the process.
    """
    raw = call.arguments
    if raw is None:
        raw = _NONE
    if _has_long_number(raw) is not None:
        _require_short(raw, Reason.ARGUMENTS_INVALID)
    try:
        return AcceptedCall(call, tool, tool.bind(raw))
    except _WRONG as error:
        no = _refusal(error, Reason.ARGUMENTS_INVALID)
    raise no  # outside of "except": the error's text quotes the values, and a traceback would carry them into the log


def accept_prompt(call: Call, bind: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """Give the arguments of ``prompts/get`` as its function takes them.

    Raises:
        Refusal: params-invalid with the fact ``problems``.
    """
    return _bound(bind, _NONE if call.arguments is None else call.arguments, Reason.PARAMS_INVALID)


def accept_variables(bind: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Give the variables of a resource's URI as its function takes them.

    Raises:
        Refusal: params-invalid with the fact ``problems``.
    """
    return _bound(lambda _: bind(), _NONE, Reason.PARAMS_INVALID)


def _bound(bind: Callable[[bytes], dict[str, Any]], raw: bytes, reason: Reason) -> dict[str, Any]:
    if _has_long_number(raw) is not None:
        _require_short(raw, reason)
    try:
        return bind(raw)
    except _WRONG as error:
        no = _refusal(error, reason)
    raise no


def _require_short(raw: bytes, reason: Reason) -> None:
    problems = find_long_integers(raw)
    if problems:
        raise Refusal(reason, "an integer does not fit in 64 bits", problems=problems)


def _refusal(error: BaseException, reason: Reason) -> Refusal | Fault:
    """Say what binding went wrong with, without a value."""
    if isinstance(error, ValidationError):
        problems = problems_of(error)
    elif isinstance(error, _ENDS):
        # An author's guard or validator that ends the process would end it for everybody.
        return Fault(error_id(), f"checking the arguments raised {type(error).__name__}")
    elif isinstance(error, ExceptionGroup):  # of a hand-written schema, likewise full of the caller's values
        problems = written.problems_of(error.exceptions)
    else:
        problems = [{"path": "", "rule": "an object of texts"}]
    return Refusal(reason, "the arguments do not fit the schema", problems=problems)
