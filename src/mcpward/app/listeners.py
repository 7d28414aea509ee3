"""Binds the addresses of a site. None of them listens before the rest of the start has succeeded.

A bound socket that does not listen refuses connections. So a health check by TCP, or a load balancer, never sees a
start that is going to fail. It holds its port all the same: see :func:`bind`.
"""

import errno
import socket
from contextlib import suppress
from typing import Final

from mcpward.config.address import Address
from mcpward.config.model import Site
from mcpward.core.errors import Unreachable

_BACKLOG: Final = 2048
#: Ports that are tried for metrics beyond the default one: as many sites of one machine need no setting of theirs.
_NEXT_PORTS: Final = 64


def bind(address: Address) -> socket.socket:
    """Bind ``address`` only for this process; connections are refused until :func:`listen`.

    Without SO_REUSEADDR while it does not listen: with it, Linux lets two sockets have the same port until one of them
    listens. Then two sites that start at the same moment would both believe that they own the port.

    Raises:
        Unreachable: it is taken, or not an address of this machine.
    """
    try:
        return _bound(address, reuse=False)
    except OSError as error:
        refused = error
    if refused.errno == errno.EADDRINUSE:  # connections of the last run may linger there (TIME_WAIT), and do no harm
        with suppress(OSError):
            return _bound(address, reuse=True)
    raise Unreachable(f"{address} cannot be bound: {refused.strerror}", _hint(refused, address)) from None


def bind_metrics(site: Site) -> socket.socket | None:
    """Bind the address of /metrics; if it is taken and not set by the operator, the next free port.

    Raises:
        Unreachable: it is taken and was set, or many ports above the default one are taken as well.
    """
    wanted = site.metrics_address
    if wanted is None:
        return None
    if "metrics_listen" in site.model_fields_set:
        return bind(wanted)
    for port in range(wanted.port, wanted.port + _NEXT_PORTS):
        with suppress(Unreachable):
            return bind(Address(host=wanted.host, port=port))
    last = Address(host=wanted.host, port=wanted.port + _NEXT_PORTS - 1)
    raise Unreachable(
        f"no port is free for /metrics from {wanted} to {last}",
        'set [site] metrics_listen to another address, or to "" for none (--metrics)',
    )


def listen(listener: socket.socket) -> None:
    """Take connections from now on. Those of the next start may bind while ours linger, hence SO_REUSEADDR now.

    Raises:
        Unreachable: another process listens there since a moment ago.
    """
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.listen(_BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        address = Address(host=host, port=port)
        raise Unreachable(f"{address} cannot be listened on: {error.strerror}", _hint(error, address)) from None


def is_listening(listener: socket.socket) -> bool:
    """Whether this process, or a worker that shares the socket, takes connections."""
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _bound(address: Address, *, reuse: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        listener.bind((address.host, address.port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def _hint(error: OSError, address: Address) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"is it being served already? choose another port ({_free_port_above(address)} is free)"
    if error.errno == errno.EACCES:
        return "ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=), or choose a higher port"
    return "choose another address"


def _free_port_above(address: Address) -> int:
    for port in range(address.port + 1, min(address.port + _NEXT_PORTS, 65536)):
        with suppress(OSError), _bound(Address(host=address.host, port=port), reuse=False):
            return port
    return 0
