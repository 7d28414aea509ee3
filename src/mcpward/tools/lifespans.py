"""Starts and stops the servers of one worker as their authors say, and holds what their lifespans yield.

Each server has a task of its own: an async context manager is left in the task that entered it (a TaskGroup within
demands that). A server that cannot start keeps the worker from serving; one whose lifespan ends too early loses what it
yielded, so that its functions fail instead of working with what is closed.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import structlog

from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.work import starting
from mcpward.sdk.errors import AuthoringError, MissingSecret
from mcpward.sdk.lifespan import Hook
from mcpward.sdk.place import place_of
from mcpward.sdk.server import Server
from mcpward.tools.error_text import Redact, error_text
from mcpward.tools.origin import Origin

_log: Final = structlog.get_logger("mcpward")
#: A start may take minutes (a model is loaded). The log says from time to time what the start waits for.
_STILL_S: Final = 10.0
#: The time limit for the end of one server; then it is cancelled. All servers end at the same time.
STOP_S: Final = 10.0
_CANCEL_S: Final = 1.0


class LifespanEnded(Exception):
    """The value of a lifespan was requested while it does not run."""


class Lifespans:
    """One worker's. Nothing runs until :meth:`open`."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._ended: set[str] = set()

    def value_of(self, server: str) -> Any:
        """Return what the lifespan of a server has yielded.

        Raises:
            LifespanEnded: it does not run.
        """
        try:
            return self._values[server]
        except KeyError:
            raise LifespanEnded(f"the lifespan of server {server!r} does not run") from None

    @property
    def all_run(self) -> bool:
        """Whether no lifespan has ended before its time."""
        return not self._ended

    @asynccontextmanager
    async def open(self, servers: Mapping[str, Server], redact: Redact = str) -> AsyncIterator[None]:
        """Start the servers, all at once; at the end of the block stop them. ``redact`` takes secrets out of errors.

        Raises:
            Misconfigured: with a finding for each server that does not start; those that had started are stopped.
        """
        running = [_Running(self, name, server, redact) for name, server in servers.items() if _has_any(server)]
        try:
            await self._start(running)
            yield
        finally:
            await asyncio.gather(*(one.stop() for one in running))

    async def _start(self, running: list["_Running"]) -> None:
        waiting = {one.begin(): one for one in running}
        pending: set[asyncio.Future[Finding | None]] = set(waiting)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=_STILL_S)
            for late in pending:
                _log.warning("a server is still starting", server=waiting[late].name, where=waiting[late].where)
        findings = [finding for future in waiting if (finding := future.result()) is not None]
        if findings:
            raise Misconfigured(findings)

    def keep(self, server: str, value: Any) -> None:
        """Let the functions of a server have what its lifespan yielded."""
        self._values[server] = value

    def forget(self, server: str, *, early: bool = False) -> None:
        """Withdraw it. ``early`` says that the worker is not being stopped."""
        self._values.pop(server, None)
        if early:
            self._ended.add(server)


class _Running:
    """One server from its start to its end, in a task of its own."""

    def __init__(self, lifespans: Lifespans, name: str, server: Server, redact: Redact) -> None:
        self.name = name
        first = [each.where for each in (server.lifespan, *server.starts, *server.stops) if each is not None]
        self.where = first[0]
        self._lifespans = lifespans
        self._server = server
        self._redact = redact
        self._step = ("", "")
        self._started: asyncio.Future[Finding | None]
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> "asyncio.Future[Finding | None]":
        """Start. The future becomes None, or what was wrong."""
        loop = asyncio.get_running_loop()
        self._started = loop.create_future()
        self._task = loop.create_task(self._run(), name=f"lifespan of {self.name}")
        return self._started

    async def stop(self) -> None:
        """End, in :data:`STOP_S` seconds at the most."""
        self._stopping.set()
        if self._task is None:
            return
        if not self._started.done():  # the worker gives up before it has started
            self._task.cancel()
        _, pending = await asyncio.wait([self._task], timeout=STOP_S)
        if pending:
            what, where = self._step
            _log.error("a server did not stop in time", server=self.name, step=what, where=where, seconds=STOP_S)
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_CANCEL_S)

    async def _run(self) -> None:
        """Whatever an author's code raises ends here, exits included: they must not end the event loop."""
        starting.set(self.name)  # of this task, and of all that it starts
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                if not self._started.done():
                    self._started.set_result(None)
                await self._stopping.wait()
                await self._stop()
        except BaseException as error:  # noqa: BLE001  see above
            self._failed(error)
        finally:
            self._lifespans.forget(self.name)

    async def _start(self, stack: AsyncExitStack) -> None:
        lifespan, value = self._server.lifespan, None
        if lifespan is not None:
            self._step = (lifespan.name, lifespan.where)
            made = lifespan.make(self._server) if lifespan.takes_server else lifespan.make()
            value = await stack.enter_async_context(made)
            lifespan.require(value)
            self._lifespans.keep(self.name, value)
        for hook in self._server.starts:
            self._step = (hook.name, hook.where)
            await _call(hook, value)
        if lifespan is not None:
            self._step = (lifespan.name, lifespan.where)  # the step that is left when it ends by itself

    async def _stop(self) -> None:
        value = None if self._server.lifespan is None else self._lifespans.value_of(self.name)
        for hook in self._server.stops:
            self._step = (hook.name, hook.where)
            try:
                await _call(hook, value)
            except (Exception, SystemExit) as error:  # noqa: BLE001  the others are called all the same
                self._tell("a server failed while it stopped", error)
        if self._server.lifespan is not None:
            self._step = (self._server.lifespan.name, self._server.lifespan.where)

    def _failed(self, error: BaseException) -> None:
        if not self._started.done():
            self._started.set_result(self._finding(error))
        elif self._stopping.is_set():
            if not isinstance(error, asyncio.CancelledError):  # reported when it was cancelled
                self._tell("a server failed while it stopped", error)
        else:
            self._lifespans.forget(self.name, early=True)
            self._tell("a lifespan has ended early: calls that need it fail", error)

    def _finding(self, error: BaseException) -> Finding:
        what, where = self._step
        if isinstance(error, AuthoringError):
            return Finding(error.what, error.where or where, "correct the annotation, or the yielded value")
        hint = "nothing is served until it starts: correct it, or catch the failure of a missing service"
        if isinstance(error, MissingSecret):
            hint = f"export {error.variable}=… or store it with mcpward secret set {error.variable}"
        return Finding(f"{what} failed: {self._said(error)}", _place(error) or where, hint)

    def _tell(self, event: str, error: BaseException) -> None:
        what, where = self._step
        said = self._said(error)
        _log.error(event, server=self.name, step=what, error=said, where=_place(error) or where)

    def _said(self, error: BaseException) -> str:
        """Return type and text of an error, without secrets."""
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
        text = error_text(error, self._redact)
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def _call(hook: Hook, value: Any) -> None:
    given = {hook.parameter: value} if hook.parameter else {}
    if hook.is_async:
        await hook.function(**given)
    else:
        await asyncio.to_thread(hook.function, **given)


def _has_any(server: Server) -> bool:
    return server.lifespan is not None or bool(server.starts or server.stops)


def _place(error: BaseException) -> str:
    """Return ``file:line`` of the innermost frame in the author's own code; "" if there is none."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    frame = Origin(None).frame(error)
    return "" if frame is None else place_of(frame.filename, frame.lineno)
