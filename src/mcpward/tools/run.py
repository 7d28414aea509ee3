"""Runs one accepted call: in its time, in a thread if the function is sync, with nothing of an exception going out."""

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from mcpward.core.client_channel import ClientChannel, InputRequired, Question
from mcpward.core.clock import Clock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.exchange import Exchange
from mcpward.core.facts import ErrorId
from mcpward.core.ids import error_id
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Call, RawResult
from mcpward.core.withheld import withheld
from mcpward.core.work import Work
from mcpward.core.work import current as _current
from mcpward.sdk.errors import ToolError
from mcpward.sdk.place import place_of
from mcpward.tools.asking import Timed, Unasked
from mcpward.tools.completion import Completion
from mcpward.tools.deadline import Watch
from mcpward.tools.executor import Executor
from mcpward.tools.lifespans import Lifespans
from mcpward.tools.origin import Origin
from mcpward.tools.pool import Pool, Pools
from mcpward.tools.prompt import Prompt
from mcpward.tools.resource import Resource
from mcpward.tools.run_context import RunContext

_LONGEST: Final = 16_384
_COMPLETION_S: Final = 5.0
_SETTING: Final = "output.max_bytes"
_TOO_LONG: Final = "it is too large: ask for less"
#: A file that is neither a library's nor ours is an author's, whichever of the servers it belongs to.
_AUTHORS: Final = Origin(None)
#: Refusals that are not the function's doing: the client's, or mcpward's own.
_PASSING: Final = frozenset(
    {Reason.BUSY, Reason.CAPABILITY_MISSING, Reason.CONSENT_MISSING, Reason.PARAMS_INVALID, Reason.OUTPUT_REFUSED}
)


class Runner:
    """Runs the tools of all servers of a process. ``pool_size`` bounds the threads for the sync functions of each;
    ``exchange`` gets tokens for upstreams. ``executor`` is for the event loop: threads that authors use beside those.
    A text of more than ``longest_text`` characters is withheld before it is encoded.

    Whatever an author's function raises is a failure of that call and no more, ``sys.exit()``, ``KeyboardInterrupt``
    and ``GeneratorExit`` included. Signals never arrive as exceptions here: the server handles them itself.
    """

    def __init__(
        self, pool_size: int, clock: Clock, exchange: Exchange | None = None, *, longest_text: int = sys.maxsize
    ) -> None:
        self._stage = RunContext(Pools(pool_size), clock, exchange)
        self._watch = Watch()
        self._longest_text = longest_text
        self.executor: Final = Executor(pool_size)

    @property
    def lifespans(self) -> Lifespans:
        """Starts and stops the servers, and holds the values that their lifespans yield."""
        return self._stage.lifespans

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All pools of threads that there are."""
        return (*self._stage.pools, *self.executor.pools)

    @property
    def deadlines(self) -> Watch:
        """The watch over the deadlines of all calls that run."""
        return self._watch

    async def run(self, accepted: AcceptedCall, channel: ClientChannel) -> RawResult:
        """Run a tool and return its raw result. ``back`` takes its notifications and questions, not yet clean.

        A sync function that outlives its deadline is answered for in time but goes on in its thread, and keeps that
        thread and its call's slots until it ends: Python cannot stop it. So does work that an async one left in a
        thread.

        Raises:
            Refusal: tool-timeout; tool-failed with the fact ``error_id`` and the traceback as private detail;
                output-refused for a result that is not what the tool declares; busy if no thread is left;
                capability-missing, consent-missing or params-invalid if the client cannot be asked, does not answer, or
                answers something else.
            InputRequired: modern era, the tool asks for what has not come with the request.
            CancelledError: cancelled from outside.
        """
        tool = accepted.tool
        work = Work(tool.server, accepted.call.principal.key, channel, accepted.call.principal)
        before = _current.set(work)
        deadline = self._watch.start(tool.deadline_s)
        try:
            value = await tool.run(accepted, self._stage, channel, deadline)
            if isinstance(value, str) and len(value) > self._longest_text:
                raise withheld(f"the result has {len(value)} characters, {_SETTING} is {self._longest_text}", _TOO_LONG)
            result: RawResult = tool.shape(value)
            if tool.owned is not None:
                result = tool.owned(accepted.call.principal, result)
        except ToolError as told:
            if deadline.is_over:
                raise _too_late(tool.deadline_s) from None
            return RawResult(content=[{"type": "text", "text": told.message}], is_error=True)
        except Refusal:
            raise
        except asyncio.CancelledError as stopped:
            if deadline.cancelled_outside:
                deadline.pass_on()
                raise
            if deadline.is_over:
                raise _too_late(tool.deadline_s) from None
            raise _failed(stopped) from None  # the tool's own doing: a cancelled task that it waited for
        except BaseException as broken:  # noqa: BLE001  an author's exit must not end the server
            if deadline.is_over:
                raise _too_late(tool.deadline_s) from None
            raise _asked(broken) or _failed(broken) from None
        finally:
            deadline.stop()
            work.channel = None
            _current.reset(before)  # what mcpward does from here on is not counted for the author's threads
        if deadline.is_over:  # the tool caught its cancellation and gave something back after all: too late
            raise _too_late(tool.deadline_s)
        return result

    async def inquire(self, accepted: AcceptedCall, channel: ClientChannel) -> None:
        """Ask the guards of a call that have to wait, within the tool's deadline.

        Raises:
            Refusal: argument-dangerous; tool-timeout; tool-failed, if a guard itself fails; busy.
            CancelledError: cancelled from outside.
        """
        tool = accepted.tool
        assert tool.inquire is not None  # else there is nothing to ask
        work = Work(tool.server, accepted.call.principal.key, channel, accepted.call.principal)
        before = _current.set(work)
        deadline = self._watch.start(tool.deadline_s)
        try:
            await tool.inquire(accepted.arguments)
        except asyncio.CancelledError as stopped:
            if deadline.cancelled_outside:
                deadline.pass_on()
                raise
            raise (_too_late(tool.deadline_s) if deadline.is_over else _failed(stopped)) from None
        except BaseException as broken:  # noqa: BLE001  an author's exit must not end the server
            if deadline.is_over:
                raise _too_late(tool.deadline_s) from None
            is_ours = isinstance(broken, Refusal) and broken.reason in {Reason.ARGUMENT_DANGEROUS, Reason.BUSY}
            raise (broken if is_ours else _failed(broken)) from None
        finally:
            deadline.stop()
            work.channel = None
            _current.reset(before)
        if deadline.is_over:
            raise _too_late(tool.deadline_s)

    async def read(self, call: Call, resource: Resource, channel: ClientChannel) -> dict[str, Any]:
        """Read a resource and return the result of ``resources/read``.

        Raises:
            Fault: the function failed or took too long; the detail has the traceback.
            Refusal: busy; the server has no thread left. Else as :meth:`run`, for questions.
            InputRequired: as :meth:`run`.
        """
        return await self._whole(
            call, lambda timed: resource.read(call, self._stage, timed), channel, resource.deadline_s
        )

    async def render(
        self, call: Call, prompt: Prompt, arguments: Mapping[str, Any], channel: ClientChannel
    ) -> dict[str, Any]:
        """Make a prompt from its accepted arguments and return the result of ``prompts/get``.

        Raises:
            Fault: the function failed or took too long; the detail has the traceback.
            Refusal: busy; the server has no thread left. Else as :meth:`run`, for questions.
            InputRequired: as :meth:`run`.
        """
        return await self._whole(
            call, lambda timed: prompt.render(call, arguments, self._stage, timed), channel, prompt.deadline_s
        )

    async def complete(self, call: Call, completion: Completion, channel: ClientChannel) -> dict[str, Any]:
        """Complete an argument and return the result of ``completion/complete``, within 5 seconds, because a person is
        typing.

        Nothing may be asked meanwhile: the specification gives questions no place in this method.

        Raises:
            Fault: the function failed, asked or took too long; the detail has the traceback.
            Refusal: busy; the server has no thread left.
        """
        deadline_s = min(completion.deadline_s, _COMPLETION_S)
        return await self._whole(
            call, lambda timed: completion.complete(call, self._stage, timed), Unasked(channel), deadline_s
        )

    async def _whole(
        self,
        call: Call,
        make: Callable[[ClientChannel], Awaitable[dict[str, Any]]],
        channel: ClientChannel,
        deadline_s: float,
    ) -> dict[str, Any]:
        """Resources and prompts have no ``isError`` of their own: whatever goes wrong is a fault."""
        work = Work(call.arrival.server, call.principal.key, channel, call.principal)
        before = _current.set(work)
        deadline = self._watch.start(deadline_s)
        try:
            result = await make(Timed(channel, deadline))
        except asyncio.CancelledError as stopped:
            if deadline.cancelled_outside:
                deadline.pass_on()
                raise
            raise Fault(error_id(), _trace(stopped)) from None
        except BaseException as broken:  # an author's exit must not end the server
            if isinstance(broken, Refusal) and broken.reason in _PASSING:
                raise
            raise (None if deadline.is_over else _asked(broken)) or Fault(error_id(), _trace(broken)) from None
        finally:
            deadline.stop()
            work.channel = None
            _current.reset(before)  # what mcpward does from here on is not counted for the author's threads
        return result

    async def close(self) -> None:
        """Take no more sync work and close the authors' databases. Does not wait for running threads."""
        self._watch.close()
        self._stage.pools.close()
        self.executor.pools.close()
        # Only if an author imported it: SQLAlchemy is heavy.
        database = sys.modules.get("mcpward.sdk.database.database")
        if database is not None:
            await database.close_all()


def _too_late(deadline_s: float) -> Refusal:
    return Refusal(Reason.TOOL_TIMEOUT, f"the deadline of {deadline_s:g} s was over")


def _failed(error: BaseException) -> Refusal:
    return Refusal(Reason.TOOL_FAILED, _trace(error), ErrorId(error_id()))


def _asked(error: BaseException) -> InputRequired | Refusal | None:
    """Return the questions, or the client's refusals, that a function raised singly or in groups (``TaskGroup``).

    None if anything else was raised with them: a failed call asks no questions.
    """
    questions: dict[str, Question] = {}
    refusal: Refusal | None = None
    for leaf in _leaves(error):
        if isinstance(leaf, InputRequired):
            questions |= {question.key: question for question in leaf.questions}
        elif isinstance(leaf, Refusal) and leaf.reason in _PASSING:
            refusal = refusal or leaf
        else:
            return None
    return refusal or InputRequired(tuple(questions.values()))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _trace(error: BaseException) -> str:
    """Return the author's line, then the traceback's end, which says most. Private: for the log, redacted there."""
    trace = "".join(traceback.format_exception(error))[-_LONGEST:]
    frame = _AUTHORS.frame(error)
    return trace if frame is None else f"{place_of(frame.filename, frame.lineno)}, in {frame.name}\n{trace}"
