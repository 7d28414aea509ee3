"""Two store requests in one round trip: the charge of a call, and the slots that it will need.

The charge is requested first. If it is answered at once, nothing else is requested: a caller refused a moment ago is
refused again from memory. So a flood of refused calls does not reach the shared slots either.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Pipelined(Generic[T]):
    """Awaits ``first``; ``then`` is called in the turn in which it begins to wait, if it waits at all."""

    __slots__ = ("_first", "_then")

    def __init__(self, first: Awaitable[T], then: Callable[[], object]) -> None:
        self._first = first
        self._then = then

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._first.__await__()
        try:
            waits_for = next(steps)
            self._then()
            while True:
                try:
                    sent = yield waits_for
                except BaseException as thrown:  # noqa: BLE001  # a cancellation is the awaited one's to meet
                    waits_for = steps.throw(thrown)
                else:
                    waits_for = steps.send(sent)
        except StopIteration as done:
            answer: T = done.value
            return answer
