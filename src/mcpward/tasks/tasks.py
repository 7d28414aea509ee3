"""Tasks: starts them, shows them, takes answers and cancellations. Each belongs only to its owner at one server.

An id that is unknown, expired or another caller's gets one and the same answer (attack 60; CVE-2026-52870).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from msgspec.json import Encoder

from mcpward.core.client_channel import ClientChannel
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.ids import base62
from mcpward.core.invalid import invalid
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Call, Outcome
from mcpward.tasks.detached import unladen, weight
from mcpward.tasks.extension import EXTENSION, require_declared
from mcpward.tasks.heartbeat import DEAD_AFTER_S, Heartbeat
from mcpward.tasks.job import Job
from mcpward.tasks.record import UNFINISHED, Caps, Record, Status, Store
from mcpward.tasks.results import Cut, Endings, Refuse, Report
from mcpward.tasks.sealing import Open, Seal, Sealing
from mcpward.tasks.task_channel import Clean, TaskChannel
from mcpward.tasks.task_writer import Publish, TaskWriter

__all__ = ["EXTENSION", "TaskBus", "Tasks", "Work"]

LONGEST_TTL_S: Final = 86_400.0
_KIND: Final = "task"
_EMPTY: Final = b"{}"
_ID: Final = 32
_RETRY_AFTER_S: Final = 5
_LAST_S: Final = 2.0
_LONGEST_ANSWER: Final = 128 * 1024
_NONE: Final[Mapping[str, Mapping[str, Any]]] = {}
_NO_CAPS: Final = Caps()
_encode: Final = Encoder().encode

Work = Callable[[ClientChannel], Awaitable[Outcome]]
"""Runs the tool with its deadline and returns the clean outcome; raises the refusal of the call."""
Allowed = Callable[[Call, str], bool]
"""Return whether the caller may use the tool of that name now."""


class TaskBus(Protocol):
    """Messages to the other workers. Nothing rests on their arrival. A port of the messaging package."""

    def send(self, kind: str, payload: Mapping[str, Any], to: str | None = None) -> bool:
        """Send a message; return False if it will not be sent."""
        ...

    def on(self, kind: str, handler: Callable[[dict[str, Any]], None]) -> None:
        """Register ``handler`` for messages of ``kind``."""
        ...


class Tasks:
    """All tasks, as one worker serves them. ``worker`` is this worker's name, never used twice.

    A task lives ``ttl_s`` seconds from its creation, finished or not. ``alone`` says that there is no other worker:
    what is unfinished at the start died with the last one.
    """

    def __init__(
        self,
        store: Store,
        seal: Seal,
        open: Open,  # noqa: A002  # the verb of crypto.sealed
        clock: Clock,
        worker: str,
        *,
        mail: TaskBus,
        publish: Publish,
        clean: Clean,
        refuse: Refuse,
        report: Report,
        allowed: Allowed,
        caps: Caps = _NO_CAPS,
        ttl_s: float = 3600.0,
        poll_s: float = 0.5,
        alone: bool = False,
    ) -> None:
        if not 0 < ttl_s <= LONGEST_TTL_S:
            raise ValueError("a task lives for more than no time and at most a day")
        self._store = store
        self._clock = clock
        self._worker = worker
        self._bus = mail
        self._clean = clean
        self._allowed = allowed
        self._caps = caps
        self._ttl_s = ttl_s
        self._poll_s = poll_s
        self._is_alone = alone
        self._board = TaskWriter(store, Sealing(seal, open), clock, publish)
        self._endings = Endings(refuse, report)
        self._jobs: dict[str, Job] = {}
        self._left: set[Job] = set()  # ended, and a thread of theirs goes on
        self._runs: set[asyncio.Task[None]] = set()
        self.keeper = Heartbeat(store, self._board, clock, self._jobs, self._lose)
        mail.on(_KIND, self._receive)

    def __len__(self) -> int:
        """The number of tasks that run at this worker."""
        return len(self._jobs)

    async def start(
        self, accepted: AcceptedCall, work: Work, answers: Mapping[str, Mapping[str, Any]] = _NONE
    ) -> bytes:
        """Begin to work and return the new task's body, which is kept durably before.

        ``answers`` are those that the client gave before (by key), in requests that led to this one.

        Raises:
            Refusal: capability-missing; busy, with a ``RetryAfter``: there are too many, or the server stops.
            CancelledError: the caller has left. There is no task then.
        """
        require_declared(accepted.call)
        weighs = weight(accepted)
        self._require_place(accepted.call, weighs)
        ends_at = self._clock.monotonic() + self._ttl_s
        job = Job(self._new(accepted), unladen(accepted).call, ends_at, answers, weighs)
        self._jobs[job.id] = job  # takes its slot before it waits for the store
        is_kept = True
        try:
            is_kept = await self._store.add(job.record, self._caps)
            if not is_kept:
                raise _busy("there are too many tasks")
            if self._board.is_stopping:
                raise _busy("the server stops")
        except BaseException:
            del self._jobs[job.id]
            if is_kept:  # or perhaps, if the store was interrupted
                self._keep(self._forget(job))
            raise
        job.work = asyncio.ensure_future(work(TaskChannel(job, self._board, self._clean, self._clock, self._poll_s)))
        self._keep(self._follow(job, job.work))
        return self._board.created(job)

    async def get(self, call: Call) -> bytes:
        """Return the task as it is: the result of ``tasks/get``.

        Raises:
            Refusal: capability-missing; task-unknown.
        """
        require_declared(call)
        return self._board.read(await self._mine(call, call.target))

    async def describe(self, call: Call, task_id: str) -> bytes | None:
        """Return the task as :meth:`get` would, for a notification; None if it is not this caller's."""
        return (await self.describe_all(call, [task_id])).get(task_id)

    async def describe_all(self, call: Call, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Return those of some tasks that are this caller's, by id, each as :meth:`describe` does. One query."""
        described: dict[str, bytes] = {}
        for record in await self._store.find_all([*filter(_is_id, task_ids)], *_owner(call)):
            found = await self._living(record) if self._is_dead(record) else record
            if found is not None and not self._is_over(found) and self._allowed(call, found.tool):
                described[found.id] = self._board.read(found)
        return described

    async def known(self, call: Call, task_ids: Collection[str]) -> list[str]:
        """Return those ids that :meth:`describe` would describe, in order: one query, however many are made up."""
        ids = [*filter(_is_id, task_ids)]
        found = await self._store.known(ids, *_owner(call)) if ids else []
        now = self._clock.now()
        return sorted(task for task, tool, ends_at in found if ends_at > now and self._allowed(call, tool))

    async def update(self, call: Call) -> bytes:
        """Take answers to open questions: ``tasks/update``. Those to other questions are ignored.

        Raises:
            Refusal: capability-missing; task-unknown; params-invalid for an answer that is no object, or too long.
        """
        require_declared(call)
        given = call.params.get("inputResponses")
        if not isinstance(given, Mapping):
            raise invalid("inputResponses", "an object of objects")
        record = await self._mine(call, call.target)
        answers = {key: _answer(given[key]) for key in self._board.open_requests(record) if key in given}
        if answers:
            await self._board.answer(record, answers)
            self._nudge(record, is_cancelled=False)
        return _EMPTY

    async def cancel(self, call: Call) -> bytes:
        """End a task: ``tasks/cancel``. One that has ended already stays as it is, and the answer is the same.

        Raises:
            Refusal: capability-missing; task-unknown.
        """
        require_declared(call)
        record = await self._found(call, call.target)  # a caller that may not use the tool any more may still stop it
        if record.status in UNFINISHED:
            await self._store.ask_cancel(record.id)
            self._nudge(record, is_cancelled=True)
        return _EMPTY

    async def start_keeping(self) -> None:
        """Write down what died before, then keep watch. Raises what the store raises."""
        now = self._clock.now()
        await self.keeper.start(now + self._ttl_s if self._is_alone else now - DEAD_AFTER_S)

    async def finish(self) -> None:
        """Wait until no task runs; further ones may still begin."""
        while self._runs:
            await asyncio.wait(self._runs)

    async def stop(self, drain_s: float, at_once: asyncio.Event | None = None) -> None:
        """Take no new tasks, give the running ones ``drain_s`` seconds, and write the others down as failed.

        ``at_once`` ends those seconds.
        """
        self._board.is_stopping = True
        for job in self._jobs.values():
            if job.pending:
                job.end(Cut.STOPPED)  # the caller that should answer is no longer let in
        if self._runs:
            hurry = asyncio.ensure_future((at_once or asyncio.Event()).wait())
            finished = asyncio.ensure_future(asyncio.wait(self._runs))
            await asyncio.wait([finished, hurry], timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            finished.cancel()
        for job in self._jobs.values():
            job.end(Cut.STOPPED)
        if self._runs:
            await asyncio.wait(self._runs, timeout=_LAST_S)
        for job in list(self._jobs.values()):  # ignores its cancellation: its caller gets the answer all the same
            await self._board.finish_surely(job, self._endings.stopped())
        await self.keeper.stop()

    def _require_place(self, call: Call, weighs: int) -> None:
        if self._board.is_stopping:
            raise _busy("the server stops")
        caps = self._caps
        self._left = {job for job in self._left if job.is_running}
        running = [job for job in (*self._jobs.values(), *self._left) if job.is_running]
        mine = [job.weight for job in running if job.record.owner == call.principal.key]
        if len(mine) >= caps.unfinished or len(running) >= caps.running:
            raise _busy("too many tasks run")
        of_all = sum(job.weight for job in running)
        if sum(mine) + weighs > caps.held or of_all + weighs > caps.all_held:
            raise _busy("the running tasks hold too much")

    def _new(self, accepted: AcceptedCall) -> Record:
        now = self._clock.now()
        return Record(
            id=base62(_ID),
            owner=accepted.call.principal.key,
            server=accepted.call.arrival.server,
            tool=accepted.tool.name,
            worker=self._worker,
            status=Status.WORKING,
            created_at=now,
            updated_at=now,
            expires_at=now + self._ttl_s,
            beat_at=now,
        )

    async def _follow(self, job: Job, work: "asyncio.Task[Outcome]") -> None:
        """Wait for the work's end, and write it down. Never cancelled itself: an ending must be written."""
        await asyncio.wait([work])
        try:
            await self._board.finish_surely(job, self._endings.of(work, job.call, job.cut))
        finally:
            self._jobs.pop(job.id, None)
            if job.is_running:
                self._left.add(job)

    async def _forget(self, job: Job) -> None:
        with suppress(Exception):  # a remaining task has no heartbeat, and is written down as dead
            await self._store.remove(job.id)

    def _keep(self, run: Any) -> None:
        task = asyncio.ensure_future(run)
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)

    async def _mine(self, call: Call, task_id: str) -> Record:
        record = await self._found(call, task_id)
        if not self._allowed(call, record.tool):
            raise _unknown("the caller may not use the tool any more")
        return record

    async def _found(self, call: Call, task_id: str) -> Record:
        if not _is_id(task_id):
            raise _unknown("no id of ours")
        record = await self._store.find(task_id, *_owner(call))
        if record is not None and self._is_dead(record):
            record = await self._living(record)
        if record is None or self._is_over(record):
            raise _unknown("no such task of this caller")
        return record

    async def _living(self, record: Record) -> Record | None:
        """Write down that a task has died, and return it as it is now."""
        await self._lose(record)
        return await self._store.find(record.id, record.owner, record.server)

    def _is_over(self, record: Record) -> bool:
        return record.expires_at <= self._clock.now()

    def _is_dead(self, record: Record) -> bool:
        is_silent = record.beat_at < self._clock.now() - DEAD_AFTER_S
        return is_silent and record.status in UNFINISHED and record.id not in self._jobs

    async def _lose(self, record: Record) -> None:
        await self._board.finish(record, self._endings.stopped(), beat_at=record.beat_at)

    def _nudge(self, record: Record, *, is_cancelled: bool) -> None:
        message = {"task": record.id, "cancelled": is_cancelled}
        if record.id in self._jobs:
            self._receive(message)
        else:
            self._bus.send(_KIND, message, record.worker)

    def _receive(self, message: dict[str, Any]) -> None:
        job = self._jobs.get(message["task"])
        if job is None:
            return
        if message["cancelled"]:
            job.end(Cut.CANCELLED)
        job.nudge()


def _is_id(task_id: str) -> bool:
    return len(task_id) == _ID and task_id.isascii() and task_id.isalnum()


def _owner(call: Call) -> tuple[str, str]:
    return call.principal.key, call.arrival.server


def _answer(given: object) -> bytes:
    encoded = _encode(given) if isinstance(given, Mapping) else b""
    if not 0 < len(encoded) <= _LONGEST_ANSWER:
        raise invalid("inputResponses", f"an object of objects, each of at most {_LONGEST_ANSWER} bytes")
    return encoded


def _unknown(detail: str) -> Refusal:
    return Refusal(Reason.TASK_UNKNOWN, detail)


def _busy(detail: str) -> Refusal:
    return Refusal(Reason.BUSY, detail, RetryAfter(_RETRY_AFTER_S))
