"""How many sockets this process may have, and how long a TLS handshake may take on them."""

import asyncio
import resource
from functools import partial
from typing import Final

import structlog

_log: Final = structlog.get_logger("mcpward")
#: Beside the connections: the store, the log, the listeners, and what tools open.
_SPARE: Final = 128


def make_room(connections: int) -> None:
    """Raise this process's limit of open files to what the connections need, or say that they will not fit.

    At the limit the kernel would leave further clients waiting without a word.
    """
    wanted = connections + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable < wanted:
        _log.warning("fewer open files are allowed than http.max_connections needs", allowed=reachable, needed=wanted)


def bound_handshakes(seconds: float) -> None:
    """Give TLS handshakes on this loop's listeners a deadline of ours: the default is a minute (attack 46).

    uvicorn has no setting for it, and a connection is given to us only after its handshake.
    """
    loop = asyncio.get_running_loop()
    loop.create_server = partial(loop.create_server, ssl_handshake_timeout=seconds)  # type: ignore[method-assign]
