"""Running calls, so that a legacy client can cancel its own (``notifications/cancelled``), at any worker.

A cancellation counts for the same caller, in the same session, for an id of the same type: ``1`` and ``"1"`` are two
requests. Every other cancellation is ignored, without a reason (attack 64). ``initialize`` has no session yet, so it
cannot be cancelled; in the modern era a client cancels by leaving.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

from mcpward.core.invalid import invalid
from mcpward.core.values import Call
from mcpward.messaging.bus.worker_bus import WorkerBus

_KIND: Final = "cancel"
#: No request has a longer id.
_LONGEST_ID: Final = 256
_Name = tuple[str, str, int | str]


class Entry:
    """One call for the time it runs; ``was_cancelled`` if its client cancelled it, after its end too."""

    __slots__ = ("_entries", "_name", "_task", "was_cancelled")

    def __init__(self, entries: "dict[_Name, Entry]", name: _Name | None) -> None:
        self._entries = entries
        self._name = name
        self._task: asyncio.Task[Any] | None = None
        self.was_cancelled = False

    def __enter__(self) -> Self:
        if self._name is not None:
            if self._name in self._entries:
                raise invalid("id", "an id that no running request of this session has")
            self._task = asyncio.current_task()
            self._entries[self._name] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._name is not None and self._entries.get(self._name) is self:
            del self._entries[self._name]

    def cancel(self) -> None:
        """Cancel the call's task, once."""
        if not self.was_cancelled and self._task is not None:
            self.was_cancelled = True
            self._task.cancel("cancelled by the client")


class InFlight:
    """The calls of one worker that a cancellation may name."""

    def __init__(self, bus: WorkerBus) -> None:
        self._bus = bus
        self._entries: dict[_Name, Entry] = {}
        self._unnamed = Entry(self._entries, None)
        bus.on(_KIND, self._receive)

    def __len__(self) -> int:
        """How many calls can be cancelled."""
        return len(self._entries)

    def enter(self, call: Call) -> Entry:
        """Return the block in which the present task works on ``call``.

        Raises:
            Refusal: params-invalid, when the block is entered while a request with this id runs in the same session at
                this worker. An id names one request in a session (JSON-RPC base protocol, requests). With two, neither
                answers nor cancellations could be matched (attack 62). At two workers both run, and one cancellation
                ends the one that is found first.
        """
        if call.session is None or call.id is None:
            return self._unnamed
        return Entry(self._entries, (call.principal.key, call.session, call.id))

    def cancel(self, call: Call) -> None:
        """Cancel what ``call`` (``notifications/cancelled``) names, here or at another worker."""
        wanted = _id(call.params.get("requestId"))
        if call.session is None or wanted is None:
            return
        if not self._cancel(call.principal.key, call.session, wanted):
            self._bus.send(_KIND, {"key": call.principal.key, "session": call.session, "id": wanted})

    def _receive(self, message: dict[str, Any]) -> None:
        self._cancel(message["key"], message["session"], message["id"])

    def _cancel(self, key: str, session: str, wanted: int | str) -> bool:
        entry = self._entries.get((key, session, wanted))
        if entry is not None:
            entry.cancel()
        return entry is not None


def _id(said: Any) -> int | str | None:
    if isinstance(said, str):
        return said if len(said) <= _LONGEST_ID else None
    # True equals 1, as a name of a call too, but is no id.
    return said if isinstance(said, int) and not isinstance(said, bool) else None
