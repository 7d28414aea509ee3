"""The loop breaker: finds the same call repeated in one conversation, or a cycle of calls.

A model that is stuck repeats itself byte for byte, or alternates between a few calls. mcpward reports that in a tool
result, which the model can read and act on. It does so long before the rate of its class stops it, and a different call
still passes. Only calls that run are counted. Each conversation has its own count, and its caller a higher one for all
of them together. So a caller that makes up a conversation for each call gains no more than that.

Calls are compared by the interpreter's own 64-bit hash of caller, tool and all bytes of the raw arguments. It takes 1
µs for each KiB or less. Its key is drawn per process, so no caller can make two calls look like one. A request that
brings the state of an earlier one is another call with each state: a tool that asks three questions is called four
times.
"""

from collections.abc import Sequence
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Call, Rate, RateLimit
from mcpward.limits.rates.bounded_map import BoundedMap
from mcpward.limits.rates.conversation import conversation_of
from mcpward.limits.rates.gcra import moved, retry_after_s
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.memory import MemoryCounters

REPEAT: Final = "repeat"
#: Verdicts of :meth:`LoopDetector.require`: the call is new, was made a moment ago, or would be refused if enforced.
NEW: Final = 0
AGAIN: Final = 1
OVER: Final = 2
#: Cycles of two to five calls; a longer one is hard to distinguish from work, and meets its rate soon.
_PERIODS: Final = range(2, 6)
#: Kept of a conversation's calls before the newest; together with the next they are twice the longest circle.
_BEFORE: Final = 2 * _PERIODS[-1] - 2
_NOTHING: Final[tuple[int, ...]] = ()


class LoopDetector:
    """Lets one call of one conversation pass as often as its tool's class allows, and a cycle of calls likewise.

    ``limits`` stand in the order of :class:`~mcpward.core.scope.Access`; None if the class may repeat itself. ``wide``
    are those of a caller's conversations together.
    """

    __slots__ = ("_answers", "_conversations", "_limits", "_recent", "_totals", "_wide")

    def __init__(
        self, limits: Sequence[Limit | None], wide: Sequence[Limit | None], clock: Clock, max_keys: int
    ) -> None:
        self._limits = tuple(limits)
        self._wide = tuple(wide)
        self._conversations = MemoryCounters(clock, max_keys)
        # Apart: made-up conversations make no caller's total forgotten.
        self._totals = MemoryCounters(clock, max_keys)
        self._recent: BoundedMap[tuple[int, ...]] = BoundedMap(max_keys, _NOTHING)
        self._answers: BoundedMap[bool | None] = BoundedMap(max_keys)

    def require(self, call: Call, access: Access, now: int) -> int:
        """Count the call at ``now`` (monotonic nanoseconds); returns one of NEW, AGAIN and OVER.

        Raises:
            Refusal: repeated-call, with a ``RetryAfter``, which says whether the earlier calls had an answer, if that
                is known; the call is not counted.
        """
        limit = self._limits[access]
        if limit is None:
            return NEW
        caller = call.principal.key
        spoken: str | int | None = call.session
        if spoken is None:
            spoken = (conversation_of(call) or 0) if call.trace else call.arrival.connection
        ring = hash((caller, spoken))
        own = hash((call.arguments, call.target, caller, call.state, spoken))  # as :func:`_keys`
        counted, recents = self._conversations.young, self._recent.young
        tat, recent = counted[own], recents[ring]
        if tat > now or len(recent) <= _BEFORE or own in recent or not spoken:
            return self._require_both(call, access, now, own, ring, tat)
        counted[own] = now + limit.interval
        recents[ring] = (own, *recent[:_BEFORE])
        return NEW

    def _require_both(self, call: Call, access: Access, now: int, own: int, ring: int, tat: int) -> int:
        """Count a call that was made before, or is among the first of its conversation, for its caller, too.

        The first time of a call in a conversation that has gone on for a while is left out, for speed. A caller gains
        nothing by starting conversations for that: each needs nine other calls first, which the rates count.
        """
        limit, wide, key = self._limits[access], self._wide[access], _key(call)
        assert limit is not None
        assert wide is not None
        stands = self._totals.get(key, 0)
        total = max(0, stands - now) + wide.interval
        if total > wide.tolerance:
            return self._over(wide, self._totals, key, now, own)
        if call.session is None and conversation_of(call) is None:
            self._totals.put(key, now + total)
            return AGAIN if stands > now else NEW
        recent = self._recent.get(ring, _NOTHING)
        ahead = max(0, tat - now) + limit.interval
        if not self._may_again(limit, own, ahead, recent, hash((access, ring)), now):
            return OVER
        self._totals.put(key, now + total)
        self._recent.put(ring, (own, *recent[:_BEFORE]))
        return AGAIN if tat > now else NEW

    def _may_again(self, limit: Limit, key: int, ahead: int, recent: tuple[int, ...], circle: int, now: int) -> bool:
        """Count a call that the conversation made lately; returns False if it would be refused if enforced."""
        store = self._conversations
        goes_round = key in recent and is_circle((key, *recent))
        around = self._ahead(limit, circle, now) if goes_round else 0
        if ahead > limit.tolerance or around > limit.tolerance:
            return not self._over(limit, store, key if ahead > limit.tolerance else circle, now, key)
        store.put(key, now + ahead)
        if goes_round:
            store.put(circle, now + around)
        return True

    def _over(self, limit: Limit, store: MemoryCounters, key: int, now: int, answer: int) -> int:
        if not limit.ruling.enforce:
            return OVER
        tat = store.heal(key, store.get(key, 0), now, limit.gcra)
        wait_s = retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra)
        raise repeated(wait_s, self._answers.get(answer, None))

    def give_back(self, call: Call, access: Access) -> None:
        """Forget that a call was counted: it did not run."""
        limit, wide = self._limits[access], self._wide[access]
        if limit is None or wide is None:
            return
        _less(self._totals, wide, _key(call))
        ring, own = _keys(call)
        if conversation_of(call) is None:
            return
        _less(self._conversations, limit, own)
        recent = self._recent.get(ring, _NOTHING)
        if own in recent:
            at = recent.index(own)
            if is_circle(recent[at:]):
                _less(self._conversations, limit, hash((access, ring)))
            self._recent.put(ring, recent[:at] + recent[at + 1 :])

    def note(self, call: Call, *, answered: bool) -> None:
        """Note whether a call that was made again had an answer."""
        self._answers.put(_keys(call)[1], answered)

    def answered(self, call: Call) -> bool | None:
        """Return whether the call had an answer when it was made last; None if that is not known here."""
        return self._answers.get(_keys(call)[1], None)

    def forget(self) -> None:
        """Begin anew for all callers."""
        for store in (self._conversations, self._totals, self._recent, self._answers):
            store.forget(lambda _: True)

    def _ahead(self, limit: Limit, key: int, now: int) -> int:
        tat = self._conversations.get(key, 0)
        return (tat - now if tat > now else 0) + limit.interval


def repeated(wait_s: int, answered: bool | None) -> Refusal:
    """Return the refusal of a call that was made too often."""
    return Refusal(Reason.REPEATED_CALL, REPEAT, RetryAfter(wait_s, policy=REPEAT, answered=answered))


def repeat_limits(
    server: str, classes: Sequence[RateLimit | None], conversations: int
) -> tuple[tuple[Limit | None, ...], tuple[Limit | None, ...]]:
    """Make the limits of a server's classes ready: of one conversation, and of all of a caller together."""
    own: list[Limit | None] = []
    wide: list[Limit | None] = []
    for n, each in enumerate(classes):
        scope = f"{server}\0{n}"
        own.append(None if each is None else Limit(REPEAT, scope, each.rate, each.ruling))
        scope += "\0all"
        wide.append(None if each is None else Limit(REPEAT, scope, _times(each.rate, conversations), each.ruling))
    return tuple(own), tuple(wide)


def _times(rate: Rate, times: int) -> Rate:
    return Rate(rate.count * times, rate.per_s, rate.burst * times)


def _less(store: MemoryCounters, limit: Limit, key: int) -> None:
    store.put(key, max(0, store.get(key, 0) - limit.interval))


def _key(call: Call) -> int:
    """Stand for the call in whichever conversation of its caller.

    One that brings the answers to a tool's questions goes on, and repeats nothing.
    """
    return hash((call.arguments, call.target, call.principal.key, call.state))


def _keys(call: Call) -> tuple[int, int]:
    """Return the keys of a call's conversation, and of the call in it."""
    caller, spoken = call.principal.key, conversation_of(call) or 0
    return hash((caller, spoken)), hash((call.arguments, call.target, caller, call.state, spoken))


def is_circle(calls: Sequence[int]) -> bool:
    """Whether the latest calls (the newest first) are the same as those before them, in the same order.

    A single call over and over is no circle: it is counted for itself.
    """
    if len(calls) > 1 and calls[0] == calls[1]:
        return False
    return any(len(calls) >= 2 * n and calls[:n] == calls[n : 2 * n] for n in _PERIODS)
