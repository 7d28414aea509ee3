"""The call whose function runs: whom its threads are counted for, and what keeps its places while they run.

A thread cannot be stopped, and some statements end late. What goes on after its call was answered must not be free:
else a caller that begins and hangs up, again and again, would have as many of them at once as it likes.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from mcpward.core.client_channel import ClientChannel


def _nothing() -> None:
    """Nothing is kept."""


class Work(Struct, eq=False, gc=False):
    """One call's function, from its begin to its end: whoever began it sets ``back`` to None then.

    So whatever has copied the call's context holds on to nothing of the call.
    """

    server: str
    caller: str
    channel: ClientChannel | None

    def outlive(self) -> Callable[[], None]:
        """Keep the call's places, although nobody waits any more, until the returned function is called, once.

        Both on the event loop's thread. Without effect where the call has ended: what an author leaves running on
        purpose belongs to no call.
        """
        return _nothing if self.channel is None else self.channel.retain()


current: Final[ContextVar[Work]] = ContextVar("mcpward_work")
"""The call in whose context code runs; unset where mcpward itself does."""
