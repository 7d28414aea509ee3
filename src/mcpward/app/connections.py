"""The connections of this process: their limit, their acceptance, and their metrics."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from mcpward.ingress.acceptor import Acceptor
from mcpward.ingress.listener import Listener
from mcpward.ingress.table import ConnectionTable
from mcpward.ingress.turned_away import EVICTED, REFUSED
from mcpward.traffic.metrics import Counted, Metrics

_log: Final = structlog.get_logger("mcpward")
#: Of the metrics' listener: a scraper needs one, and strangers inside must not take those of callers.
METRICS_CONNECTIONS: Final = 32
#: Descriptors beside the connections of callers: the metrics', the store's, the log's, Redis', outward connections of
#: mcpward, and those that tools open. No more than half of the limit, so that a small limit still serves some callers.
_RESERVE: Final = 256


def find_room(connections: int) -> int:
    """Return how many connections this process can have: as many as wanted, or what the limit of open files leaves.

    The limit is raised as far as it may be and is needed. Connections that did not fit would take the descriptors with
    which calls are answered and recorded.
    """
    wanted = connections + _RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == wanted:
        return connections
    fit = min(connections, allowed - min(_RESERVE, allowed // 2))
    if fit < connections:
        _log.warning(
            "the limit of open files leaves fewer connections than http.max_connections; raise it (ulimit -Hn, "
            "LimitNOFILE= of systemd) or lower http.max_connections",
            open_files=allowed,
            connections=fit,
            http_max_connections=connections,
        )
    return fit


def accept_ourselves(
    front: Listener, port: int, handshake_s: float, shutdown_s: float, keep_tls: Callable[[ssl.SSLContext], None]
) -> None:
    """Have uvicorn's listener on ``port`` be an :class:`Acceptor`; uvicorn asks this loop for it, and has no setting.

    A TLS handshake may take ``handshake_s``, and the farewell ``shutdown_s`` (attack 46). ``keep_tls`` is given the
    context of its handshakes, which takes a renewed certificate while it serves.
    """
    loop = asyncio.get_running_loop()
    ordinary = loop.create_server

    async def create_server(make: Any, *arguments: Any, sock: socket.socket | None = None, **more: Any) -> Any:
        if sock is None or sock.getsockname()[1] != port:
            return await ordinary(make, *arguments, sock=sock, **more)
        loop.create_server = ordinary  # type: ignore[method-assign]
        acceptor = Acceptor(
            sock, make, front.table, tls=more.get("ssl"), handshake_s=handshake_s, shutdown_s=shutdown_s
        )
        acceptor.start()
        if more.get("ssl") is not None:
            keep_tls(more["ssl"])
        return acceptor

    loop.create_server = create_server  # type: ignore[method-assign, assignment]  # its overloads are not ours to keep


def show_connections(metrics: Metrics, table: ConnectionTable, listener: str = "callers") -> None:
    """Register the metrics of a listener's connections; the gauges are those of callers."""
    turned_away = table.turned_away
    turned_away.on_refused = partial(_count, metrics.connections_refused, listener)
    turned_away.on_evicted = partial(_count, metrics.connections_evicted, listener)
    metrics.connections_refused.update({(listener, reason): 0 for reason in REFUSED})
    metrics.connections_evicted.update({(listener, reason): 0 for reason in EVICTED})
    if listener == "callers":
        metrics.gauges["mcpward_connections"] = lambda: table.size
        metrics.gauges["mcpward_connections_max"] = lambda: table.most


def _count(counts: dict[Counted, int], listener: str, reason: str) -> None:
    counts[listener, reason] = counts.get((listener, reason), 0) + 1
