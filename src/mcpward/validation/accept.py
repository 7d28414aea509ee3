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


def accept(call: Call, tool: Tool) -> AcceptedCall:
    """Give the accepted call.

    Raises:
        Refusal: arguments-invalid with the fact ``problems`` (path and rule each); argument-dangerous from a guard.
    """
    raw = call.arguments if call.arguments is not None else _NONE
    return AcceptedCall(call=call, tool=tool, arguments=_bound(tool.bind, raw, Reason.ARGUMENTS_INVALID))


def accept_prompt(call: Call, bind: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """Give the arguments of ``prompts/get`` as its function takes them.

    Raises:
        Refusal: params-invalid with the fact ``problems``.
    """
    raw = call.arguments if call.arguments is not None else _NONE
    return _bound(bind, raw, Reason.PARAMS_INVALID)


def accept_variables(bind: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Give the variables of a resource's URI as its function takes them.

    Raises:
        Refusal: params-invalid with the fact ``problems``.
    """
    return _bound(lambda _: bind(), _NONE, Reason.PARAMS_INVALID)


def _bound(bind: Callable[[bytes], dict[str, Any]], raw: bytes, reason: Reason) -> dict[str, Any]:
    if LONG_NUMBER.search(raw) is not None:
        problems = find_long_integers(raw)
        if problems:
            raise Refusal(reason, "an integer does not fit in 64 bits", problems=problems)
    try:
        return bind(raw)
    except ValidationError as error:
        # Without "from error": its text quotes the values, and a traceback would carry them into the log.
        problems = problems_of(error)
    except (KeyboardInterrupt, SystemExit, GeneratorExit) as ended:
        # An author's guard or validator that ends the process would end it for everybody.
        raise Fault(error_id(), f"checking the arguments raised {type(ended).__name__}") from None
    except msgspec.MsgspecError:
        problems = [{"path": "", "rule": "an object of texts"}]
    except ExceptionGroup as errors:  # of a hand-written schema, likewise full of the caller's values
        problems = written.problems_of(errors.exceptions)
    raise Refusal(reason, "the arguments do not fit the schema", problems=problems)
