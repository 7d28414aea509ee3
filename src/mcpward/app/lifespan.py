"""The ASGI lifespan by which uvicorn opens and closes a worker. HTTP never comes this way: ``Connection`` takes it."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from mcpward.app.connections import accept_ourselves, find_room
from mcpward.app.presence import present
from mcpward.app.worker import LINGER_S, Worker
from mcpward.config.address import Address
from mcpward.config.model import Settings
from mcpward.core.errors import Finding, Misconfigured

_log: Final = structlog.get_logger("mcpward")

Message = MutableMapping[str, Any]


class Lifespan:
    """Opens one :class:`Worker` at start-up and closes it at shutdown.

    Where there are several workers it is sent to their processes, so it holds plain values then; ``opened`` is for the
    one process that serves by itself. ``failure`` is what a start-up failed of.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Address,
        metrics: socket.socket | None,
        supervisor: int | None,
        opened: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self.bound = bound
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
            async with worker.open(self.metrics):
                scope["state"]["front"] = worker.front
                accept_ourselves(worker.front, self.bound.port, http.header_timeout_s, LINGER_S)
                if self.opened is not None:
                    await asyncio.to_thread(self.opened)  # it opens the store on its own, with a loop of its own
                    await worker.refresher.look()  # what was handed over just now opens the door from the first call
                started = True
                with present(self.settings.site.data, worker.name):
                    await send({"type": "lifespan.startup.complete"})
                    await receive()
        except Exception as error:  # told by whoever started the process, not by uvicorn with a traceback
            if started:
                raise
            self.failure = error
            if self.supervisor is not None:  # whoever started this process cannot read what is kept in it
                _tell(error)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # one clear line, and it is not uvicorn's
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _tell(error: Exception) -> None:
    for finding in error.findings if isinstance(error, Misconfigured) else [Finding(type(error).__name__)]:
        _log.error("a worker does not start", what=finding.what, where=finding.where, hint=finding.hint)
