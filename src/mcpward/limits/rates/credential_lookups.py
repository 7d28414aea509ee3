"""Bounds look-ups of credentials at a provider or in the store: slots, in fair shares.

A look-up of a credential takes a slot, and may turn out to be a failure. Both are reserved before it starts. So an
address has no more look-ups under way than it has failures left. Its slot is free again when the answer arrives, not
when the caller has left. One address holds only a few slots, and some are kept for addresses whose credentials were
valid before. So a flood of strangers does not keep callers out.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from mcpward.core.authority import STORE
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.reasons import Reason
from mcpward.limits.rates.bounded_map import BoundedMap

MOST_WAITING: Final = 256
"""Of one address, at one provider."""
_MOST_WAITING_IN_ALL: Final = 2048
#: The others are for addresses that have succeeded.
_MOST_STRANGERS_WAITING: Final = 1536
_LONGEST_WAIT_S: Final = 10.0
_MOST_KNOWN: Final = 30_000
_RETRY_AFTER_S: Final = 1
T = TypeVar("T")


class Failures(Protocol):
    """The failed credentials of addresses. A port: ``Addresses``, which counts them, is made of this module."""

    def require_failure(self, bucket: str) -> object:
        """Require that the address has a failure left. Raises :class:`Refusal` if it has none."""
        ...

    def has_failure_beside(self, bucket: str, pending: int) -> bool:
        """Return whether one is left beside ``pending`` questions that may become failures."""
        ...

    def count_outcome(self, bucket: str, error: BaseException | None) -> None:
        """Count the result of a look-up whose caller has left."""
        ...


class Share(Struct, frozen=True):
    """Bounds on look-ups under way: ``places`` in all, ``kept`` of these for addresses that have succeeded, and
    ``address`` of one address.
    """

    slots: int
    kept: int
    address: int


AT_PROVIDER: Final = Share(slots=16, kept=4, address=4)
#: All waiters for the store share one look at it, so a slot there costs next to nothing.
AT_STORE: Final = Share(slots=512, kept=128, address=16)


class _Line:
    """The requests of one address at one provider: its look-ups under way, and its waiters."""

    __slots__ = ("bucket", "busy", "is_listed", "waiting")

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.busy = 0
        self.is_listed = False
        self.waiting: deque[asyncio.Future[bool]] = deque()


class _Endpoint:
    """One provider, or the store: its slots, and its queues with waiters, in the order of their turns."""

    __slots__ = ("busy", "known", "lines", "share", "strangers", "waiting")

    def __init__(self, share: Share) -> None:
        self.share = share
        self.busy = 0
        self.waiting = 0
        self.lines: dict[str, _Line] = {}
        self.known: deque[_Line] = deque()
        self.strangers: deque[_Line] = deque()


class CredentialLookups:
    """The slots of all providers. An address is remembered while it asks, and after it has succeeded."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._endpoints: dict[str, _Endpoint] = {}
        self._pending: dict[str, int] = {}
        self._known: BoundedMap[bool] = BoundedMap(_MOST_KNOWN)

    def __len__(self) -> int:
        return sum(len(endpoint.lines) for endpoint in self._endpoints.values())

    async def ask(self, whom: str, bucket: str, question: Callable[[], Awaitable[T]]) -> T:
        """Wait for a slot at ``whom``, look up, and return or raise the result of the look-up.

        ``whom`` is a name of :mod:`mcpward.core.authority`.

        Raises:
            Refusal: address-rate-exceeded, the address has failed too often; identity-unavailable, too many look-ups
                wait, or this one has waited for too long.
        """
        await self._begin(whom, bucket)
        asked = asyncio.ensure_future(_answer(question))
        try:
            await asyncio.wait([asked])
        except asyncio.CancelledError:  # the look-up is under way all the same, and so its slot is taken
            asked.add_done_callback(lambda done: self._left(whom, bucket, done))
            raise
        self._end(whom, bucket)
        try:
            answer = asked.result()
        finally:
            del asked  # an error would hold on to itself by this frame, and to the credential with it
        self._known.put(bucket, value=True)
        return answer

    # ---- places -------------------------------------------------------------------------------------------------

    async def _begin(self, whom: str, bucket: str) -> None:
        endpoint = self._endpoints.get(whom)
        if endpoint is None:
            endpoint = self._endpoints[whom] = _Endpoint(AT_STORE if whom == STORE else AT_PROVIDER)
        while True:
            self._failures.require_failure(bucket)
            line = endpoint.lines.get(bucket)
            if line is None:
                line = endpoint.lines[bucket] = _Line(bucket)
            if not line.waiting and endpoint.busy < self._most(endpoint, bucket) and self._may_begin(endpoint, line):
                self._take(endpoint, line)
                return
            try:
                if await self._wait(endpoint, line):
                    return
            finally:
                _let_go(endpoint, line)

    def _most(self, endpoint: _Endpoint, bucket: str) -> int:
        share = endpoint.share
        return share.slots if self._known.get(bucket, default=False) else share.slots - share.kept

    def _may_begin(self, endpoint: _Endpoint, line: _Line) -> bool:
        pending = self._pending.get(line.bucket, 0)
        return line.busy < endpoint.share.address and self._failures.has_failure_beside(line.bucket, pending)

    def _take(self, endpoint: _Endpoint, line: _Line) -> None:
        endpoint.busy += 1
        line.busy += 1
        self._pending[line.bucket] = self._pending.get(line.bucket, 0) + 1

    def _end(self, whom: str, bucket: str) -> None:
        endpoint = self._endpoints[whom]
        self._free(endpoint, endpoint.lines[bucket])

    def _free(self, endpoint: _Endpoint, line: _Line) -> None:
        bucket = line.bucket
        endpoint.busy -= 1
        line.busy -= 1
        self._pending[bucket] -= 1
        if not self._pending[bucket]:
            del self._pending[bucket]
        _let_go(endpoint, line)
        # Not at once: the caller counts a failure first. Other authorities, too: the address may wait there for this
        # one.
        loop = asyncio.get_running_loop()
        for each in self._endpoints.values():
            if each is endpoint or bucket in each.lines:
                loop.call_soon(self._hand_on, each)

    def _left(self, whom: str, bucket: str, asked: "asyncio.Future[T]") -> None:
        error = None if asked.cancelled() else asked.exception()
        if error is None and not asked.cancelled():
            self._known.put(bucket, value=True)
        self._failures.count_outcome(bucket, error)
        self._end(whom, bucket)

    # ---- waiting ------------------------------------------------------------------------------------------------

    async def _wait(self, endpoint: _Endpoint, line: _Line) -> bool:
        """Return whether a slot was passed on; False: look again."""
        is_known = self._known.get(line.bucket, default=False)
        most = _MOST_WAITING_IN_ALL if is_known else _MOST_STRANGERS_WAITING
        if len(line.waiting) >= MOST_WAITING or endpoint.waiting >= most:
            raise _unavailable("too many credentials wait to be looked up")
        turn = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        endpoint.waiting += 1
        if not line.is_listed:
            line.is_listed = True
            (endpoint.known if is_known else endpoint.strangers).append(line)
        try:
            async with fair_timeout(_LONGEST_WAIT_S):
                return await self._turn(endpoint, line, turn)
        except TimeoutError:
            raise _unavailable("a credential has waited too long to be looked up") from None
        finally:
            endpoint.waiting -= 1
            if turn in line.waiting:
                line.waiting.remove(turn)

    async def _turn(self, endpoint: _Endpoint, line: _Line, turn: "asyncio.Future[bool]") -> bool:
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():  # the slot came as its caller left
                self._free(endpoint, line)
            raise

    def _hand_on(self, endpoint: _Endpoint) -> None:
        """Pass free slots on, to one queue after the other."""
        slots, kept = endpoint.share.slots, endpoint.share.kept
        for lines, most in ((endpoint.known, slots), (endpoint.strangers, slots - kept)):
            for _ in range(len(lines)):
                if endpoint.busy >= most:
                    break
                line = lines.popleft()
                self._serve(endpoint, line)
                line.is_listed = bool(line.waiting)
                if line.is_listed:
                    lines.append(line)
                else:
                    _let_go(endpoint, line)

    def _serve(self, endpoint: _Endpoint, line: _Line) -> None:
        if self._may_begin(endpoint, line):
            if turn := _next(line):
                self._take(endpoint, line)
                turn.set_result(True)
        elif line.bucket not in self._pending:  # no look-up under way could return a failure: all waiters are refused
            while turn := _next(line):
                turn.set_result(False)


def _next(line: _Line) -> "asyncio.Future[bool] | None":
    while line.waiting:
        turn = line.waiting.popleft()
        if not turn.done():
            return turn
    return None


def _let_go(endpoint: _Endpoint, line: _Line) -> None:
    if not line.busy and not line.waiting and not line.is_listed:
        endpoint.lines.pop(line.bucket, None)


async def _answer(question: Callable[[], Awaitable[T]]) -> T:
    return await question()


def _unavailable(detail: str) -> Refusal:
    return Refusal(Reason.IDENTITY_UNAVAILABLE, detail, RetryAfter(_RETRY_AFTER_S))
