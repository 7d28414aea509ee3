"""What this room reads of the settings."""

from typing import Protocol

from mcpward.core.values import QuotaLimit, RateLimit


class ServerRates(Protocol):
    """What this room reads of ``[servers.<name>.limits]``."""

    @property
    def read(self) -> RateLimit:
        """Calls of reading tools, per caller."""
        ...

    @property
    def write(self) -> RateLimit:
        """Calls of writing tools, per caller."""
        ...

    @property
    def destructive(self) -> RateLimit:
        """Calls of destructive tools, per caller."""
        ...

    @property
    def discovery(self) -> RateLimit:
        """Lists, completions and opened streams, per caller."""
        ...

    @property
    def lifecycle(self) -> RateLimit:
        """What keeps a conversation going, per caller."""
        ...

    @property
    def total(self) -> RateLimit | None:
        """Calls of this server, of all callers together."""
        ...

    @property
    def quota(self) -> QuotaLimit | None:
        """Calls in a period, per caller."""
        ...

    @property
    def repeat_read(self) -> RateLimit | None:
        """The same call of a reading tool in one conversation; None where it may repeat itself."""
        ...

    @property
    def repeat_write(self) -> RateLimit | None:
        """The same of a writing tool."""
        ...

    @property
    def repeat_destructive(self) -> RateLimit | None:
        """The same of a destructive tool."""
        ...

    @property
    def repeat_conversations(self) -> int:
        """How many times as often a caller may make the same call in all of its conversations together."""
        ...

    @property
    def caller_concurrency(self) -> int:
        """Calls of one caller that run at once."""
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
    def auth_failures(self) -> RateLimit:
        """Failed credentials, per address."""
        ...

    @property
    def requests(self) -> RateLimit:
        """All requests, per address."""
        ...

    @property
    def caller(self) -> RateLimit | None:
        """Calls of one caller at all servers together."""
        ...

    @property
    def on_store_failure(self) -> str:
        """What holds for limits without a word of their own while the common counters are away."""
        ...

    @property
    def fallback_share(self) -> float:
        """The part of a limit that the site's processes together may give by themselves meanwhile."""
        ...

    @property
    def max_callers(self) -> int:
        """Buckets in each store."""
        ...
