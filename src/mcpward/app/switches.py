"""What authors switch and announce while they serve: told to listeners, and done at every other worker too."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from mcpward.channel.mailroom import Mailroom
from mcpward.channel.streams import Streams
from mcpward.core.change import Change, Topic
from mcpward.tools.registry import Registry

_KIND: Final = "switch"


class Switches:
    """Joins each author's server with the channel. Changes come from any thread; made on the loop that serves."""

    def __init__(self, registries: Mapping[str, Registry], mailroom: Mailroom, streams: Streams) -> None:
        self._registries = dict(registries)
        self._mailroom = mailroom
        self._streams = streams
        self._loop = asyncio.get_running_loop()
        mailroom.on(_KIND, self._adopt)
        for name, registry in registries.items():
            registry.source.watch_switches(partial(self._switched, name))
            registry.source.watch(partial(self._changed, name))

    def _switched(self, server: str, topic: Topic, name: str, on: bool) -> None:
        letter = {"server": server, "topic": topic.value, "name": name, "on": on}
        with suppress(RuntimeError):  # the loop is closed: no worker of ours serves any more
            self._loop.call_soon_threadsafe(self._mailroom.send, _KIND, letter)

    def _changed(self, server: str, change: Change) -> None:
        # An author's server may be served under another name than its own.
        self._streams.publish_soon(replace(change, server=server))

    def _adopt(self, letter: dict[str, Any]) -> None:
        """Switch here what was switched at another worker. That one tells all listeners, ours among them."""
        registry = self._registries.get(letter["server"])
        if registry is not None:
            registry.source.adopt(Topic(letter["topic"]), letter["name"], on=letter["on"])
