"""Asks a person before a tool runs: the text that they see, and the answers that count as consent."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec
import pydantic_core

from mcpward.config.span import span_text
from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems, Remedy
from mcpward.core.ids import base62
from mcpward.core.question_text import Wording
from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod, Tool
from mcpward.tools.shown import shown

KEY: Final = "mcpward/confirm"
"""The question's key, which no author's question has. The key of a text that a function made ends in its digest."""
CAPABILITY: Final[Mapping[str, Any]] = {"elicitation": {"form": {}}}
"""The capability that a client must have declared to be asked."""
PAGE_KEY: Final = "mcpward/confirm-page"
"""The keys of requests to open a page begin so; the approval's id follows."""
PAGE_CAPABILITY: Final[Mapping[str, Any]] = {"elicitation": {"url": {}}}
"""The capability that a client must have declared to open pages."""
_FIELD: Final = "confirm"

#: The longest text of one argument, and of all, that a person can be expected to read, in characters as shown.
_LONGEST: Final = 4_000
_LONGEST_IN_ALL: Final = 8_000
#: The longest value within a sentence; whole, it stands among the arguments below. And the longest text of a function.
_LONGEST_IN_TEXT: Final = 200
_LONGEST_TEXT: Final = 1_000
#: What a client may take for markup within a sentence: a link, an image, an element, emphasis, a table.
_MARKUP: Final = re.compile(r"[<>\[\]*`|~]")
_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {_FIELD: {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": [_FIELD],
}
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_encode: Final = msgspec.json.Encoder().encode
#: Numbers with a fraction stay as they were spelt: a tool may take them for decimals, which a float would round.
_decode: Final = msgspec.json.Decoder(float_hook=lambda spelt: msgspec.Raw(spelt.encode())).decode


def is_consent(key: str) -> bool:
    """Return whether a question of this key is mcpward's own, for a person's consent."""
    return key.startswith(KEY)


def worded(wording: Wording, arguments: Mapping[str, Any], raw: bytes | None = None) -> str:
    """Return an author's text with the arguments in their places: a text in quotes, nothing that is taken for markup.

    Invariant: no value can end the line, hide a part of it, or pass for words of the author.
    """
    said, inner = _said(raw), arguments.get("arguments")
    others = inner if isinstance(inner, Mapping) else {}
    text = []
    for literal, name in wording.parts:
        text.append(literal)
        if name:
            value = said.get(name, arguments.get(name, others.get(name)))
            written = _json(value) if name in said else _written(value)
            text.append(_in_text(written))
    return "".join(text)


def computed(text: str) -> str:
    """Return what an author's function has made of a question, as one line that hides nothing and has a length."""
    cut = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
    return _MARKUP.sub(_by_number, shown(cut.strip()))


def asked_text(question: Question) -> str:
    """Return the whole text that a person reads."""
    return str(question.params["message"])


def question_of(
    tool: Tool,
    arguments: Mapping[str, Any],
    raw: bytes | None = None,
    text: str = "",
    why: str = "",
    *,
    is_computed: bool = False,
) -> Question:
    """Return the question before a call: ``text`` of the author's own, the tool, and each argument whole, on one line.

    ``arguments`` are what the function takes, ``raw`` what the caller sent of them: shown as it was sent. ``why`` is
    the reason of a rule. The answer to a text that ``is_computed`` counts only as long as the text is the same.

    Raises:
        Refusal: consent-missing; an argument, or all of them, are too long to be shown. A person does not agree to what
            they do not see.
    """
    lines = [text or f"Allow the tool {shown(tool.name)} to run?"]
    if text:
        lines.append(f"Tool: {shown(tool.name)}")
    if why:
        lines.append(f"Why: {shown(why)}")
    own = tool.caller_values
    filled = {} if own is None else own.sources
    said = {name: value for name, value in _said(raw).items() if name not in filled}
    rest = _LONGEST_IN_ALL
    for name, value in arguments.items():
        line = _line(name, said.get(name, value), is_said=name in said)
        if name in filled:
            line += _FILLED if filled[name] else _FIXED
        rest -= len(line)
        if len(line) > _LONGEST or rest < 0:
            raise _unreadable(name, len(line))
        lines.append(line)
    message = "\n".join(lines)
    params = {"message": message, "requestedSchema": _SCHEMA}
    key = f"{KEY}-{sha256(message.encode()).hexdigest()[:16]}" if is_computed else KEY
    return Question(key=key, method="elicitation/create", params=params, capability=CAPABILITY)


#: After an argument that the model cannot set.
_FILLED: Final = " (from the caller)"
_FIXED: Final = " (fixed by the operator)"
DECLINED: Final = "the person declined; do not call the tool again unless they ask for it"


def no_way_to_ask(way: AuthMethod) -> str:
    """Return what to do if the client cannot ask a person: for its model, and for the person who reads it there."""
    said = "this client cannot ask a person. Use a client that can (one with the MCP capability elicitation)"
    if way is AuthMethod.API_KEY:
        return f"{said}, or ask the operator to waive the question for this key (mcpward key edit ID --may-confirm)"
    if way is AuthMethod.OAUTH:
        return f"{said}, or ask the operator for the scope that waives the question (confirm_scope)"
    return said


def page_key(approval_id: str) -> str:
    """Return the key of the request to open the page of an approval: the answer counts for no other page."""
    return f"{PAGE_KEY}-{approval_id}"


def page_question(tool: Tool, url: str, approval_id: str, *, is_session: bool) -> Question:
    """Return the request to have the person open the page of a call. Only their client sees the address, no model."""
    message = f"Allow the tool {shown(tool.name)} to run? The page shows the whole call."
    params = {"mode": "url", "message": message, "url": url}
    if is_session:  # 2025-11-25 names each page; 2026-07-28 took the name out
        params["elicitationId"] = base62(22)
    return Question(key=page_key(approval_id), method="elicitation/create", params=params, capability=PAGE_CAPABILITY)


def waits_for(approval_id: str, within_s: float, way: AuthMethod, *, has_page: bool = False) -> str:
    """Return what to do if a call waits for an approval: for its model, and for the person who reads it there.

    It never has the address of the page: a model that can fetch pages would approve its own calls.
    """
    if has_page:
        return (
            f"the page was not answered yet. Once the person has approved there, or the operator by mcpward approve "
            f"call {approval_id} (within {span_text(within_s)}), repeat exactly the same call: it runs once"
        )
    said = (
        f"this client cannot ask a person, so the call waits. Ask the operator: mcpward approve call {approval_id} "
        f"(within {span_text(within_s)}). Once it is approved, repeat exactly the same call: it runs once"
    )
    waives = {AuthMethod.API_KEY: "key (mcpward key edit ID --may-confirm)", AuthMethod.OAUTH: "scope (confirm_scope)"}
    if way not in waives:
        return said
    return f"{said}. If the client asks its person by itself, the operator can waive the question by {waives[way]}"


def is_yes(result: Any) -> bool:
    """Return whether the client's result is a person's consent: accepted, and exactly ``true``."""
    if not isinstance(result, Mapping) or result.get("action") != "accept":
        return False
    content = result.get("content")
    return isinstance(content, Mapping) and content.get(_FIELD) is True


def _in_text(written: str) -> str:
    cut = written if len(written) <= _LONGEST_IN_TEXT else f"{written[:_LONGEST_IN_TEXT]}…"
    return _MARKUP.sub(_by_number, shown(cut))


def _by_number(sign: re.Match[str]) -> str:
    return f"\\u{{{ord(sign.group()):x}}}"


def _said(raw: bytes | None) -> Mapping[str, Any]:
    """Return the arguments as the caller spelt them; none if they are far too long to be shown."""
    if raw is None or len(raw) > 8 * _LONGEST_IN_ALL:
        return {}
    try:
        said = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _line(name: str, value: Any, *, is_said: bool) -> str:
    written = _json(value) if is_said else _written(value)
    named = name if _PLAIN_NAME.fullmatch(name) else _json(name)
    # A text that is far too long is not checked character by character.
    return f"{named}: {written}" if len(named) + len(written) > _LONGEST else f"{shown(named)}: {shown(written)}"


def _json(value: Any) -> str:
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _written(value)


def _written(value: Any) -> str:
    """Write what was not sent: a default of the author's own, or what an argument became under another name."""
    try:
        written = pydantic_core.to_json(
            value, by_alias=True, inf_nan_mode="constants", bytes_mode="base64", fallback=_kind
        )
    except (ValueError, TypeError, RecursionError):
        return _kind(value)
    return written.decode("utf-8", "replace")


def _kind(value: Any) -> str:
    return f"<{type(value).__name__}>"


def _unreadable(name: str, length: int) -> Refusal:
    named = shown(_json(name[:64]))
    if length > _LONGEST:
        what, most = f"the argument {named} has {length} characters", f"{_LONGEST}"
    else:
        what, most = f"the arguments up to {named} have more than {_LONGEST_IN_ALL} characters", f"{_LONGEST_IN_ALL}"
    advice = (
        f"a person must approve this call, and can be shown at most {most} characters: {what}. Send less in one call"
    )
    problems = Problems((Problem(name[:64], f"at most {most} characters, as displayed to a person"),))
    return Refusal(Reason.CONSENT_MISSING, "too long to show to a person", Remedy(advice), problems)
