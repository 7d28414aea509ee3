"""The slots of one call if slots are counted for the whole site: slots of this process, and the same ones there."""

from asyncio import CancelledError, Future, get_running_loop
from typing import Final

from mcpward.limits.concurrency.fallback import Fallback
from mcpward.limits.concurrency.lease import Lease
from mcpward.limits.concurrency.semaphore import OF_CALLER, Semaphore, busy
from mcpward.limits.concurrency.slot_request import SlotAnswer, SlotRequest, claim_of
from mcpward.limits.rates.shared_port import StoreDown

#: So often a request may fail before it is given up: an error may concern only this request, and all others be
#: answered.
_TRIES: Final = 2


class SharedLease(Lease, kw_only=True, eq=False):
    """Takes slots here first, in this process's own order, and then those of the site.

    So the calls of a process that request a slot there are never more than could hold one. A call that waits there
    keeps only the one missing kind of slot here. The calls behind it could not have that kind either.

    ``names`` and ``sizes`` are those of the semaphores; the caller's come before the last, which is the server's.
    ``_kept`` is the number of the only name whose slot is kept here, counted from 1.
    """

    fallback: Fallback
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    _claim: SlotRequest | None = None
    _asked: "Future[SlotAnswer] | None" = None
    _kept: int = 0

    async def enter(self) -> None:
        """Hold all slots, here and there, and wait for the missing ones."""
        await self._enter(goes_first=False)

    def enter_now(self) -> bool:
        """Return False: the slots of the site must be requested."""
        return False

    def end(self) -> None:
        """The call has ended: return all slots, and take none any more."""
        self._is_over = True
        if not self._retained:
            self.release()

    def ask_shared(self) -> "Future[SlotAnswer] | None":
        """Request the same slots of the whole site, in this turn of the loop; None if there is nothing to request.

        Only with slots taken by :meth:`try_now`. Entering awaits the answer; a call that does not enter calls
        :meth:`release`.
        """
        if not self.is_held or not self.fallback.shared.is_up:
            return None
        try:
            self._asked = self._ask(goes_first=False)
        except StoreDown:
            return None
        return self._asked

    def release(self) -> None:
        """Release all slots, here and in Redis, and cancel open requests; no effect if nothing is held."""
        claim, self._claim, self._asked = self._claim, None, None
        if claim is not None:
            self.fallback.shared.drop(claim)  # before the local waiters request it
        if self._kept:
            self._take_rest()
        super().release()

    async def take_back(self) -> None:
        """Take back the slots that a running call released for a while, before the calls that have not begun."""
        if self.has_ended() or self.is_held:
            return
        try:
            await self._enter(goes_first=True)
        except CancelledError:
            if not self.has_ended() and not self.is_held:
                self._owe()
            raise
        finally:
            if self._retained and not self.is_held:
                self._owe()
            elif self.has_ended() and not self._retained:
                self.release()

    async def _enter(self, *, goes_first: bool) -> None:
        fallback, tries = self.fallback, _TRIES
        since = get_running_loop().time()
        try:
            while not self.has_ended():
                fallback.notice()
                if not goes_first and not (fallback.shared.is_up and tries):
                    fallback.require_open(self._semaphores)
                if not self.is_held and not self.try_now():
                    await self._wait(goes_first=goes_first)
                if not (fallback.shared.is_up and tries):
                    if not goes_first:
                        fallback.require_open(self._semaphores)
                    self._keep_there()
                    return
                try:
                    await self._share(since, goes_first=goes_first)
                    return
                except StoreDown:
                    tries -= 1
                    self.release()
        except BaseException:
            self.release()
            raise

    async def _share(self, since: float, *, goes_first: bool) -> None:
        """Take the same slots of the site, asking again and again while they are missing."""
        now = get_running_loop().time
        while not self.has_ended():
            asked, self._asked = self._asked, None
            told = await (asked or self._ask(goes_first=goes_first))
            if self.has_ended():
                return
            if self._kept:
                self._take_rest()
            if not told.missing or self._retained:  # retained, they are owed already
                return
            if not goes_first:
                self._require_patience(told, now() - since)
            self._keep_only(told.missing)
            assert self._claim is not None  # it was asked
            await self.fallback.shared.turn(self._claim, told)

    def _ask(self, *, goes_first: bool) -> "Future[SlotAnswer]":
        claim = self._claim
        if claim is None:
            claim = self._claim = claim_of(self.names, self.sizes, self._caller)
        return self.fallback.shared.ask(claim, goes_first=goes_first)

    def _owe(self) -> None:
        if self._kept:
            self._take_rest()
        else:
            super()._owe()
        self._keep_there()

    def _keep_there(self) -> None:
        """Be counted there as soon as the store answers: the slots are taken here."""
        if self._claim is None:
            self._claim = claim_of(self.names, self.sizes, self._caller)
        self.fallback.shared.keep(self._claim)

    def _require_patience(self, told: SlotAnswer, waited_s: float) -> None:
        of_caller = told.missing == len(self.names) - 1
        place = self._server_slots.server if of_caller else self._stock(told.missing)
        label = OF_CALLER if of_caller else place.label
        if place.line.most == 0 or waited_s >= place.timeout_s:
            raise busy(label, f"none of the {label} became free in time")

    def _stock(self, missing: int) -> Semaphore:
        return self._semaphores[missing - 1 if missing < len(self._semaphores) else -1]

    def _rest(self) -> tuple[tuple[Semaphore, ...], bool]:
        """Return all that is held here beside the kept slot: semaphores, and whether the caller's slot is among it."""
        if self._kept == len(self.names) - 1:
            return self._semaphores, False
        kept = self._stock(self._kept)
        return tuple(semaphore for semaphore in self._semaphores if semaphore is not kept), True

    def _keep_only(self, missing: int) -> None:
        self._kept = missing
        self.is_held = False
        semaphores, of_caller = self._rest()
        self._server_slots.give(self._caller, semaphores, of_caller=of_caller)

    def _take_rest(self) -> None:
        semaphores, of_caller = self._rest()
        self._kept = 0
        self.is_held = True
        self._server_slots.take(self._caller, semaphores, of_caller=of_caller)
