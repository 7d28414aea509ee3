"""A running call's questions to its client, and the two ways to wait for them: on the event loop, or in a thread."""

import asyncio
import inspect
import re
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Final

from msgspec.json import Encoder
from msgspec.structs import replace

from mcpward.core.client_channel import ClientChannel, Question
from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.ids import base62
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Era
from mcpward.sdk.client.ask import Askable, Unfit
from mcpward.sdk.errors import AuthoringError
from mcpward.tools.deadline import Deadline
from mcpward.tools.pool import Pool

#: No '/': mcpward's own keys have one, and consent to mcpward answers no author's question.
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST: Final = 64
_encode: Final = Encoder().encode


class Timed:
    """The channel of a call that has a deadline: its clock stands while it asks.

    Implements :class:`~mcpward.core.client_channel.ClientChannel`.
    """

    __slots__ = ("_channel", "_deadline")

    def __init__(self, channel: ClientChannel, deadline: Deadline) -> None:
        self._channel = channel
        self._deadline = deadline

    def notify(self, message: bytes) -> None:
        """Send one notification."""
        self._channel.notify(message)

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Put the questions; however long a person thinks, the function has its whole time."""
        self._deadline.pause()
        try:
            return await self._channel.ask(questions)
        finally:
            self._deadline.resume()

    def release(self) -> None:
        """End the HTTP answer for now."""
        self._channel.release()

    def retain(self) -> Callable[[], None]:
        """Keep the call's slots beyond its end."""
        return self._channel.retain()


class Unasked:
    """Implements :class:`~mcpward.core.client_channel.ClientChannel` for a request in which nothing may be asked."""

    __slots__ = ("notify", "release", "retain")

    def __init__(self, channel: ClientChannel) -> None:
        self.notify = channel.notify
        self.release = channel.release
        self.retain = channel.retain

    async def ask(self, _questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Refuse, to the author.

        Raises:
            AuthoringError: always.
        """
        raise AuthoringError("a completion cannot ask the client")


class Asking:
    """Implements the sdk's ``Asker`` for one call. Made on the event loop's thread; ``run`` is for the call's own."""

    __slots__ = ("_asked", "_call", "_channel", "_loop", "_open", "_pool", "_taken", "_thread", "_waiting")

    def __init__(self, call: Call, channel: ClientChannel, pool: Pool) -> None:
        self._call = call
        self._channel = channel
        self._pool = pool
        self._taken: set[str] = set()
        self._asked = 0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._waiting: list[Future[Any]] = []
        self._open = True

    @property
    def meta(self) -> Mapping[str, Any]:
        """The request's ``_meta``."""
        return self._call.meta

    @property
    def trace(self) -> Mapping[str, str]:
        """The request's trace context."""
        return self._call.trace

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """The client's declared capabilities."""
        return self._call.capabilities

    def next_key(self) -> str:
        """Return the key of the next question that has none: ``input-1``, ``input-2``, … in the order of asking."""
        self._asked += 1
        return f"input-{self._asked}"

    async def ask(self, asked: Mapping[str, Askable]) -> dict[str, Any]:
        """Put all of them to the client in one round and return its answers, read, by key.

        Raises:
            Refusal: capability-missing or consent-missing, as ``ClientChannel.ask``; an answer that does not fit is
                params-invalid (modern era: it came with the request) or consent-missing (legacy).
            InputRequired: modern era, and not all answers have come.
            AuthoringError: a key is none, or was asked in this call before.
            RuntimeError: the call is over, or this is another event loop.
        """
        if not self._open or asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("a question is asked while its call runs, in its event loop: use context.run in threads")
        if not asked:
            return {}
        questions = [self._question(key, one) for key, one in asked.items()]
        results = await self._channel.ask(questions)
        return {key: self._read(key, one, results.get(key)) for key, one in asked.items()}

    def run(self, awaitable: Any) -> Any:
        """Wait in the call's thread for what the event loop does meanwhile.

        Raises:
            RuntimeError: this is the event loop's own thread, which must not wait; or the loop has ended.
            CancelledError: the call is over.
        """
        work = _awaited(awaitable)
        if threading.get_ident() == self._thread:
            _drop(work, awaitable)
            raise RuntimeError("context.run is for functions without async; await it instead")
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            _drop(work, awaitable)
            raise
        self._waiting.append(future)
        if not self._open:  # closed meanwhile: no other code would cancel it
            future.cancel()
        try:
            with self._pool.lent(self._call.principal.key):
                return future.result()
        except CancelledError:
            raise asyncio.CancelledError from None
        finally:
            self._waiting.remove(future)

    def release(self) -> None:
        """Signal the client to reconnect for the answer; from any thread."""
        if threading.get_ident() == self._thread:
            self._release()
        else:
            self._loop.call_soon_threadsafe(self._release)

    def close(self) -> None:
        """The call is over: pending questions are cancelled, and no new ones are asked."""
        self._open = False
        for future in tuple(self._waiting):
            future.cancel()

    def _release(self) -> None:
        if self._open:
            self._channel.release()

    def _question(self, key: str, one: Askable) -> Question:
        if not _KEY.fullmatch(key):
            raise AuthoringError(f"the key {key!r} is none: letters, digits, '_', '-' and '.', at most 64")
        if key in self._taken:
            # The modern era gives answers back by key: a second question would get the first one's answer.
            raise AuthoringError(f"the key {key!r} was asked in this call already")
        if len(self._taken) >= _MOST:
            raise AuthoringError(f"one call asks at most {_MOST} questions")
        self._taken.add(key)
        question = one.question(key)
        _require_writable(question)
        if self._call.era is Era.LEGACY and question.params.get("mode") == "url":
            # 2025-11-25 names each page; 2026-07-28 took the name out.
            return replace(question, params={**question.params, "elicitationId": base62(22)})
        return question

    def _read(self, key: str, one: Askable, result: Any) -> Any:
        try:
            return one.read(result)
        except Unfit as unfit:
            detail = f"the client's answer to {key!r}: {unfit}"
        if self._call.era is Era.LEGACY:
            raise Refusal(Reason.CONSENT_MISSING, detail)
        problems = Problems((Problem(f"inputResponses.{key}", "an answer to what was asked"),))
        raise Refusal(Reason.PARAMS_INVALID, detail, problems)


def _require_writable(question: Question) -> None:
    """Here, if it is the author's failure; on its way out it would be mcpward's."""
    try:
        _encode(question.params)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AuthoringError(f"the question {question.key!r} is not JSON: {type(error).__name__}") from None


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _drop(work: Coroutine[Any, Any, Any], awaitable: Any) -> None:
    """Close coroutines that will never be awaited, so that Python does not warn of them later, in another call."""
    work.close()
    if inspect.iscoroutine(awaitable):
        awaitable.close()
