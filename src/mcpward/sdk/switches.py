"""The switched-on items of a server, and the listeners for changes. From any thread."""

import threading
from collections.abc import Callable

from mcpward.core.change import Change, Topic

Listener = Callable[[Change], None]
Turned = Callable[[Topic, str, bool], None]
"""Receives which item of which list was turned on or off."""


class Switches:
    """Everything declared is on, unless it is among ``off``, which is another set after each change."""

    def __init__(self, server: str) -> None:
        self.off: frozenset[tuple[Topic, str]] = frozenset()
        self._server = server
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._turned: tuple[Turned, ...] = ()

    def declare(self, topic: Topic, name: str, *, enabled: bool) -> None:
        """Take in something new without a notification, because no client can have seen it."""
        self.adopt(topic, name, on=enabled)

    def turn(self, topic: Topic, name: str, *, on: bool) -> None:
        """Switch something on or off, and notify all listeners if that changes anything."""
        if self.adopt(topic, name, on=on):
            for turned in self._turned:
                turned(topic, name, on)
            self.tell(Change(self._server, topic))

    def adopt(self, topic: Topic, name: str, *, on: bool) -> bool:
        """Switch without a notification, and return whether that changed anything."""
        with self._lock:
            off = self.off - {(topic, name)} if on else self.off | {(topic, name)}
            if off == self.off:
                return False
            self.off = off
            return True

    def watch(self, listener: Listener) -> None:
        """Call ``listener`` for each change from now on, in the thread that makes it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def watch_switches(self, turned: Turned) -> None:
        """Call ``turned`` for each switch from now on, in the thread that makes it, before the listeners."""
        with self._lock:
            self._turned = (*self._turned, turned)

    def tell(self, change: Change) -> None:
        """Call all listeners."""
        for listener in self._listeners:
            listener(change)
