"""Puts a tool's questions to the person at the terminal, as a client would show its form. No terminal: no answer."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from mcpward.cli import ui

_DECLINED: Final[Mapping[str, Any]] = {"action": "decline"}


def can_ask() -> bool:
    """Return whether a person is there: both to read and to write."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_all(requests: Mapping[str, Any]) -> dict[str, Any]:
    """Ask every question (``inputRequests`` of a result), and return the answers by key."""
    return {key: _ask(request) for key, request in requests.items()}


def _ask(request: Any) -> Mapping[str, Any]:
    params = request.get("params", {}) if isinstance(request, Mapping) else {}
    schema = params.get("requestedSchema")
    if not isinstance(schema, Mapping):
        return {"action": "cancel"}
    for line in str(params.get("message", "")).splitlines():
        ui.remark(ui.safe(line))
    content: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        try:
            value = _field(name, field, is_required=name in schema.get("required", ()))
        except (EOFError, ValueError):
            return _DECLINED
        if value is not None:
            content[name] = value
    # A form with one checkbox that was answered with no is a refusal: its person meant that.
    if list(content.values()) == [False]:
        return _DECLINED
    return {"action": "accept", "content": content}


def _field(name: str, field: Mapping[str, Any], *, is_required: bool) -> Any:
    """Read one field of a form; None if it was left empty.

    Raises:
        ValueError: the input is not valid for this field, or a field that is required was left empty.
        EOFError: the person has closed the terminal.
    """
    title = ui.safe(field.get("title") or name)
    kind = field.get("type")
    if kind == "boolean":
        return ui.confirmed(f"{title}?")
    choices = _choices(field)
    shown = f" ({', '.join(ui.safe(one) for one in choices)})" if choices else ""
    typed = _line(f"{title}{shown}: ")
    if not typed:
        if is_required and "default" not in field:
            raise ValueError("left empty")
        return field.get("default")
    if kind == "array":
        return [part.strip() for part in typed.split(",")]
    return int(typed) if kind == "integer" else float(typed) if kind == "number" else typed


def _choices(field: Mapping[str, Any]) -> list[str]:
    of = field.get("items", field) if field.get("type") == "array" else field
    titled = of.get("oneOf") or of.get("anyOf") or ()
    return [str(one) for one in of.get("enum", ())] or [str(one.get("const")) for one in titled]


def _line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()
