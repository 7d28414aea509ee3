"""A task as it is kept, and the store that this package needs. Text of a caller or a tool is sealed in it."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct


class Status(Enum):
    """The status of a task. The value is the word on the wire; the last three are final and never change."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED: Final = frozenset({Status.WORKING, Status.INPUT_REQUIRED})


class Record(Struct, frozen=True, kw_only=True):
    """One task. Times are seconds since 1970.

    ``owner`` is the only principal key that may ask for it, and only at ``server``. ``worker`` runs it; its last
    heartbeat was at ``beat_at``. ``message``, ``requests`` (the open questions by key) and ``ending`` (the result or
    the error) are sealed. ``answered`` are the keys of open questions to which an answer has come that the worker has
    not taken yet.
    """

    id: str
    owner: str
    server: str
    tool: str
    worker: str
    status: Status
    created_at: float
    updated_at: float
    expires_at: float
    beat_at: float
    message: str | None = None
    requests: str | None = None
    ending: str | None = None
    is_cancel_asked: bool = False
    answered: frozenset[str] = frozenset()


class Caps(Struct, frozen=True, kw_only=True):
    """The limits of tasks. Beyond them, new tasks are refused: those that were promised are kept for their time.

    ``unfinished`` per caller and server at all workers; ``running`` at one worker; ``held`` and ``all_held`` are the
    bytes of the requests behind the running tasks of one caller, and of all, at one worker. ``kept`` and ``kept_bytes``
    are the tasks of one caller, finished ones included; ``all_kept`` and ``all_bytes`` those of the whole site.
    """

    unfinished: int = 32
    running: int = 1000
    held: int = 16 * 1024 * 1024
    all_held: int = 128 * 1024 * 1024
    kept: int = 2000
    kept_bytes: int = 64 * 1024 * 1024
    all_kept: int = 20_000
    all_bytes: int = 1024 * 1024 * 1024


class Store(Protocol):
    """The store of tasks, for all workers. A port of the storage package."""

    async def add(self, record: Record, caps: Caps) -> bool:
        """Keep a new task, durably; False, and nothing kept, if ``caps`` are reached."""
        ...

    async def remove(self, task_id: str) -> None:
        """Forget a task whose caller has not received its id."""
        ...

    async def find(self, task_id: str, owner: str, server: str) -> Record | None:
        """Return the task if it is this owner's at this server."""
        ...

    async def find_all(self, task_ids: Sequence[str], owner: str, server: str) -> list[Record]:
        """Return those of the tasks that are this owner's at this server, in any order."""
        ...

    async def known(self, task_ids: Sequence[str], owner: str, server: str) -> list[tuple[str, str, float]]:
        """Return id, tool and end of life of those of the tasks that are this owner's at this server, in any order."""
        ...

    async def show(
        self, task_id: str, status: Status, requests: str | None, at: float, taken: Sequence[str] = ()
    ) -> None:
        """Set the status and open questions of an unfinished task, and forget the answers that were taken."""
        ...

    async def say(self, task_id: str, message: str, at: float) -> None:
        """Set the message of an unfinished task."""
        ...

    async def answer(self, task_id: str, answers: Mapping[str, str], at: float) -> None:
        """Keep answers to an unfinished task's questions. The first answer to a question is the one that counts."""
        ...

    async def answers(self, task_id: str) -> dict[str, str]:
        """Return the answers that have not been taken yet, by key."""
        ...

    async def ask_cancel(self, task_id: str) -> None:
        """Note that the caller wants an unfinished task to end."""
        ...

    async def finish(
        self,
        task_id: str,
        status: Status,
        ending: str | None,
        message: str | None,
        at: float,
        *,
        beat_at: float | None = None,
    ) -> bool:
        """Set the final status, durably. False if it was set before, or has another ``beat_at`` than the given."""
        ...

    async def beat(self, task_ids: Sequence[str], at: float) -> dict[str, bool]:
        """Note that the tasks still run. Returns those that are unfinished, with whether their caller wants an end."""
        ...

    async def stale(self, before: float) -> list[Record]:
        """Return some unfinished tasks whose last heartbeat was before that time."""
        ...

    async def prune(self, now: float) -> None:
        """Forget the tasks whose time is over."""
        ...
