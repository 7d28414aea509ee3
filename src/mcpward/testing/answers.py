"""Answers to what a server asks its client: a person's form or yes, a model's text, the client's folders."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pydantic_core
from msgspec import Struct

from mcpward.tools.consent import is_consent

#: The key under which a test answers the question of ``confirm=``.
CONFIRM_KEY: Final = "confirm"
CAPABILITIES: Final[Mapping[str, Any]] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}, "context": {}},
    "roots": {"listChanged": False},
}
"""The capabilities of a client that answers."""


class _Action(Struct, frozen=True):
    name: str

    def __repr__(self) -> str:
        return self.name.upper()


DECLINE: Final = _Action("decline")
"""The person says no."""
CANCEL: Final = _Action("cancel")
"""The person closes the form without a word."""


class Question(Struct, frozen=True, kw_only=True):
    """One question of a call.

    ``kind`` is ``confirm``, ``form``, ``url``, ``sample`` or ``roots``; ``key`` is ``confirm`` for the question of
    ``confirm=``, else as the function named it, or ``input-1``, ``input-2``, …; ``params`` are the request's.
    """

    key: str
    kind: str
    message: str
    params: Mapping[str, Any]

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of a form."""
        schema: Mapping[str, Any] = self.params.get("requestedSchema") or {}
        return schema


Answers = Mapping[str, Any] | Callable[[Question], Any]
"""By key, or a function that is asked."""


def question_of(key: str, request: Mapping[str, Any]) -> Question:
    """Return a request to the client as a question."""
    params: Mapping[str, Any] = request.get("params") or {}
    if is_consent(key):
        return Question(key=CONFIRM_KEY, kind=CONFIRM_KEY, message=str(params.get("message", "")), params=params)
    match request["method"]:
        case "sampling/createMessage":
            texts = [_text_of(message.get("content")) for message in params.get("messages", ())]
            return Question(key=key, kind="sample", message="\n".join(texts), params=params)
        case "roots/list":
            return Question(key=key, kind="roots", message="", params=params)
    kind = "url" if params.get("mode") == "url" else "form"
    return Question(key=key, kind=kind, message=str(params.get("message", "")), params=params)


def response_to(question: Question, answers: Answers) -> Any:
    """Return the client's response to a question.

    Raises:
        AssertionError: nothing answers it, or the answer is none to a question of this kind.
    """
    if callable(answers):
        answer = answers(question)
    elif question.key in answers:
        answer = answers[question.key]
    else:
        raise AssertionError(
            f"no answer is set for the question {question.key!r} ({question.kind}): {question.message!r}; set "
            f"answers={{{question.key!r}: {_EXAMPLES[question.kind]}}}"
        )
    response = _RESPONSES[question.kind](answer)
    if response is None:
        raise AssertionError(
            f"{answer!r} is not an answer to the question {question.key!r} ({question.kind}); use "
            f"{_EXAMPLES[question.kind]}"
        )
    return response


def _confirmed(answer: Any) -> Any:
    if isinstance(answer, _Action):
        return {"action": answer.name}
    if isinstance(answer, bool):
        return {"action": "accept", "content": {"confirm": True}} if answer else {"action": "decline"}
    return None


def _filled(answer: Any) -> Any:
    if isinstance(answer, _Action):
        return {"action": answer.name}
    content = pydantic_core.to_jsonable_python({} if answer is True else answer)
    return {"action": "accept", "content": content} if isinstance(content, dict) else None


def _opened(answer: Any) -> Any:
    if isinstance(answer, _Action):
        return {"action": answer.name}
    if isinstance(answer, bool):
        return {"action": "accept" if answer else "decline"}
    return None


def _sampled(answer: Any) -> Any:
    if isinstance(answer, str):
        content = {"type": "text", "text": answer}
        return {"role": "assistant", "content": content, "model": "test", "stopReason": "endTurn"}
    return dict(answer) if isinstance(answer, Mapping) else None


def _rooted(answer: Any) -> Any:
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        return None
    return {"roots": [{"uri": each} if isinstance(each, str) else each for each in answer]}


def _text_of(content: Any) -> str:
    blocks = content if isinstance(content, list) else [content]
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, Mapping))


_RESPONSES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "confirm": _confirmed, "form": _filled, "url": _opened, "sample": _sampled, "roots": _rooted,
}  # fmt: skip
_EXAMPLES: Final[Mapping[str, str]] = {
    "confirm": "True, False, DECLINE or CANCEL",
    "form": "a dict or a model with its fields, DECLINE or CANCEL",
    "url": "True, DECLINE or CANCEL",
    "sample": "the model's text",
    "roots": '["file:///folder"]',
}
