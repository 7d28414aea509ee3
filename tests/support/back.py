"""A way back to the caller that a test holds in its hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mcpward.core.client_channel import InputRequired, Question


class Letterbox:
    """Keeps what is sent and asked. Gives ``answers`` by key; ends the call where one is missing, as the modern era."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers
        self.sent: list[bytes] = []
        self.asked: list[Question] = []
        self.released = 0
        self.retained = 0

    def notify(self, message: bytes) -> None:
        self.sent.append(message)

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        self.asked += questions
        missing = tuple(question for question in questions if question.key not in self.answers)
        if missing:
            raise InputRequired(missing)
        return {question.key: self.answers[question.key] for question in questions}

    def release(self) -> None:
        self.released += 1

    def retain(self) -> Callable[[], None]:
        self.retained += 1
        return self._let_go

    def _let_go(self) -> None:
        self.retained -= 1

    @property
    def messages(self) -> list[Any]:
        return [msgspec.json.decode(message) for message in self.sent]
