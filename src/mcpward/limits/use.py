"""How much of a limit a caller has used: what an operator looks at, and what he makes full again."""

from msgspec import Struct


class Use(Struct, frozen=True, kw_only=True):
    """The standing of one bucket. ``scope`` is the server (empty for the whole site), ``caller`` whose bucket it is.

    ``remaining`` of ``most`` calls may still be made, and ``reset_s`` seconds from now one call more than that.
    ``caller`` is empty where all callers have the bucket together.
    """

    limit: str
    scope: str
    caller: str
    remaining: int
    most: int
    reset_s: int


class Match(Struct, frozen=True, kw_only=True):
    """Which buckets are meant; None means all of them."""

    server: str | None = None
    caller: str | None = None
    limit: str | None = None

    def covers(self, limit: str, scope: str, caller: str) -> bool:
        """Whether a bucket is meant. A scope may name a part of its server behind a NUL (a tool)."""
        return (
            self.limit in (None, limit)
            and self.caller in (None, caller)
            and self.server in (None, scope.partition("\0")[0])
        )
