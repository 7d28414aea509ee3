"""A limit: a rate with a name, and what its answer fields look like on the wire.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10: ``RateLimit-Policy: "read";q=120;w=60`` and
``RateLimit: "read";r=118;t=1``, where ``t`` is the time until one call more may be made.
"""

from math import ceil
from typing import Final, Protocol

from msgspec import Struct

from mcpward.core.values import Rate
from mcpward.limits.gcra import SECOND, Gcra, remaining, reset_s

Fields = tuple[tuple[bytes, bytes], ...]

_MAX_CHARGES: Final = 4096
#: A year in seconds fits.
_WAIT_BITS: Final = 32


class ServerRates(Protocol):
    """What this room reads of ``[servers.<name>.limits]``. ``repeat`` is None where the loop breaker is off."""

    @property
    def read(self) -> Rate:
        """Calls of reading tools, per caller."""
        ...

    @property
    def write(self) -> Rate:
        """Calls of writing tools, per caller."""
        ...

    @property
    def destructive(self) -> Rate:
        """Calls of destructive tools, per caller."""
        ...

    @property
    def discovery(self) -> Rate:
        """Lists, completions and opened streams, per caller."""
        ...

    @property
    def lifecycle(self) -> Rate:
        """What keeps a conversation going, per caller."""
        ...

    @property
    def repeat(self) -> Rate | None:
        """The same call with the same arguments, per caller."""
        ...

    @property
    def concurrency(self) -> int:
        """Calls that run at once."""
        ...

    @property
    def queue(self) -> int:
        """Calls that wait for a place."""
        ...

    @property
    def queue_timeout_s(self) -> float:
        """Seconds that a call waits for a place."""
        ...


class SiteRates(Protocol):
    """What this room reads of ``[limits]``."""

    @property
    def knocks(self) -> Rate:
        """Failed credentials, per address."""
        ...

    @property
    def arrivals(self) -> Rate:
        """All requests, per address."""
        ...

    @property
    def max_callers(self) -> int:
        """Buckets in each store."""
        ...


class Charge(Struct, frozen=True, gc=False):
    """What was taken. ``headers`` are the RateLimit fields of the answer, encoded."""

    headers: Fields


class Limit:
    """A named rate of one scope. ``prefix`` keeps the buckets of different limits apart in one store.

    The prefix ends in NUL, which no server, class or tool of ours has in its name, so no caller's key can be made to
    look like another limit's bucket.
    """

    __slots__ = ("_answer", "_charges", "gcra", "interval", "name", "policy", "prefix", "tolerance")

    def __init__(self, name: str, scope: str, rate: Rate) -> None:
        window = max(1, ceil(rate.per_s))
        quota = max(1, int(rate.count * window / rate.per_s))
        self.name = name
        self.prefix = f"{scope}\0{name}\0"
        self.gcra = Gcra.of(rate)
        self.interval, self.tolerance = self.gcra.interval, self.gcra.tolerance
        self.policy = f'"{name}";q={quota};w={window}'.encode()
        self._answer = f'"{name}"'.encode() + b";r=%d;t=%d"
        self._charges: dict[int, Charge] = {}

    def charged(self, ahead: int) -> Charge:
        """Give the charge that left the bucket ``ahead`` nanoseconds from full (more than none, within tolerance).

        There are few different ones, calls that remain by seconds to the next, so each is encoded once.
        """
        calls, rest = divmod(self.tolerance - ahead, self.interval)
        standing = calls << _WAIT_BITS | -((rest - self.interval) // SECOND)
        charge = self._charges.get(standing)
        if charge is None:
            if len(self._charges) >= _MAX_CHARGES:
                self._charges.clear()
            charge = self._charges[standing] = Charge(fields([(self, ahead)], 0))
        return charge

    def standing(self, tat: int, now: int) -> bytes:
        """Write the bucket's standing: calls that remain, seconds until there is one more."""
        return self._answer % (remaining(tat, now, self.gcra), reset_s(tat, now, self.gcra))


def fields(limits: "list[tuple[Limit, int]]", now: int) -> Fields:
    """Give both answer fields for several limits and where each of their buckets stands."""
    return (
        (b"ratelimit-policy", b", ".join([limit.policy for limit, _ in limits])),
        (b"ratelimit", b", ".join([limit.standing(tat, now) for limit, tat in limits])),
    )
