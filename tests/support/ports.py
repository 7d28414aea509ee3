"""Ports for the servers of tests: free now, and without conflicts later.

They lie below the range from which the kernel takes the ports of outgoing connections: else a connection of any other
test may take a port between the moment it was found free and the moment its server binds it. Each worker of the test
run has a part of its own.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from random import SystemRandom
from typing import Final

#: A cluster of Redis listens at 10,000 more, too: that must also be below 32,768, and outside of this range.
_FIRST: Final = 10_000
_COUNT: Final = 10_000


def free_port(above: int = 0) -> int:
    """Return a port at which no process listens, nor ``above`` more from it, and that this worker was not given
    lately.
    """
    for _ in range(_COUNT):
        port = next(_PORTS)
        if _is_free(port) and (not above or _is_free(port + above)):
            return port
    raise AssertionError("no port is free")


def free_ports(count: int, above: int = 0) -> list[int]:
    """Return several; see :func:`free_port`."""
    return [free_port(above) for _ in range(count)]


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: what is in TIME_WAIT listens not
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def _own() -> Iterator[int]:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    part = _COUNT // workers
    first = _FIRST + worker * part
    begin = SystemRandom().randrange(part)  # two runs on one machine do not begin at the same port
    return cycle([*range(first + begin, first + part), *range(first, first + begin)])


_PORTS: Final = _own()
