"""Slots in Redis: counted for all processes and hosts of a site, and free again by themselves if one died."""

import asyncio
import logging
from typing import Any, Final

from mcpward.limits.concurrency.slot_request import SlotAnswer, SlotRequest
from mcpward.limits.redis.script import Command, Script, Word
from mcpward.limits.redis.store import SharedStore

_log: Final = logging.getLogger(__name__)
_SLOTS: Final = Script("slots.lua")
#: A third of the lifetime of an unrenewed slot: one renewal may be lost.
_RENEW_S: Final = 1.5
_POLL_S: Final = 0.02
_MAX_POLL_S: Final = 0.1
_MOST_FAILED: Final = 2
_RETRY_S: Final = 1.0


class RedisSlots:
    """The port :class:`~mcpward.limits.concurrency.slot_request.SharedSlots`, on a :class:`SharedStore`."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._held: dict[str, SlotRequest] = {}
        self._renewal: asyncio.TimerHandle | None = None
        #: Waiters that sleep until they ask again, by the name whose queue they stand in.
        self._asleep: dict[str, dict[asyncio.Future[None], None]] = {}
        #: Consecutive errors from a store that is well otherwise: it may not allow the commands that slots need.
        self._failed = 0
        self._again_at = 0.0
        store.on_loss.append(self._renew_now)

    @property
    def is_up(self) -> bool:
        """Whether the store answered last time, also the commands for slots. If it did not, one request a second tries
        it.
        """
        if not self._store.is_up:
            return False
        return self._failed < _MOST_FAILED or asyncio.get_running_loop().time() >= self._again_at

    def ask(self, claim: SlotRequest, *, goes_first: bool = False) -> "asyncio.Future[SlotAnswer]":
        """Take all slots of a request, or stand in the queue of the first that is missing.

        Raises:
            StoreDown: at once, or when awaited.
        """
        args: tuple[Word, ...] = (
            "take", self._store.expected(), claim.id, claim.at, claim.caller, int(goes_first), *claim.slots,
        )  # fmt: skip
        answer = self._store.call(_SLOTS, self._keys(claim), args)
        told: asyncio.Future[SlotAnswer] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda answered: self._tell(claim, answered, told))
        return told

    def keep(self, claim: SlotRequest) -> None:
        """Count a request that holds its slots already, from the next renewal on."""
        claim.is_kept = True
        self._held[claim.id] = claim
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_later(_RENEW_S, self._renew)

    def drop(self, claim: SlotRequest) -> None:
        """Release all slots and leave every queue. Entries whose release is lost expire."""
        self._held.pop(claim.id, None)
        claim.is_dropped = True
        self._store.tell(self._command("drop", claim, int(not claim.is_kept)))
        for name in claim.names:  # behind the drop on the same connection, so they find the slot free
            sleepers = self._asleep.get(name)
            if sleepers:
                _wake(next(iter(sleepers)))

    async def turn(self, claim: SlotRequest, told: SlotAnswer) -> None:
        """Return when it is time to ask again: the next in the queue asks most often."""
        name = claim.names[told.missing - 1]
        loop = asyncio.get_running_loop()
        bell: asyncio.Future[None] = loop.create_future()
        alarm = loop.call_later(min(_MAX_POLL_S, _POLL_S * (1 + told.before)), _wake, bell)
        sleepers = self._asleep.setdefault(name, {})
        sleepers[bell] = None
        try:
            await bell
        finally:
            alarm.cancel()
            del sleepers[bell]
            if not sleepers and self._asleep.get(name) is sleepers:
                del self._asleep[name]

    # ---- to and from the script -----------------------------------------------------------------------------------

    def _keys(self, claim: SlotRequest) -> list[Word]:
        key = self._store.key
        return [self._store.clock_key, *(key("p", name) for name in claim.names)]

    def _command(self, verb: str, claim: SlotRequest, *args: Word) -> Command:
        return Command.running(_SLOTS, self._keys(claim), (verb, self._store.expected(), claim.id, *args))

    def _tell(self, claim: SlotRequest, answered: "asyncio.Future[Any]", told: "asyncio.Future[SlotAnswer]") -> None:
        broken = answered.exception()
        if broken is not None:
            if self._store.is_up:
                self._failed += 1
                self._again_at = asyncio.get_running_loop().time() + _RETRY_S
            if not told.done():
                told.set_exception(broken)
                told.exception()  # its charge may have refused the call, which then awaits nothing
            return
        self._failed = 0
        virtual, missing, before, wrong = answered.result()
        self._store.saw(virtual)
        if wrong:
            self._store.failures += wrong
            _log.warning("%d keys of the shared slots had a wrong type, and were deleted", wrong)
        if not told.done():
            claim.at = missing
            if not missing and not claim.is_dropped:
                self.keep(claim)
            told.set_result(SlotAnswer(missing, before))

    def _renew_now(self) -> None:
        """Report the held slots again, before Redis could grant them to others."""
        for claim in self._held.values():
            self._store.tell(self._command("keep", claim))

    def _renew(self) -> None:
        self._renewal = None
        if not self._held:
            return
        self._renew_now()
        self._renewal = asyncio.get_running_loop().call_later(_RENEW_S, self._renew)


def _wake(bell: "asyncio.Future[None]") -> None:
    if not bell.done():
        bell.set_result(None)
