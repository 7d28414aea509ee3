"""Requests to a legacy client while its call waits: sent on its stream, answered by a POST of its own.

The answer may come to any worker. The id of a request is a sealed text that names the worker which asked. It opens only
for the caller and the session that were asked. Answers of others, late answers and second answers are ignored without a
notice (attack 60). A made-up id costs no look into the store.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from mcpward.core.client_channel import Question
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.messaging.bus.worker_bus import WorkerBus

_KIND: Final = "answer"
_IN_ALL: Final = 10_000
_LONGEST_ID: Final = 256
_RETRY_AFTER_S: Final = 5

Send = Callable[[bytes], None]
Encode = Callable[[Question, str], bytes]
Results = dict[str, Mapping[str, Any]]


class _OpenRequest(Struct, frozen=True, array_like=True):
    """The sealed content of a request's id."""

    worker: str
    at: float


class _Round(Struct, eq=False):
    """The questions of one call that wait together: key by id, and what has come by key."""

    done: "asyncio.Future[bool]"
    unanswered: dict[str, str]
    results: Results


_encode: Final = Encoder().encode
_decode: Final = Decoder(_OpenRequest).decode


class ClientRequests:
    """The open questions of one worker. A client has ``timeout_s`` to answer; ``per_caller`` may be open at once."""

    def __init__(self, bus: WorkerBus, clock: Clock, timeout_s: float = 300.0, per_caller: int = 32) -> None:
        self._bus = bus
        self._clock = clock
        self._timeout_s = timeout_s
        self._per_caller = per_caller
        self._open: dict[str, _Round] = {}
        self._of_caller: dict[str, int] = {}
        self._reserved = 0
        self._forwarded: dict[str, None] = {}
        bus.on(_KIND, self._receive)

    def __len__(self) -> int:
        """How many questions are open."""
        return len(self._open)

    async def ask(self, call: Call, send: Send, encode: Encode, questions: Sequence[Question]) -> Results:
        """Send all questions and return the results by key, in the questions' order.

        ``encode`` makes the message of a question and its id. Questions that stay unanswered, because another was
        refused, the time is over or the call is cancelled, are taken back with ``notifications/cancelled``.

        Raises:
            Refusal: busy, with a ``RetryAfter``: too many questions are open; consent-missing: the client answered
                with an error or with no object, or not in time.
        """
        caller = call.principal.key
        self._reserve(caller, len(questions))
        waiting = _Round(asyncio.get_running_loop().create_future(), {}, {})
        try:
            with self._bus.hurry():
                self._put(call, send, encode, questions, waiting)
                if not await self._wait(waiting):
                    raise Refusal(Reason.CONSENT_MISSING, "the client answered a question with an error")
        finally:
            self._let_go(caller, len(questions))
            self._take_back(waiting, send)
        return {question.key: waiting.results[question.key] for question in questions}

    def close(self) -> None:
        """Wait for answers no longer: the server stops, and takes no connection on which they could come."""
        for waiting in set(self._open.values()):
            if not waiting.done.done():
                waiting.done.set_result(False)

    def answer(self, call: Call) -> None:
        """Take a response (``Kind.ANSWER``), or ignore it."""
        rpc_id = call.id
        if call.session is None or not isinstance(rpc_id, str) or len(rpc_id) > _LONGEST_ID:
            return
        asked = self._opened(rpc_id, call)
        if asked is None:
            return
        result = call.params.get("result")
        if not isinstance(result, Mapping):
            result = None
        if asked.worker == self._bus.worker:
            self._settle(rpc_id, result)
        elif self._clock.now() - asked.at <= self._timeout_s:
            self._forward(asked.worker, rpc_id, result)

    def _receive(self, message: dict[str, Any]) -> None:
        self._settle(message["id"], message["result"])

    def _reserve(self, caller: str, count: int) -> None:
        mine = self._of_caller.get(caller, 0) + count
        if mine > self._per_caller or self._reserved + count > _IN_ALL:
            raise Refusal(Reason.BUSY, "too many questions are open", RetryAfter(_RETRY_AFTER_S))
        self._of_caller[caller] = mine
        self._reserved += count

    def _let_go(self, caller: str, count: int) -> None:
        self._reserved -= count
        mine = self._of_caller[caller] - count
        if mine:
            self._of_caller[caller] = mine
        else:
            del self._of_caller[caller]

    def _put(self, call: Call, send: Send, encode: Encode, questions: Sequence[Question], waiting: _Round) -> None:
        for question in questions:
            asked = _OpenRequest(self._bus.worker, self._clock.now())
            rpc_id = self._bus.seal(_encode(asked), _bound_to(call))
            send(encode(question, rpc_id))
            self._open[rpc_id] = waiting
            waiting.unanswered[rpc_id] = question.key

    async def _wait(self, waiting: _Round) -> bool:
        """Return whether every question was answered; False as soon as one was refused."""
        if not waiting.unanswered:
            return True
        try:
            async with asyncio.timeout(self._timeout_s):
                return await waiting.done
        except TimeoutError:
            raise Refusal(Reason.CONSENT_MISSING, "the client did not answer a question in time") from None

    def _take_back(self, waiting: _Round, send: Send) -> None:
        for rpc_id in waiting.unanswered:
            self._open.pop(rpc_id, None)
            # The client may have gone, or the message may be refused by its cleaning: there is nothing more to do.
            with suppress(Refusal):
                send(_encode(_cancelled(rpc_id)))

    def _settle(self, rpc_id: str, result: Mapping[str, Any] | None) -> None:
        waiting = self._open.pop(rpc_id, None)
        if waiting is None:
            return
        key = waiting.unanswered.pop(rpc_id)
        if waiting.done.done():
            return
        if result is None:
            waiting.done.set_result(False)
            return
        waiting.results[key] = result
        if not waiting.unanswered:
            waiting.done.set_result(True)

    def _forward(self, worker: str, rpc_id: str, result: Mapping[str, Any] | None) -> None:
        """Forward the first answer to a request, and no other: long ones would crowd out other callers' (attack 62)."""
        if rpc_id in self._forwarded:
            return
        send = self._bus.send
        # Too long: the asking call fails now, instead of at its timeout.
        if send(_KIND, {"id": rpc_id, "result": result}, worker) or send(_KIND, {"id": rpc_id, "result": None}, worker):
            self._forwarded[rpc_id] = None
            if len(self._forwarded) > _IN_ALL:
                del self._forwarded[next(iter(self._forwarded))]

    def _opened(self, rpc_id: str, call: Call) -> _OpenRequest | None:
        payload = self._bus.open(rpc_id, _bound_to(call))
        if payload is None:
            return None
        try:
            return _decode(payload)
        except MsgspecError:
            return None  # sealed by another release


def _bound_to(call: Call) -> bytes:
    # Neither a server's name nor a session's id has a NUL, so no caller can be spelled as another.
    principal = call.principal
    return f"question\0{principal.server}\0{call.session}\0{principal.key}".encode()


def _cancelled(rpc_id: str) -> dict[str, Any]:
    params = {"requestId": rpc_id, "reason": "no longer needed"}
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
