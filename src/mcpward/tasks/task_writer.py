"""Writes the state of running tasks, sealed, and announces it to listeners."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import MsgspecError, Raw
from msgspec.json import Decoder, Encoder

from mcpward.core.change import Change, Topic
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.tasks.detail import Detail, encoded
from mcpward.tasks.job import Job
from mcpward.tasks.record import Record, Status, Store
from mcpward.tasks.results import Ending
from mcpward.tasks.sealing import Sealing

_log: Final = logging.getLogger(__name__)
#: The bus carries the state of a task to all workers: listeners fetch what is longer than this.
_LONGEST_TOLD: Final = 64 * 1024
_ANSWER: Final = "answer:"
#: Pauses between attempts to write an ending down; the last one is repeated.
_PAUSES_S: Final = (0.1, 0.5, 2.0)
_TRIES_WHEN_STOPPING: Final = 3
_encode: Final = Encoder().encode
_requests: Final = Decoder(dict[str, Raw]).decode
_object: Final = Decoder(dict[str, Any]).decode

Publish = Callable[[Change], None]


class TaskWriter:
    """The only writer of a task's row. ``publish`` takes each change on the event loop's thread."""

    def __init__(self, store: Store, safe: Sealing, clock: Clock, publish: Publish) -> None:
        self._store = store
        self._safe = safe
        self._clock = clock
        self._publish = publish
        self.is_stopping = False

    async def say(self, job: Job) -> None:
        """Write down what the work says of itself."""
        job.has_news = False
        at = job.updated_at = self._clock.now()
        await self._store.say(job.id, self._sealed(job.record, "message", job.message.encode()), at)
        self._tell(job.record, self._running(job))

    async def show(self, job: Job, taken: Sequence[str] = ()) -> None:
        """Write down whether the task waits for its caller, and for which answers."""
        async with job.lock:  # one after the other: the last write counts
            at = job.updated_at = self._clock.now()
            requests = self._sealed(job.record, "requests", _encode(job.pending)) if job.pending else None
            await self._store.show(job.id, job.status, requests, at, taken)
        self._tell(job.record, self._running(job))

    async def collect(self, job: Job) -> None:
        """Take the answers that have come into the job.

        Raises:
            Refusal: consent-missing; an answer is not the stored one.
        """
        record = job.record
        for key, sealed in (await self._store.answers(job.id)).items():
            if key in job.pending and key not in job.answers:
                plain = self._safe.open(sealed, _ANSWER + key, record.id, record.owner, record.server)
                try:
                    job.answers[key] = _object(plain)
                except MsgspecError:
                    raise Refusal(Reason.CONSENT_MISSING, "an answer is no object") from None

    async def answer(self, record: Record, answers: Mapping[str, bytes]) -> None:
        """Keep a caller's encoded answers for the worker that asked."""
        sealed = {key: self._sealed(record, _ANSWER + key, answer) for key, answer in answers.items()}
        await self._store.answer(record.id, sealed, self._clock.now())

    async def finish(self, record: Record, ending: Ending, *, beat_at: float | None = None) -> bool:
        """Write down how a task ended; False if that was written before. Raises what the store raises."""
        at = self._clock.now()
        body = self._sealed(record, "ending", ending.body) if ending.body else None
        message = self._sealed(record, "message", ending.message.encode()) if ending.message else None
        if not await self._store.finish(record.id, ending.status, body, message, at, beat_at=beat_at):
            return False
        self._tell(record, _detail(record, ending.status, at, ending.message, body=ending.body))
        return True

    async def finish_surely(self, job: Job, ending: Ending) -> None:
        """Write down how a task ended, again and again while the store is out and the task is of use.

        Not a :class:`~mcpward.core.retry.Retry`: an ending is given up when no caller can wait for it any more, and the
        log says so.
        """
        tries = 0
        while True:
            try:
                await self.finish(job.record, ending)
            except Exception:  # noqa: BLE001  # whatever the store raises: without an ending its caller waits for nothing
                tries += 1
                is_over = self._clock.monotonic() >= job.ends_at
                if is_over or (self.is_stopping and tries >= _TRIES_WHEN_STOPPING):
                    _log.exception("the end of a task could not be stored")
                    return
                await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S)) - 1])
            else:
                return

    def created(self, job: Job) -> bytes:
        """Return the body of the answer that creates the task."""
        return encoded(self._running(job))

    def read(self, record: Record) -> bytes:
        """Return the body that shows a task as it is kept.

        Raises:
            Fault: a stored part cannot be opened.
        """
        message = self._opened(record, "message", record.message).decode() if record.message else ""
        body = self._opened(record, "ending", record.ending) if record.ending else b""
        status, requests = record.status, self.open_requests(record)
        if status is Status.INPUT_REQUIRED and not requests:
            status = Status.WORKING  # all is answered, and the worker is about to see it
        return encoded(_detail(record, status, record.updated_at, message, body=body, requests=requests))

    def open_requests(self, record: Record) -> dict[str, Raw]:
        """Return the encoded questions that have no answer yet, by key.

        Raises:
            Fault: a stored part cannot be opened.
        """
        if record.requests is None:
            return {}
        kept = _requests(self._opened(record, "requests", record.requests))
        return {key: request for key, request in kept.items() if key not in record.answered}

    def _running(self, job: Job) -> Detail:
        return _detail(job.record, job.status, job.updated_at, job.message, requests=job.pending)

    def _tell(self, record: Record, detail: Detail) -> None:
        params = encoded(detail)
        if len(params) > _LONGEST_TOLD:
            params = b""
        self._publish(Change(record.server, Topic.TASK, record.id, record.owner, params))

    def _sealed(self, record: Record, part: str, plain: bytes) -> str:
        return self._safe.seal(plain, part, record.id, record.owner, record.server)

    def _opened(self, record: Record, part: str, sealed: str) -> bytes:
        return self._safe.open(sealed, part, record.id, record.owner, record.server)


def _detail(
    record: Record, status: Status, at: float, message: str, *, body: bytes = b"", requests: Mapping[str, Raw] = {}
) -> Detail:
    return Detail(
        id=record.id,
        status=status,
        created_at=record.created_at,
        updated_at=at,
        ttl_s=record.expires_at - record.created_at,
        message=message,
        requests=requests,
        ending=body,
    )
