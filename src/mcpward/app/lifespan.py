"""The ASGI lifespan by which uvicorn opens and closes a worker. HTTP never comes this way: ``Connection`` takes it."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mcpward.app.sockets import bound_handshakes, make_room
from mcpward.app.worker import Worker
from mcpward.config.address import Address
from mcpward.config.model import Settings

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
        make_room(self.settings.http.max_connections)
        worker = Worker(self.settings, self.bound, self.supervisor)
        started = False
        try:
            async with worker.open(self.metrics):
                scope["state"]["front"] = worker.front
                if self.settings.site.tls_cert is not None:
                    bound_handshakes(self.settings.http.header_timeout_s)
                if self.opened is not None:
                    await asyncio.to_thread(self.opened)  # it opens the store on its own, with a loop of its own
                    await worker.refresher.look()  # what was handed over just now opens the door from the first call
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:  # told by whoever started the process, not by uvicorn with a traceback
            if started:
                raise
            self.failure = error
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # one clear line, and it is not uvicorn's
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.shutdown.complete"})
