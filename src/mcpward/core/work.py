"""The call whose function runs: the caller that its threads count for, and its slots while they run.

A thread cannot be stopped, and some statements end late. Work that outlasts its call must not be free. Otherwise a
caller that begins and hangs up, again and again, would have as many of them at once as it likes.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from mcpward.core.client_channel import ClientChannel
from mcpward.core.values import Principal


def _nothing() -> None:
    """Nothing is kept."""


class Work(Struct, eq=False, gc=False):
    """One call's function, from its begin to its end: its caller sets ``back`` to None then.

    So a copy of the call's context holds on to nothing of the call but its ``principal``: work that an author leaves
    running is still that caller's.
    """

    server: str
    caller: str
    channel: ClientChannel | None
    principal: Principal | None = None

    def outlive(self) -> Callable[[], None]:
        """Keep the call's slots, although no caller waits any more, until the returned function is called, once.

        Both on the event loop's thread. Without effect if the call has ended: work that an author leaves running on
        purpose belongs to no call.
        """
        return _nothing if self.channel is None else self.channel.retain()


current: Final[ContextVar[Work]] = ContextVar("mcpward_work")
"""The call in whose context code runs; unset for mcpward's own work."""

loaded: Final[ContextVar[str]] = ContextVar("mcpward_loaded")
"""The server whose source is imported, or whose lifespan runs, in this context; unset elsewhere."""


def server_here() -> str | None:
    """Return the server on whose behalf code runs: that of the call, else the one that is loaded; None if unknown."""
    work = current.get(None)
    return loaded.get(None) if work is None else work.server
