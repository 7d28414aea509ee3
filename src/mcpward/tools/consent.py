"""Asks a person before a tool runs: what they are shown, and what counts as their yes."""

import unicodedata
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import pydantic_core

from mcpward.core.back import Question
from mcpward.core.values import Tool, Way

KEY: Final = "mcpward/confirm"
"""The question's key, which no author's question has."""
_FIELD: Final = "confirm"

_ARGUMENTS: Final = 20
_LONGEST: Final = 200
_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {_FIELD: {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": [_FIELD],
}
#: Controls, formats (bidirectional and zero-width), surrogates, private use, line and paragraph separators: a person
#: would be shown something else than what runs (attack 84).
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def question_of(tool: Tool, arguments: Mapping[str, Any], text: str = "") -> Question:
    """Give the question before a call: ``text`` of the author's own, the tool, each argument shortened to a line."""
    lines = [text or f"Allow the tool {_shown(tool.name)} to run?"]
    if text:
        lines.append(f"Tool: {_shown(tool.name)}")
    shown = islice(arguments.items(), _ARGUMENTS)
    lines += [f"{_shown(name)}: {_shown(_written(value))}" for name, value in shown]
    if len(arguments) > _ARGUMENTS:
        lines.append(f"and {len(arguments) - _ARGUMENTS} more arguments")
    params = {"message": "\n".join(lines), "requestedSchema": _SCHEMA}
    return Question(key=KEY, method="elicitation/create", params=params, capability={"elicitation": {"form": {}}})


DECLINED: Final = "the person was asked and did not agree; do not call it again unless they ask for it"


def no_way_to_ask(way: Way) -> str:
    """Return what to do where the client cannot ask a person: for its model, and for the person who reads it there."""
    said = "this client cannot ask a person. Use a client that can (one with the MCP capability elicitation)"
    if way is Way.API_KEY:
        return f"{said}, or ask the operator to let this key call it without (mcpward key set ID --may-confirm)"
    if way is Way.OAUTH:
        return f"{said}, or ask the operator for the scope that lets you call it without (confirm_scope)"
    return said


def is_yes(result: Any) -> bool:
    """Say whether the client's result is a person's yes: accepted, and ``true`` to the letter."""
    if not isinstance(result, Mapping) or result.get("action") != "accept":
        return False
    content = result.get("content")
    return isinstance(content, Mapping) and content.get(_FIELD) is True


def _written(value: Any) -> str:
    try:
        written = pydantic_core.to_json(
            value, by_alias=True, inf_nan_mode="constants", bytes_mode="base64", fallback=_kind
        )
    except (ValueError, TypeError, RecursionError):
        return _kind(value)
    return written.decode("utf-8", "replace")


def _kind(value: Any) -> str:
    return f"<{type(value).__name__}>"


def _shown(text: str) -> str:
    """One visible line; a cut is seen, so that nothing hides behind it."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(sign) in _UNSEEN else sign for sign in short)
