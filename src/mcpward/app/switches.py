"""Switches and announcements of authors while they serve: sent to listeners, and applied at every other worker too."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from mcpward.core.change import Change, Topic
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.subscriptions.streams import Streams
from mcpward.tools.tool_source import ToolSource

_KIND: Final = "switch"
_ASKED: Final = "switches asked"
_KNOWN: Final = "switches known"
_Name = tuple[str, str, str]


class Switches:
    """Joins each server with the bus. Changes come from any thread; made on the loop that serves.

    A worker that starts asks the others for the switches: one that died must not come back with a tool that was
    switched off for all. Each sends only the switches it knows of, never how things were declared.
    """

    def __init__(self, sources: Mapping[str, ToolSource], bus: WorkerBus, streams: Streams) -> None:
        self._sources = dict(sources)
        self._bus = bus
        self._streams = streams
        self._loop = asyncio.get_running_loop()
        self._known: dict[_Name, bool] = {}
        bus.on(_KIND, self._adopt)
        bus.on(_ASKED, self._tell)
        bus.on(_KNOWN, self._learn)
        for name, source in sources.items():
            source.watch_switches(partial(self._switched, name))
            source.watch(partial(self._changed, name))
        bus.send(_ASKED, {"by": bus.worker})

    def _switched(self, server: str, topic: Topic, name: str, on: bool) -> None:
        with suppress(RuntimeError):  # the loop is closed: no worker of ours serves any more
            self._loop.call_soon_threadsafe(self._send, (server, topic.value, name), on)

    def _changed(self, server: str, change: Change) -> None:
        # An author's server may be served under another name than its own.
        self._streams.publish_soon(replace(change, server=server))

    def _send(self, name: _Name, on: bool) -> None:
        self._known[name] = on
        self._bus.send(_KIND, _message(name, on))

    def _adopt(self, message: dict[str, Any]) -> None:
        """Apply a switch of another worker. That one notifies all listeners, ours among them."""
        server, topic, name = message["server"], message["topic"], message["name"]
        source = self._sources.get(server)
        if source is not None:
            self._known[server, topic, name] = message["on"]
            source.adopt(Topic(topic), name, on=message["on"])

    def _tell(self, message: dict[str, Any]) -> None:
        if self._known:
            known = [_message(name, on) for name, on in self._known.items()]
            self._bus.send(_KNOWN, {"switches": known}, message["by"])

    def _learn(self, message: dict[str, Any]) -> None:
        """Take the state of another worker; messages received here since are newer."""
        for switch in message["switches"]:
            if (switch["server"], switch["topic"], switch["name"]) not in self._known:
                self._adopt(switch)


def _message(name: _Name, on: bool) -> dict[str, Any]:
    server, topic, what = name
    return {"server": server, "topic": topic, "name": what, "on": on}
