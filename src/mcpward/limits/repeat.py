"""The loop breaker: the same caller making the same call again and again, or going round in a circle of calls.

A model that is stuck repeats itself byte for byte, or alternates between a few calls. It is told so in a tool result,
which it can read and act on, long before the rate of its class stops it, and a different call still passes. Calls are
compared by the interpreter's own 64-bit hash of caller, tool and all bytes of the raw arguments (1 µs for each KiB or
less); its key is drawn per process, so nobody can make two calls look like one. A request that brings the state of an
earlier one is another call with each state: a tool that asks three questions is called four times.
"""

from collections.abc import Sequence
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Call, Limiting
from mcpward.limits.gcra import moved, retry_after_s
from mcpward.limits.generations import Generations
from mcpward.limits.limit import Limit
from mcpward.limits.memory import MemoryCounters

REPEAT: Final = "repeat"
#: Circles of two calls up to five; a longer one is told apart from work with difficulty, and meets its rate soon.
_PERIODS: Final = range(2, 6)
#: Kept of a caller's calls before the newest; together with the next they are twice the longest circle.
_BEFORE: Final = 2 * _PERIODS[-1] - 2
_NOTHING: Final[tuple[int, ...]] = ()


class Repeats:
    """Lets one call of one caller pass at the rate of its tool's class and no oftener, and likewise a circle of calls.

    ``limits`` stand in the order of :class:`~mcpward.core.scope.Access`; None where the class may repeat itself.
    """

    __slots__ = ("_counters", "_limits", "_recent")

    def __init__(self, limits: Sequence[Limit | None], clock: Clock, max_keys: int) -> None:
        self._limits = tuple(limits)
        self._counters = MemoryCounters(clock, max_keys)
        self._recent: Generations[tuple[int, ...]] = Generations(max_keys, _NOTHING)

    def require(self, call: Call, access: Access, now: int) -> bool:
        """Count the call at ``now`` (monotonic nanoseconds); gives whether it would be refused if that were enforced.

        Raises:
            Refusal: repeated-call, with ``retry_after_s``; the call is not counted.
        """
        limit = self._limits[access]
        if limit is None:
            return False
        caller = call.principal.key
        key = hash((call.arguments, call.target, caller, call.state))  # as :func:`_key`
        counted, recents = self._counters.young, self._recent.young
        tat, recent = counted[key], recents[caller]
        ahead = (tat - now if tat > now else 0) + limit.interval
        if key in recent or ahead > limit.tolerance:
            if not self._may_again(limit, key, ahead, recent, hash((access, caller)), now):
                return True
        else:
            counted[key] = now + ahead
        recents[caller] = (key, *recent[:_BEFORE])
        return False

    def _may_again(self, limit: Limit, key: int, ahead: int, recent: tuple[int, ...], circle: int, now: int) -> bool:
        """Count a call that its caller made lately; gives False where it would be refused if that were enforced."""
        goes_round = key in recent and is_circle((key, *recent))
        around = self._ahead(limit, circle, now) if goes_round else 0
        if ahead > limit.tolerance or around > limit.tolerance:
            if not limit.ruling.enforce:
                return False
            raise self._refusal(limit, key if ahead > limit.tolerance else circle, now)
        self._counters.put(key, now + ahead)
        if goes_round:
            self._counters.put(circle, now + around)
        return True

    def give_back(self, call: Call, access: Access) -> None:
        """Forget that a call was counted: it did not run, and who is told to come again may."""
        limit = self._limits[access]
        if limit is None:
            return
        caller, key = call.principal.key, _key(call)
        keys = [key]
        recent = self._recent.get(caller, _NOTHING)
        if recent and recent[0] == key:
            self._recent.put(caller, recent[1:])
            if is_circle(recent):
                keys.append(hash((access, caller)))
        for each in keys:
            self._counters.put(each, max(0, self._counters.get(each, 0) - limit.interval))

    def forget(self) -> None:
        """Begin anew for all callers."""
        self._counters.forget(lambda _: True)
        self._recent.forget(lambda _: True)

    def _ahead(self, limit: Limit, key: int, now: int) -> int:
        tat = self._counters.get(key, 0)
        return (tat - now if tat > now else 0) + limit.interval

    def _refusal(self, limit: Limit, key: int, now: int) -> Refusal:
        tat = self._counters.heal(key, self._counters.get(key, 0), now, limit.gcra)
        wait_s = retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra)
        return Refusal(Reason.REPEATED_CALL, limit.name, retry_after_s=wait_s, policy=limit.name)


def repeat_limits(server: str, classes: Sequence[Limiting | None]) -> list[Limit | None]:
    """Make the limits of a server's classes ready."""
    return [
        None if each is None else Limit(REPEAT, f"{server}\0{n}", each.rate, each.ruling)
        for n, each in enumerate(classes)
    ]


def _key(call: Call) -> int:
    """Stand for the call. One that brings the answers to a tool's questions goes on, and repeats nothing."""
    return hash((call.arguments, call.target, call.principal.key, call.state))


def is_circle(calls: Sequence[int]) -> bool:
    """Whether the latest calls (the newest first) are the same as those before them, in the same order.

    A single call over and over is no circle: it is counted for itself.
    """
    if len(calls) > 1 and calls[0] == calls[1]:
        return False
    return any(len(calls) >= 2 * n and calls[:n] == calls[n : 2 * n] for n in _PERIODS)
