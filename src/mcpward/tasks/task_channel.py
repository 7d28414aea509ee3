"""A task's channel to its caller: progress becomes its message, a question turns it to ``input_required``."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder, Encoder

from mcpward.core.capability import lacks
from mcpward.core.client_channel import Question
from mcpward.core.clock import Clock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import Lacking
from mcpward.core.reasons import Reason
from mcpward.core.retry import Retry
from mcpward.core.values import Call
from mcpward.core.withheld import withheld
from mcpward.tasks.job import Job
from mcpward.tasks.task_writer import TaskWriter

_log: Final = logging.getLogger(__name__)
_PROGRESS: Final = "notifications/progress"
_LONGEST_MESSAGE: Final = 256
_LONGEST_KEY: Final = 256
_LONGEST_REQUEST: Final = 64 * 1024
_ADVICE: Final = "a question of the tool contained a secret: try other arguments"
_encode: Final = Encoder().encode

Clean = Callable[[bytes, Call], bytes]
"""Return the JSON object that may leave for a call, or nothing if it may not: ``Sanitizer.frame``."""


class _Params(Struct):
    progress: float
    total: float | None = None
    message: str | None = None


class _Notification(Struct):
    method: str
    params: Raw = Raw(b"{}")


_notification: Final = Decoder(_Notification).decode
_params: Final = Decoder(_Params).decode
_requests: Final = Decoder(dict[str, Raw]).decode


class TaskChannel:
    """The channel of one task. ``poll_s`` is the pause between two looks for answers, in seconds.

    Implements :class:`~mcpward.core.client_channel.ClientChannel`.
    """

    __slots__ = ("_board", "_clean", "_clock", "_job", "_poll_s", "_reads")

    def __init__(self, job: Job, board: TaskWriter, clean: Clean, clock: Clock, poll_s: float) -> None:
        self._job = job
        self._board = board
        self._clean = clean
        self._clock = clock
        self._poll_s = poll_s
        self._reads = Retry(
            lambda error: _log.warning("answers to a task cannot be read: trying again (%s)", type(error).__name__)
        )

    def notify(self, message: bytes) -> None:
        """Make progress the task's message, soon. Tasks know no other notifications: they are dropped."""
        clean = self._clean(message, self._job.call)
        if not clean:
            return
        with suppress(MsgspecError):
            told = _notification(clean)
            if told.method == _PROGRESS:
                self._job.message = _words(_params(told.params))
                self._job.has_news = True

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Wait for the caller's answers (``tasks/update``), for as long as the task lives.

        Raises:
            Refusal: capability-missing; output-refused for a question that must not leave; busy for too many;
                consent-missing if no answer came while the task lived.
            ValueError: two questions have one key.
        """
        job = self._job
        for question in questions:
            missing = lacks(job.call.capabilities, question.capability)
            if missing is not None:
                raise Refusal(Reason.CAPABILITY_MISSING, question.method, Lacking(missing))
        keys = [question.key for question in questions]
        job.ask({question.key: self._cleaned(question) for question in questions})
        if any(key in job.pending for key in keys):
            try:
                await self._board.show(job)
                await self._wait(keys)
            finally:
                job.withdraw(keys)
                await self._board.show(job, taken=keys)
        return {key: job.answers[key] for key in keys}

    def release(self) -> None:
        """Without effect: the answer that created the task has left long ago."""

    def retain(self) -> Callable[[], None]:
        """Keep the task's slot beyond its end."""
        return self._job.retain()

    async def _wait(self, keys: Sequence[str]) -> None:
        """Wait until all keys have answers. A store that cannot be read is asked again."""
        job = self._job
        awake = job.watch()
        try:
            while True:
                awake.clear()
                await self._look()
                if all(key in job.answers for key in keys):
                    return
                if self._clock.monotonic() >= job.ends_at:
                    raise Refusal(Reason.CONSENT_MISSING, "no answer came while the task lived")
                with suppress(TimeoutError):
                    await asyncio.wait_for(awake.wait(), self._poll_s)
        finally:
            job.unwatch(awake)

    async def _look(self) -> None:
        try:
            await self._board.collect(self._job)
        except (Refusal, Fault):
            raise
        except Exception as error:  # noqa: BLE001  # the store is out: a wait for a person can outlast that
            self._reads.failed(error)
        else:
            self._reads.succeeded()

    def _cleaned(self, question: Question) -> Raw:
        """Return ``{"method": …, "params": …}`` of a question as it may be kept and leave."""
        key = question.key
        wanted = _encode({key: {"method": question.method, "params": question.params}})
        clean = (
            self._clean(wanted, self._job.call) if len(key) <= _LONGEST_KEY and len(wanted) <= _LONGEST_REQUEST else b""
        )
        requests = _requests(clean or b"{}")
        if requests.keys() != {key}:
            raise withheld("a question to the client contained a secret", _ADVICE)
        return requests[key].copy()  # the rest of the message is let go


def _words(params: _Params) -> str:
    """Return one printable line of a progress report."""
    text = params.message
    if text is None:
        text = f"{params.progress:g}" if params.total is None else f"{params.progress:g} of {params.total:g}"
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_MESSAGE])
