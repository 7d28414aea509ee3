"""The form of each method's params: types and lengths, checked before any other code reads them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcpward.core.invalid import invalid
from mcpward.protocol.meta import LOG_LEVELS
from mcpward.protocol.methods import CALL, COMPLETE, GET_PROMPT, INITIALIZE, SET_LEVEL, SUBSCRIBE, UNSUBSCRIBE

LONGEST_URI: Final = 2048
_LONGEST_NAME: Final = 1024
_LONGEST_VALUE: Final = 1024
_LONGEST_KEY: Final = 256
_LONGEST_STATE: Final = 64 * 1024
_MOST: Final = 64
#: Each one that a prompt does not have is reported by its name.
_MOST_ARGUMENTS: Final = 256
_PLAIN: Final = re.compile(r"[A-Za-z0-9_$-]{1,64}", re.ASCII)


def require_params(method: str, params: Mapping[str, Any]) -> None:
    """Refuse params of a wrong shape. Raises :class:`Refusal` (params-invalid)."""
    arguments = params.get("arguments")
    if arguments is not None and type(arguments) is not dict:
        raise invalid("arguments", "an object")
    if method == CALL:
        return
    cursor = params.get("cursor")
    if cursor is not None and type(cursor) is not str:
        raise invalid("cursor", "a string")
    if (rule := _RULES.get(method)) is not None:
        rule(params)


def inputs(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``inputResponses``: one object per key. Raises :class:`Refusal` (params-invalid)."""
    answers = params.get("inputResponses", _NONE)
    if (
        type(answers) is not dict
        or len(answers) > _MOST
        or not all(len(key) <= _LONGEST_KEY and type(answer) is dict for key, answer in answers.items())
    ):
        raise invalid("inputResponses", f"an object of at most {_MOST} objects")
    return answers


def state(params: Mapping[str, Any]) -> str | None:
    """Return ``requestState``, None if there is none. Raises :class:`Refusal` (params-invalid)."""
    said = params.get("requestState", _NONE)
    if said is _NONE:
        return None
    if type(said) is not str or len(said) > _LONGEST_STATE:
        raise invalid("requestState", "the string that came with the questions, of at most 64 KiB")
    return said


def _initialize(params: Mapping[str, Any]) -> None:
    """Clients written by hand leave out their name and capabilities: an empty object says the same."""
    if type(params.get("protocolVersion")) is not str:
        raise invalid("protocolVersion", "a string such as 2025-11-25")
    for member in ("capabilities", "clientInfo"):
        value = params.get(member)
        if value is not None and type(value) is not dict:
            raise invalid(member, "an object")
    client = params.get("clientInfo") or _NONE
    for member in ("name", "version"):
        value = client.get(member)
        if value is not None and type(value) is not str:
            raise invalid(f"clientInfo.{member}", "a string")


def _prompt(params: Mapping[str, Any]) -> None:
    arguments = params.get("arguments") or {}
    if len(arguments) > _MOST_ARGUMENTS:
        raise invalid("arguments", f"an object of at most {_MOST_ARGUMENTS} strings")
    for name, value in arguments.items():
        if type(value) is not str and value is not None:  # null: not given
            raise invalid(f"arguments.{name if _PLAIN.fullmatch(name) else '?'}", "a string")


def _completion(params: Mapping[str, Any]) -> None:
    ref = params.get("ref")
    member = _REFERENCE.get(ref["type"]) if type(ref) is dict and type(ref.get("type")) is str else None
    if ref is None or member is None or not _is_text(ref.get(member), LONGEST_URI):
        raise invalid("ref", '{"type": "ref/prompt", "name": "…"} or {"type": "ref/resource", "uri": "…"}')
    argument = params.get("argument")
    if (
        type(argument) is not dict
        or not _is_text(argument.get("name"), _LONGEST_NAME)
        or not _is_text(argument.get("value"), _LONGEST_VALUE)
    ):
        raise invalid("argument", f"an object with name and value, strings of at most {_LONGEST_VALUE} characters")
    context = params.get("context")
    if context is None or context == []:
        return
    known = context.get("arguments") if type(context) is dict else 0
    if known is None or known == []:
        return
    if (
        type(known) is not dict
        or len(known) > _MOST
        or not all(len(name) <= _LONGEST_NAME and _is_text(value, _LONGEST_VALUE) for name, value in known.items())
    ):
        raise invalid("context.arguments", f"an object of at most {_MOST} strings")


def _level(params: Mapping[str, Any]) -> None:
    level = params.get("level")
    if type(level) is not str or level not in LOG_LEVELS:
        raise invalid("level", f"one of {', '.join(LOG_LEVELS)}")


def _uri(params: Mapping[str, Any]) -> None:
    if not _is_text(params.get("uri"), LONGEST_URI):
        raise invalid("uri", f"a string of at most {LONGEST_URI} characters")


def _task(params: Mapping[str, Any]) -> None:
    if not _is_text(params.get("taskId"), _LONGEST_KEY):
        raise invalid("taskId", f"a string of at most {_LONGEST_KEY} characters")


def _task_update(params: Mapping[str, Any]) -> None:
    _task(params)
    if "inputResponses" not in params:
        raise invalid("inputResponses", "required: an object of objects")


def _is_text(value: object, longest: int) -> bool:
    return type(value) is str and len(value) <= longest


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
