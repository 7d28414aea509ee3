"""The taint of a conversation: it has read what strangers wrote, so what can do harm needs a person's yes for a while.

Three things together leak data: what is private, a stranger's words, and a way out ("lethal trifecta"). The mark is in
the store before the stranger's words leave, and is looked up there: it counts in every worker at once. A store that
does not take it, or does not answer, refuses the call.

A conversation is its session, or else its caller. What a caller has read at another server counts too: one model reads
both.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Final, Protocol

from mcpward.config.span import span_text
from mcpward.core.clock import Clock
from mcpward.core.values import Call
from mcpward.pipeline.store_timeout import store_deadline

_KNOWN: Final = 10_000
"""Marks that a worker remembers to have written, so that it does not write each of them again."""
_AHEAD_S: Final = 10.0
"""A mark counts so much longer, and is written only once in that time."""


class TaintStore(Protocol):
    """The marks of all workers. A port of the storage package."""

    async def mark(self, ids: Sequence[str], at: float, origin: str, before: float) -> None:
        """Keep that conversations read something at a moment; drop marks from before ``before``."""
        ...

    async def find(self, ids: Sequence[str], since: float) -> str | None:
        """Return the origin of the latest thing that any of them has read since a moment; None if there is nothing."""
        ...


class Taints:
    """Notes and finds marks. ``windows`` are the seconds for which one counts, by the servers that have the rule."""

    def __init__(self, store: TaintStore, windows: Mapping[str, float], servers: Collection[str], clock: Clock) -> None:
        self._store = store
        self._windows = dict(windows)
        self._servers = tuple(servers)
        self._longest = max(windows.values(), default=0.0)
        self._clock = clock
        self._known: OrderedDict[str, float] = OrderedDict()

    async def note(self, call: Call, origin: str, within_s: float = 0.0) -> None:
        """Note that a conversation will have read a stranger's words within so many seconds, before it does.

        Raises:
            Refusal: busy; the store did not take it.
        """
        if not self._windows:
            return
        now = self._clock.now()
        at = now + within_s
        ids = _written(call)
        if all(self._known.get(one, 0.0) >= at for one in ids):
            return
        async with store_deadline():
            await self._store.mark(ids, at + _AHEAD_S, origin, now - self._longest)
        for one in ids:
            self._known[one] = at + _AHEAD_S
            self._known.move_to_end(one)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    async def why(self, call: Call) -> str:
        """Return why a call needs a person's yes; "" if its conversation has read nothing of strangers lately.

        Raises:
            Refusal: busy; the store does not say.
        """
        window = self._windows.get(call.arrival.server)
        if window is None:
            return ""
        async with store_deadline():
            origin = await self._store.find(self._read(call), self._clock.now() - window)
        if origin is None:
            return ""
        return f"in the last {span_text(window)} this conversation has read text from {origin}, which may carry orders"

    def _read(self, call: Call) -> list[str]:
        """Return the ids that count for a call: its conversation here, and its caller at the other servers."""
        own, key = call.arrival.server, call.principal.key
        here = _session(call.session) if call.session is not None else _caller(own, key)
        return [here, *(_caller(server, key) for server in self._servers if server != own)]


def _written(call: Call) -> list[str]:
    of_caller = _caller(call.arrival.server, call.principal.key)
    return [of_caller] if call.session is None else [_session(call.session), of_caller]


def _session(session: str) -> str:
    return _digest(f"session {session}")


def _caller(server: str, key: str) -> str:
    return _digest(f"caller {server} {key}")


def _digest(text: str) -> str:
    """A session's token is a credential: it is kept nowhere."""
    return sha256(text.encode()).hexdigest()
