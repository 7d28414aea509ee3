"""The ASGI lifespan by which uvicorn opens and closes a worker. HTTP never comes this way: ``Connection`` takes it."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from mcpward.app.connections import accept_ourselves, find_room
from mcpward.app.listeners import listen
from mcpward.app.tls import Renewal
from mcpward.app.worker import LINGER_S, Worker
from mcpward.config.address import Address
from mcpward.config.model import Settings
from mcpward.core.errors import Finding, Misconfigured, Unreachable
from mcpward.operations.presence import present

_log: Final = structlog.get_logger("mcpward")
Message = MutableMapping[str, Any]
#: Makes what a first start hands over, and returns how to tell of it once the addresses take connections.
Opened = Callable[[], Callable[[], None]]


class Lifespan:
    """Opens one :class:`Worker` at start-up and closes it at shutdown.

    Where there are several workers it is sent to their processes, so it holds plain values then; ``opened`` is for the
    one process that serves by itself. ``failure`` is what a start-up failed of.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Address,
        listener: socket.socket,
        metrics: socket.socket | None,
        supervisor: int | None,
        opened: Opened | None = None,
    ) -> None:
        self.settings = settings
        self.bound = bound
        self.listener = listener
        self.metrics = metrics
        self.supervisor = supervisor
        self.opened = opened
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
        worker = Worker(self.settings, self.bound, self.supervisor, find_room(http.max_connections))
        started = False
        try:
            async with worker.open():
                scope["state"] |= {"front": worker.front, "worker": worker}
                keep_tls = _renewing(worker)
                accept_ourselves(worker.front, self.bound.port, http.header_timeout_s, LINGER_S, keep_tls)
                tell = None
                if self.opened is not None:
                    tell = await asyncio.to_thread(self.opened)  # it opens the store on its own, with its own loop
                    await worker.refresher.look()  # what was handed over just now opens the door from the first call
                self._listen()
                async with worker.serve_metrics(self.metrics):
                    if tell is not None:
                        tell()
                    started = True
                    _log.debug("a worker is ready", pid=os.getpid(), servers=list(self.settings.servers))
                    with present(self.settings.site.data, worker.name):
                        await send({"type": "lifespan.startup.complete"})
                        await receive()
        except Exception as error:  # told by whoever started the process, not by uvicorn with a traceback
            if started:
                raise
            self.failure = error
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # one clear line, and it is not uvicorn's
            if self.supervisor is not None:  # which sees an exit code alone
                _tell_failure(error)
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.shutdown.complete"})

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


def _tell_failure(error: Exception) -> None:
    if isinstance(error, Misconfigured):
        findings = error.findings
    elif isinstance(error, Unreachable):
        findings = (Finding(error.what, hint=error.hint),)
    else:
        _log.error("a worker cannot start", exc_info=error)
        return
    for one in findings:
        _log.error("a worker cannot start", what=one.what, where=one.where, hint=one.hint)
