"""The process that makes an operator's call: a worker that serves the site's data, otherwise one that the caller
names.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from msgspec import to_builtins
from msgspec.structs import replace

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Unreachable
from mcpward.core.ids import base62
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.operations.bus import bus_of
from mcpward.operations.operator_call import (
    ASKING,
    CANCELLING,
    PROGRESSING,
    TELLING,
    CallAnswer,
    CalledOff,
    CallPage,
    CallRequest,
    MakesCalls,
    OperatorCall,
    Tell,
    read_progress,
    read_told,
)
from mcpward.operations.presence import find_worker
from mcpward.operations.site import open_site

_NAME: Final = 22
_LOOK_EVERY_S: Final = 1.0


@asynccontextmanager
async def open_calls(
    settings: Settings, clock: Clock, timeout_s: float, here: Callable[[], AbstractAsyncContextManager[MakesCalls]]
) -> AsyncIterator[MakesCalls]:
    """Open the way to the process that makes the calls of this site. Wait ``timeout_s`` seconds for answers.

    ``here`` opens a caller in this process if no worker serves the site.

    Raises:
        Misconfigured: the data, a secret or a source cannot be used.
    """
    worker = find_worker(settings.site.data)
    if worker is None:
        async with here() as own:
            yield own
        return
    async with open_site(settings, clock) as site:
        bus = bus_of(site, clock)
        remote = RemoteCalls(bus, settings, clock, worker, timeout_s)
        await bus.start()
        try:
            yield remote
        finally:
            await bus.stop()


class RemoteCalls:
    """Has calls made by one ``worker``, one after the other."""

    def __init__(self, bus: WorkerBus, settings: Settings, clock: Clock, worker: str, timeout_s: float) -> None:
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._worker = worker
        self._timeout_s = timeout_s
        self._name = ""
        self._told: dict[int, CallPage] = {}
        self._is_whole = asyncio.Event()
        self._tell: Tell | None = None
        bus.on(TELLING, self._receive)
        bus.on(PROGRESSING, self._receive_progress)

    async def make(self, call: OperatorCall, tell: Tell | None = None) -> CallAnswer:
        """Return the worker's answer; cancelled, have the worker cancel the call.

        Raises:
            Unreachable: it did not come, or the call is too long to be sent.
        """
        self._name, self._told, self._tell = base62(_NAME), {}, tell
        self._is_whole.clear()
        asked = CallRequest(name=self._name, by=self._bus.worker, at=self._clock.now(), call=call)
        with self._bus.hurry():
            if not self._bus.send(ASKING, to_builtins(asked), self._worker):
                raise Unreachable("the arguments are too long to pass to the running server", "call it over HTTP")
            try:
                await self._wait()
            except asyncio.CancelledError:
                self._bus.send(CANCELLING, to_builtins(CalledOff(name=self._name)), self._worker)
                raise
        parts = [self._told[page] for page in sorted(self._told)]
        body = "".join(part.body for part in parts)
        return CallAnswer(body=body, reason=parts[0].reason, hint=parts[0].hint)

    async def _wait(self) -> None:
        ends_at = self._clock.monotonic() + self._timeout_s
        while (left := ends_at - self._clock.monotonic()) > 0:
            try:
                await asyncio.wait_for(self._is_whole.wait(), min(_LOOK_EVERY_S, left))
            except TimeoutError:
                if find_worker(self._settings.site.data) is None:
                    raise Unreachable(
                        "the server ended before it answered", "mcpward log shows how far the call came"
                    ) from None
            else:
                return
        what = f"the server has not answered within {self._timeout_s:g} s; the call may still run"
        raise Unreachable(what, "to wait longer: --timeout; mcpward log shows how it ended")

    def _receive(self, message: dict[str, Any]) -> None:
        told = read_told(message)
        if told is not None and told.name == self._name:
            self._told[told.page] = told
            if len(self._told) >= told.pages:
                self._is_whole.set()

    def _receive_progress(self, message: dict[str, Any]) -> None:
        progress = read_progress(message)
        if progress is not None and progress.name == self._name and self._tell is not None:
            self._tell(progress)


def again(call: OperatorCall, inputs: dict[str, Any], state: str) -> OperatorCall:
    """Return the same call with a person's answers."""
    return replace(call, inputs=inputs, state=state)
