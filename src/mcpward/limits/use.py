"""What has been used of limits, told to people: one bucket as it stands, and which buckets are meant."""

from msgspec import Struct


class Use(Struct, frozen=True):
    """One bucket: ``remaining`` of at most ``most`` may be taken at once; in ``reset_s`` seconds there is one more.

    ``scope`` is :attr:`~mcpward.limits.limit.Limit.scope`: "" for the whole site, a server's name, or a server's and a
    tool's with NUL between. ``caller`` is the part of the bucket's key that follows the limit's prefix: whose it is.
    """

    limit: str
    scope: str
    caller: str
    remaining: int
    most: int
    reset_s: int

    @property
    def used(self) -> int:
        """What is taken at this moment."""
        return self.most - self.remaining


class Match(Struct, frozen=True):
    """Which buckets are meant: every field that is set must agree. A server's are those of its tools, too."""

    server: str | None = None
    caller: str | None = None
    limit: str | None = None

    def fits(self, limit: str, scope: str, caller: str) -> bool:
        """Whether the bucket of ``limit`` in ``scope`` for ``caller`` is meant."""
        return (
            (self.limit is None or self.limit == limit)
            and (self.caller is None or self.caller == caller)
            and (self.server is None or self.server == scope.partition("\0")[0])
        )
