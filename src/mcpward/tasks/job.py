"""A task that runs at this worker: what it has said and asked, and how it is ended from outside."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Raw

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Outcome
from mcpward.tasks.record import Record, Status
from mcpward.tasks.results import Cut

MOST_QUESTIONS: Final = 32
"""Questions that one task may ask in its life: a tool that asks in a loop ends."""


class Job:
    """One running task. Only for the event loop's thread.

    ``ends_at`` is on the monotonic clock. ``answers`` are all that have come, by key; ``pending`` are the questions
    that are open, encoded, by key. ``weight`` is the size of the request behind it.
    """

    __slots__ = (
        "_asked",
        "_retained",
        "_watchers",
        "answers",
        "call",
        "cut",
        "ends_at",
        "has_news",
        "lock",
        "message",
        "pending",
        "record",
        "updated_at",
        "weight",
        "work",
    )

    def __init__(
        self, record: Record, call: Call, ends_at: float, answers: Mapping[str, Mapping[str, Any]], weight: int
    ) -> None:
        self.record = record
        self.call = call
        self.ends_at = ends_at
        self.answers = dict(answers)
        self.weight = weight
        self.pending: dict[str, Raw] = {}
        self.updated_at = record.updated_at
        self.message = ""
        self.has_news = False
        self.cut: Cut | None = None
        self.lock = asyncio.Lock()
        self.work: asyncio.Task[Outcome] | None = None
        self._asked: dict[str, Raw] = {}
        self._watchers: set[asyncio.Event] = set()
        self._retained = 0

    @property
    def id(self) -> str:
        """The task's id."""
        return self.record.id

    @property
    def is_running(self) -> bool:
        """Whether the work is still to come or goes on. Its slot is free as soon as it is over, recorded or not.

        An abandoned thread of the task is work that goes on.
        """
        return self.work is None or not self.work.done() or self._retained > 0

    def retain(self) -> Callable[[], None]:
        """Keep the task's slot beyond its end, until the returned function is called, once for each time."""
        self._retained += 1
        return self._let_go

    def _let_go(self) -> None:
        self._retained -= 1

    @property
    def status(self) -> Status:
        """The status of an unfinished task: waiting for its caller, or working."""
        return Status.INPUT_REQUIRED if self.pending else Status.WORKING

    def ask(self, requests: Mapping[str, Raw]) -> None:
        """Open questions. A key stands for one question in the whole life of a task (extension specification).

        Raises:
            ValueError: a key was used for another question before, or is open.
            Refusal: busy; the task has asked too much.
        """
        for key, request in requests.items():
            if key in self.pending or self._asked.get(key, request) != request:
                raise ValueError(f"two questions of one task have the key {key!r}")
        if len(self._asked.keys() | requests.keys()) > MOST_QUESTIONS:
            raise Refusal(Reason.BUSY, "the task has asked too many questions")
        self._asked.update(requests)
        self.pending.update({key: request for key, request in requests.items() if key not in self.answers})

    def withdraw(self, keys: Iterable[str]) -> None:
        """Close questions, answered or not."""
        for key in keys:
            self.pending.pop(key, None)

    def watch(self) -> asyncio.Event:
        """Return an event that is set when answers may have come; :meth:`unwatch` it."""
        event = asyncio.Event()
        self._watchers.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Forget an event of :meth:`watch`."""
        self._watchers.discard(event)

    def nudge(self) -> None:
        """Answers may have come."""
        for event in self._watchers:
            event.set()

    def end(self, cut: Cut) -> None:
        """End the work from outside; the first reason counts. Nothing happens when the work is done already."""
        if self.work is not None and not self.work.done():
            self.cut = self.cut or cut
            self.work.cancel()
