"""An operator's question about what is used of limits, and its answer: as values, and as messages of the bus."""

from typing import Any, Final

from msgspec import Struct, ValidationError, convert

from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage

__all__ = ["ASKING", "MOST_USES", "TELLING", "BucketUsage", "UsagePage", "UsageQuestion", "read_told", "share_used"]

ASKING: Final = "limits-asked"
TELLING: Final = "limits-told"
#: Buckets in one worker's answer: the most used. A caller that looks for another one names it with ``Match``.
MOST_USES: Final = 1000


class UsageQuestion(Struct, frozen=True, kw_only=True):
    """A question. ``name`` is unguessable, ``by`` the sender's name on the bus, ``at`` the sender's wall clock."""

    name: str
    by: str
    at: float
    match: BucketFilter
    is_reset: bool = False


class UsagePage(Struct, frozen=True, kw_only=True):
    """One message of the answer of one of ``workers`` workers, the ``page``th of ``pages``.

    ``found`` counts the buckets that are meant, whether or not there was room for them. ``has_failed``: the limits
    could not be asked, which happens while shared counters are away.
    """

    name: str
    worker: str
    workers: int
    page: int = 0
    pages: int = 1
    uses: list[BucketUsage] = []
    found: int = 0
    has_failed: bool = False


def share_used(use: BucketUsage) -> tuple[float, int]:
    """Return how much of a bucket is used, for sorting: the part of it, then the number."""
    used = use.most - use.remaining
    return used / max(1, use.most), used


def read_told(message: dict[str, Any]) -> UsagePage | None:
    """Read a message of an answer; return None if it is none."""
    try:
        return convert(message, UsagePage)
    except ValidationError:
        return None
