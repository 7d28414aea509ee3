"""A limit: a rate or a quota with a name and a scope, and the verdict of one of its buckets.

The response fields are those of draft-ietf-httpapi-ratelimit-headers-10: ``RateLimit-Policy: "read";q=120;w=60`` and
``RateLimit: "read";r=118;t=1``, where ``t`` is the time until one more call is allowed.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final

from msgspec import Struct

from mcpward.core.values import Enforcement, Period, Quota, Rate
from mcpward.limits.rates.gcra import SECOND, Gcra

Fields = tuple[tuple[bytes, bytes], ...]
_STRICT: Final = Enforcement()
_MAX_CHARGES: Final = 4096
#: A year in seconds fits.
_WAIT_BITS: Final = 32
_WINDOWS: Final = {Period.HOUR: 3600, Period.DAY: 86_400, Period.MONTH: 31 * 86_400}


class Limit:
    """A named rate (``gcra`` is set) or quota (``quota`` is set) of one scope.

    ``prefix`` keeps the buckets of different limits apart in one store. It ends in NUL, which no server, class, tool or
    budget has in its name. So no caller's key can look like another limit's bucket. ``is_common`` if all callers share
    one bucket: its standing is shown to no caller. ``charges`` are the known results of :meth:`charged`, by the rest of
    the tolerance in whole ``cell``s.
    """

    __slots__ = (
        "_is_even", "cell", "charges", "gcra", "interval", "is_common", "name", "policy", "prefix", "quota", "rate",
        "ruling", "scope", "tolerance",
    )  # fmt: skip

    def __init__(
        self, name: str, scope: str, much: Rate | Quota, ruling: Enforcement = _STRICT, *, is_common: bool = False
    ) -> None:
        self.name = name
        self.scope = scope
        self.prefix = f"{scope}\0{name}\0"
        self.ruling = ruling
        self.is_common = is_common
        self.charges: dict[int, Charge] = {}
        if isinstance(much, Rate):
            self.rate: Rate | None = much
            self.quota: Quota | None = None
            self.gcra = Gcra.of(much)
            window = max(1, ceil(much.per_s))
            count = max(1, int(much.count * window / much.per_s))
        else:
            if much.count < 1:
                raise ValueError("a quota is at least 1")
            self.rate, self.quota = None, much
            self.gcra = Gcra(0, 0)  # no rate: never read if ``quota`` is set
            window, count = _WINDOWS[much.period], much.count
        self.interval, self.tolerance = self.gcra.interval, self.gcra.tolerance
        # Within a cell the answer is the same: calls that remain, and seconds to the next. There may be no such cell.
        self._is_even = self.interval <= SECOND or self.interval % SECOND == 0
        self.cell = max(1, min(self.interval, SECOND)) if self._is_even else self.tolerance + 1
        self.policy = f'"{name}";q={count};w={window}'.encode()

    @property
    def is_budget(self) -> bool:
        """Whether it limits a resource behind tools, at all servers."""
        return self.is_common and not self.scope

    @property
    def most(self) -> int:
        """The highest cost that can ever pass at once."""
        return self.quota.count if self.quota is not None else self.tolerance // self.interval

    def charged(self, spare: int) -> "Charge":
        """Return the charge that left ``spare`` nanoseconds of the tolerance (not all of it).

        There are few different ones, so each is encoded once; hot paths look into ``charges`` first. Without cells they
        find nothing: a number is 0 there for no charge, as a second at least is left to the next call.
        """
        calls, rest = divmod(spare, self.interval)
        wait_s = -((rest - self.interval) // SECOND)
        known, number = self.charges, spare // self.cell if self._is_even else calls << _WAIT_BITS | wait_s
        charge = known.get(number)
        if charge is None:
            if len(known) >= _MAX_CHARGES:
                known.clear()
            charge = known[number] = Charge(fields([Standing(self, calls, wait_s)]))
        return charge

    def __repr__(self) -> str:
        return f"Limit({self.name!r}, {self.scope!r})"


class Charge(Struct, frozen=True, gc=False):
    """The result of a charge. ``headers`` are the RateLimit fields of the response, encoded.

    ``would_refuse`` names the limits that are not enforced and would have refused. ``taken`` holds the draws to return;
    it is None for one call charged only to its class. ``is_common`` says where it was taken. ``is_again`` if the same
    call was made a moment ago. ``loop`` is its position in the common loop breaker, as one of its conversation's calls.
    """

    headers: Fields
    would_refuse: tuple[str, ...] = ()
    taken: "tuple[Drawn, ...] | None" = None
    is_common: bool = False
    is_again: bool = False
    loop: "Loop | None" = None


class Standing(Struct, frozen=True, gc=False):
    """The verdict of one bucket: the calls that remain, the seconds until one more, the seconds to wait.

    ``wait_s`` is 0 if this draw passes, and at least 1 if it does not (also if the limit is not enforced).
    """

    limit: Limit
    remaining: int
    reset_s: int
    wait_s: int = 0

    @property
    def refuses(self) -> bool:
        """Whether this bucket refuses, and its limit is enforced."""
        return self.wait_s > 0 and self.limit.ruling.enforce


Drawn = tuple[Limit, str, int]
"""One draw: the limit, the bucket's whole key (``limit.prefix`` + whose), and the cost (≥ 0; 0 asks and takes nothing).

Draws of one call are taken all or none: if any standing refuses, nothing has been taken and every standing is
that of before. A limit that is not enforced and would refuse takes nothing for itself and holds up no caller.
"""


class Loop(Struct, frozen=True, gc=False):
    """The input by which the loop breaker detects a cycle of calls in a conversation.

    ``ring`` is the key of its latest calls, ``digest`` stands for this one, and ``drawn`` is the cost of a call in a
    cycle.
    """

    ring: str
    digest: str
    drawn: Drawn


def fields(standings: Sequence[Standing]) -> Fields:
    """Return both response fields for several limits with the standings of their buckets; none for no limit."""
    if not standings:
        return ()
    return (
        (b"ratelimit-policy", b", ".join([standing.limit.policy for standing in standings])),
        (
            b"ratelimit",
            b", ".join([b'"%b";r=%d;t=%d' % (s.limit.name.encode(), s.remaining, s.reset_s) for s in standings]),
        ),
    )
