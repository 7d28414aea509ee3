"""The loop breaker: the same caller making the same call with the same arguments, again and again.

A model that is stuck repeats itself byte for byte. It is told so in a tool result, which it can read and act on,
long before the rate of its class stops it. Calls are compared by the interpreter's own 64-bit hash of caller, tool and
all bytes of the raw arguments (1 µs for each KiB or less); its key is drawn per process, so nobody can make two calls
look like one.
"""

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Rate
from mcpward.limits.gcra import Gcra, moved, retry_after_s
from mcpward.limits.memory import MemoryCounters


class Repeats:
    """Lets one call of one caller pass at ``rate`` and no oftener."""

    __slots__ = ("_counters", "_gcra")

    def __init__(self, rate: Rate, clock: Clock, max_keys: int) -> None:
        self._gcra = Gcra.of(rate)
        self._counters = MemoryCounters(clock, max_keys)

    def require(self, call: Call, now: int) -> None:
        """Count the call at ``now`` (monotonic nanoseconds).

        Raises:
            Refusal: repeated-call, with ``retry_after_s``.
        """
        raw = call.arguments
        text = b"" if raw is None else bytes(raw)
        key = hash((text, call.target, call.principal.key))
        counters, gcra = self._counters, self._gcra
        tat = counters.get(key)
        ahead = (tat - now if tat > now else 0) + gcra.interval
        if ahead > gcra.tolerance:
            after = moved(counters.heal(key, tat, now, gcra), now, gcra)
            raise Refusal(Reason.REPEATED_CALL, retry_after_s=retry_after_s(after, now, gcra))
        counters.put(key, now + ahead)
