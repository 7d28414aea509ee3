"""A call whose arguments passed: from the raw bytes, once, without coercion (attacks 73, 77).

Only what is refused, or may mean something else than it seems to, is looked at closely; see ``closely.py``.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.ids import error_id
from mcpward.core.pace import step
from mcpward.core.reasons import Reason
from mcpward.core.subschema import Place, Subschemas
from mcpward.core.values import AcceptedCall, Call, Tool
from mcpward.validation import written
from mcpward.validation.closely import look
from mcpward.validation.schema import is_of_guards, problems_of

_NONE: Final = b"{}"
_UNKNOWN: Final[Mapping[str, Any]] = {}
_MUCH: Final = (
    "fewer values in one call: checking all of them against every alternative of the schema would take too long"
)
_TOOLS: Final = 1024
_ENDS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)
_WRONG: Final = (ValidationError, msgspec.MsgspecError, ExceptionGroup, *_ENDS)
#: Integers of more than 64 bits: every database and most languages fail on them, each in its own way (attack 73).
_has_long_number: Final = re.compile(rb"[0-9]{19}").search
#: Large arguments are searched piece by piece; no suspect of ours is longer than what two pieces have in common.
_PIECE: Final = 65_536
_OVERLAP: Final = 128
_Bind = Callable[[bytes], dict[str, Any]]


def accept(call: Call, tool: Tool) -> AcceptedCall:
    """Return the accepted call. Its arguments are small, or ``tool.effort`` has found that they take little.

    Raises:
        Refusal: arguments-invalid with its ``Problems`` (path and rule each); argument-dangerous from a guard;
            tool-unknown for a caller without a value that the tool takes from it.
        Fault: an author's guard or validator would have ended the process.
    """
    raw = call.arguments
    if raw is None:
        raw = _NONE
    wrong: BaseException | None = None
    if (tool.suspects is None or tool.suspects(raw) is None) and _has_long_number(raw) is None:
        try:
            arguments, own = tool.bind(raw), tool.caller_values
            return AcceptedCall(call, tool, arguments if own is None else own.fill(call.principal, arguments))
        except _WRONG as error:
            wrong = error
    # Outside of "except": the error's text quotes the values, and a traceback would carry them into the log.
    return _accept_closely(call, tool, tool.bind, raw, wrong)


def is_little(call: Call, tool: Tool) -> bool:
    """Return whether accepting a call is short enough for the event loop."""
    effort, raw = tool.effort, call.arguments
    return effort is None or raw is None or len(raw) <= effort.light or effort.is_little(raw)


def accept_large(call: Call, tool: Tool) -> AcceptedCall:
    """Return the accepted call, as :func:`accept` does, on a thread that has begun a piece of long work.

    Raises:
        Refusal: as :func:`accept`; arguments-invalid as well for what would take too long to check (attack 121).
        Fault: as :func:`accept`.
    """
    raw, effort = call.arguments, tool.effort
    assert raw is not None  # else it is little
    assert effort is not None
    try:
        is_much = step(effort.is_too_much(raw))
    except ValueError:  # no JSON for one of the decoders: binding says so
        is_much = False
    if is_much:
        problems = Problems((Problem("", _MUCH),))
        raise Refusal(Reason.ARGUMENTS_INVALID, "they would take too long to check", problems)
    wrong: BaseException | None = None
    if not _is_suspicious(raw, tool):
        try:
            arguments, own = effort.bind(raw), tool.caller_values
            return AcceptedCall(call, tool, arguments if own is None else own.fill(call.principal, arguments))
        except _WRONG as error:
            wrong = error
    return _accept_closely(call, tool, effort.bind, raw, wrong)


def accept_prompt(
    call: Call, bind: Callable[[bytes], dict[str, Any]], schema: Mapping[str, Any] = _UNKNOWN
) -> dict[str, Any]:
    """Return the arguments of ``prompts/get`` as its function takes them. ``schema`` is that of the arguments.

    Raises:
        Refusal: params-invalid with its ``Problems``.
    """
    return _bound(bind, _NONE if call.arguments is None else call.arguments, schema)


def accept_variables(bind: Callable[[], dict[str, Any]], schema: Mapping[str, Any] = _UNKNOWN) -> dict[str, Any]:
    """Return the variables of a resource's URI as its function takes them. ``schema`` is that of the variables.

    Raises:
        Refusal: params-invalid with its ``Problems``.
    """
    return _bound(lambda _: bind(), _NONE, schema)


def _is_suspicious(raw: bytes, tool: Tool) -> bool:
    """Return what the two searches of :func:`accept` would, in steps between which others have their turn."""
    suspects = tool.suspects
    for start in range(0, len(raw), _PIECE):
        piece = step(raw[start : start + _PIECE + _OVERLAP])
        if _has_long_number(piece) is not None or (suspects is not None and suspects(piece) is not None):
            return True
    return False


def _accept_closely(call: Call, tool: Tool, bind: _Bind, raw: bytes, wrong: BaseException | None) -> AcceptedCall:
    """Look closely, and bind what was seen. ``wrong`` is what was wrong at the first sight, if there was one."""
    top = _top(tool)
    seen = None if isinstance(wrong, _ENDS) else look(raw, top, tool.unknown_arguments)
    if seen is not None and seen.problems:
        raise Refusal(Reason.ARGUMENTS_INVALID, "a value that no schema accepts", Problems(seen.problems))
    if wrong is None or (seen is not None and seen.raw is not None):
        try:
            arguments, own = bind(raw if seen is None or seen.raw is None else seen.raw), tool.caller_values
            filled = arguments if own is None else own.fill(call.principal, arguments)
            return AcceptedCall(call, tool, filled, () if seen is None else seen.dropped)
        except _WRONG as error:
            wrong = error
    no = _refusal(wrong, Reason.ARGUMENTS_INVALID, top, None if seen is None else seen.value)
    del wrong
    raise no


@lru_cache(_TOOLS)
def _top(tool: Tool) -> Place:
    return Subschemas(tool.listing.get("inputSchema", {})).top


def _bound(bind: Callable[[bytes], dict[str, Any]], raw: bytes, schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return bind(raw)
    except _WRONG as error:
        no = _refusal(error, Reason.PARAMS_INVALID, Subschemas(schema).top, None)
    raise no


def _refusal(error: BaseException, reason: Reason, top: Place, value: Any) -> Refusal | Fault:
    """Return the refusal that says what binding went wrong with, without a value."""
    if isinstance(error, ValidationError):
        problems = problems_of(error, top, value)
        if reason is Reason.ARGUMENTS_INVALID and is_of_guards(error):
            return Refusal(Reason.ARGUMENT_DANGEROUS, "a guard refused", Problems(tuple(problems)))
    elif isinstance(error, _ENDS):
        # An author's guard or validator that ends the process would end it for every caller.
        return Fault(error_id(), f"checking the arguments raised {type(error).__name__}")
    elif isinstance(error, ExceptionGroup):  # of a hand-written schema, likewise full of the caller's values
        problems = written.problems_of(error.exceptions, top)
    else:
        problems = [Problem("", "an object of strings")]
    return Refusal(reason, "the arguments do not fit the schema", Problems(tuple(problems)))
