"""The present use of a limit as an operator reads it, and the filter by which an operator selects buckets."""

from msgspec import Struct


class BucketUsage(Struct, frozen=True, gc=False):
    """One bucket in use: of ``most`` calls that could pass at once ``remaining`` are left.

    ``scope`` is the server (of a tool's own rate: server and tool, with a NUL between), empty for the site. ``caller``
    is the bucket's owner, empty if all callers share one. In ``reset_s`` seconds one more is available, of a quota all
    of them.
    """

    limit: str
    scope: str
    caller: str
    remaining: int
    most: int
    reset_s: int


class BucketFilter(Struct, frozen=True, gc=False):
    """Selects buckets: those of a server, of a caller, of a limit; None matches all."""

    server: str | None = None
    caller: str | None = None
    limit: str | None = None

    def fits(self, limit: str, scope: str, caller: str) -> bool:
        """Whether a bucket of this limit, scope and caller is meant."""
        return (
            (self.server is None or scope.partition("\0")[0] == self.server)
            and (self.caller is None or caller == self.caller)
            and (self.limit is None or limit == self.limit)
        )
