"""The ASGI lifespan by which uvicorn opens and closes a worker. HTTP never comes this way: ``Connection`` takes it."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import structlog

from mcpward.app.connections import accept_ourselves, find_room
from mcpward.app.listeners import listen
from mcpward.app.tls import Renewal
from mcpward.app.worker import LINGER_S, Worker
from mcpward.app.worker_control import WorkerControl
from mcpward.config.address import Address
from mcpward.config.model import Settings
from mcpward.operations.presence import present

_log: Final = structlog.get_logger("mcpward")
_TICK_S: Final = 0.005
Message = MutableMapping[str, Any]
#: Makes the first credentials, and returns the function that announces them once the addresses take connections.
Opened = Callable[[], Callable[[], None]]


class _Stopped(Exception):
    """The start is not wanted any more."""


class Lifespan:
    """Opens one :class:`Worker` at start-up and closes it at shutdown.

    ``opened`` is for the process that makes the first credentials. ``control`` is a worker's channel to its supervisor,
    which decides when it may take connections; None if it has none. ``failure`` is the cause of a failed start-up.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Address,
        listener: socket.socket,
        metrics: socket.socket | None,
        supervisor: int | None,
        opened: Opened | None = None,
        *,
        control: WorkerControl | None = None,
        numbers: Path | None = None,
        is_alone: bool = True,
    ) -> None:
        self.settings = settings
        self.bound = bound
        self.listener = listener
        self.metrics = metrics
        self.supervisor = supervisor
        self.opened = opened
        self.control = control
        self.numbers = numbers
        self.is_alone = is_alone
        self.is_stopped: Callable[[], bool] = bool
        self.failure: Exception | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Speak the ASGI lifespan protocol."""
        assert scope["type"] == "lifespan"  # Connection answers every HTTP request itself
        await receive()
        http = self.settings.http
        room = find_room(http.max_connections)
        worker = Worker(self.settings, self.bound, self.supervisor, room, numbers=self.numbers, is_alone=self.is_alone)
        started = False
        try:
            async with worker.open():
                scope["state"] |= {"front": worker.front, "worker": worker}
                keep_tls = _renewing(worker)
                accept_ourselves(worker.front, self.bound.port, http.header_timeout_s, LINGER_S, keep_tls)
                tell = None
                if self.opened is not None:
                    tell = await asyncio.to_thread(self.opened)  # it opens the store on its own, with its own loop
                    await worker.refresher.look()  # the credentials just printed work from the first call
                await self._wait_for_word(worker)
                self._listen()
                async with worker.serve_metrics(self.metrics):
                    if tell is not None:
                        tell()
                    started = True
                    _log.debug("a worker is ready", pid=os.getpid(), servers=list(self.settings.servers))
                    with present(self.settings.site.data, worker.name):
                        await send({"type": "lifespan.startup.complete"})
                        if self.control is not None:
                            self.control.serving()
                        stopped = asyncio.ensure_future(receive())
                        left = asyncio.ensure_future(worker.left.wait())
                        await asyncio.wait([stopped, left], return_when=asyncio.FIRST_COMPLETED)
                        left.cancel()
                    await stopped
        except Exception as error:  # reported by the parent process, not by uvicorn with a traceback
            if started:
                raise
            self.failure = error
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # one clear line, and it is not uvicorn's
            if self.control is not None and not isinstance(error, _Stopped):
                self.control.failed(error)
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _wait_for_word(self, worker: Worker) -> None:
        """Wait for all workers of the generation: a failure is reported before any caller is admitted."""
        if self.control is None:
            return
        self.control.ready(worker.longest_s)
        while not self.control.may_serve:  # a thread and a signal handler set what is asked
            if self.is_stopped():
                raise _Stopped
            await asyncio.sleep(_TICK_S)

    def _listen(self) -> None:
        """Take connections: nothing is left that this start could fail of."""
        listen(self.listener)
        if self.metrics is not None:
            listen(self.metrics)


def _renewing(worker: Worker) -> Callable[[ssl.SSLContext], None]:
    def keep(context: ssl.SSLContext) -> None:
        site = worker.settings.site
        assert site.tls_cert is not None
        assert site.tls_key is not None
        worker.renewal = Renewal(site.tls_cert, site.tls_key, context, worker.clock).look

    return keep
