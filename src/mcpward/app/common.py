"""What all processes of a site count in common, opened: nothing where counters live in memory."""

from collections.abc import Callable

from msgspec import Struct

from mcpward.limits.common import Common


class Counters(Struct, frozen=True):
    """The common counters, and the keyed digest that the loop breaker compares calls by there."""

    common: Common | None = None
    digest: Callable[[bytes], str] | None = None
