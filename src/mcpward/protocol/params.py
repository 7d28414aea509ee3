"""What the params of each method must look like: types and lengths, looked at before anyone else reads them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.protocol.meta import LOG_LEVELS
from mcpward.protocol.methods import CALL, COMPLETE, GET_PROMPT, INITIALIZE, SET_LEVEL, SUBSCRIBE, UNSUBSCRIBE

LONGEST_URI: Final = 2048
_LONGEST_NAME: Final = 1024
_LONGEST_VALUE: Final = 1024
_LONGEST_KEY: Final = 256
_LONGEST_STATE: Final = 64 * 1024
_MOST: Final = 64


def require_params(method: str, params: Mapping[str, Any]) -> None:
    """Refuse params of a wrong shape. Raises :class:`Refusal` (params-invalid)."""
    arguments = params.get("arguments")
    if arguments is not None and type(arguments) is not dict:
        raise _invalid("arguments must be an object")
    if method == CALL:
        return
    cursor = params.get("cursor")
    if cursor is not None and type(cursor) is not str:
        raise _invalid("cursor must be a string")
    if (rule := _RULES.get(method)) is not None:
        rule(params)


def inputs(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give ``inputResponses``: one object per key. Raises :class:`Refusal` (params-invalid)."""
    answers = params.get("inputResponses", _NONE)
    if (
        type(answers) is not dict
        or len(answers) > _MOST
        or not all(len(key) <= _LONGEST_KEY and type(answer) is dict for key, answer in answers.items())
    ):
        raise _invalid("inputResponses must be an object of objects")
    return answers


def state(params: Mapping[str, Any]) -> str | None:
    """Give ``requestState``, None where there is none. Raises :class:`Refusal` (params-invalid)."""
    said = params.get("requestState", _NONE)
    if said is _NONE:
        return None
    if type(said) is not str or len(said) > _LONGEST_STATE:
        raise _invalid("requestState must be a string of at most 64 KiB")
    return said


def _initialize(params: Mapping[str, Any]) -> None:
    """Clients written by hand leave out how they are called and what they can: an empty object says the same."""
    if type(params.get("protocolVersion")) is not str:
        raise _invalid("protocolVersion must be a string")
    for member in ("capabilities", "clientInfo"):
        value = params.get(member)
        if value is not None and type(value) is not dict:
            raise _invalid(f"{member} must be an object")
    client = params.get("clientInfo") or _NONE
    for member in ("name", "version"):
        value = client.get(member)
        if value is not None and type(value) is not str:
            raise _invalid(f"clientInfo.{member} must be a string")


def _prompt(params: Mapping[str, Any]) -> None:
    arguments = params.get("arguments")
    if arguments and not all(type(value) is str for value in arguments.values()):
        raise _invalid("a prompt's arguments must be strings")


def _completion(params: Mapping[str, Any]) -> None:
    ref = params.get("ref")
    member = _REFERENCE.get(ref["type"]) if type(ref) is dict and type(ref.get("type")) is str else None
    if ref is None or member is None or not _is_text(ref.get(member), LONGEST_URI):
        raise _invalid("ref must name a prompt or a resource")
    argument = params.get("argument")
    if (
        type(argument) is not dict
        or not _is_text(argument.get("name"), _LONGEST_NAME)
        or not _is_text(argument.get("value"), _LONGEST_VALUE)
    ):
        raise _invalid("argument must have a name and a value, both strings")
    context = params.get("context")
    if context is None:
        return
    known = context.get("arguments") if type(context) is dict else 0
    if known is None:
        return
    if (
        type(known) is not dict
        or len(known) > _MOST
        or not all(len(name) <= _LONGEST_NAME and _is_text(value, _LONGEST_VALUE) for name, value in known.items())
    ):
        raise _invalid("context.arguments must be an object of strings")


def _level(params: Mapping[str, Any]) -> None:
    level = params.get("level")
    if type(level) is not str or level not in LOG_LEVELS:
        raise _invalid("level is not one of the eight")


def _uri(params: Mapping[str, Any]) -> None:
    if not _is_text(params.get("uri"), LONGEST_URI):
        raise _invalid("uri must be a string")


def _task(params: Mapping[str, Any]) -> None:
    if not _is_text(params.get("taskId"), _LONGEST_KEY):
        raise _invalid("taskId must be a string")


def _task_update(params: Mapping[str, Any]) -> None:
    _task(params)
    if "inputResponses" not in params:
        raise _invalid("tasks/update needs inputResponses")


def _is_text(value: object, longest: int) -> bool:
    return type(value) is str and len(value) <= longest


def _invalid(detail: str) -> Refusal:
    return Refusal(Reason.PARAMS_INVALID, detail)


_NONE: Final[Mapping[str, Any]] = {}
_REFERENCE: Final = {"ref/prompt": "name", "ref/resource": "uri"}
_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {
    INITIALIZE: _initialize,
    GET_PROMPT: _prompt,
    COMPLETE: _completion,
    SET_LEVEL: _level,
    SUBSCRIBE: _uri,
    UNSUBSCRIBE: _uri,
    "tasks/get": _task,
    "tasks/update": _task_update,
    "tasks/cancel": _task,
}
