"""Ends what takes too long on one connection; see :class:`~mcpward.ingress.listener.Timeouts`."""

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.ingress.exchange_queue import ExchangeQueue
from mcpward.ingress.framing import Framing
from mcpward.ingress.link import Link


class Deadlines:
    """Each phase of a connection has its own."""

    __slots__ = ("_framing", "_link", "_queue")

    def __init__(self, link: Link, queue: ExchangeQueue, framing: Framing) -> None:
        self._link = link
        self._queue = queue
        self._framing = framing

    def tick(self, now: float) -> None:
        """End what took too long; keep alive what is silent."""
        link, queue, framing = self._link, self._queue, self._framing
        patience = link.front.patience
        waited = now - queue.used_at
        if queue.is_closing:
            if waited > patience.linger_s:
                link.cut_off()
        elif link.paused_at is not None and now - link.paused_at > patience.write_s:
            link.cut_off()
        elif queue.current is not None:
            queue.current.tick(now)
        elif framing.in_body:
            if waited > patience.body_s:
                framing.cut_body(Refusal(Reason.BODY_TOO_SLOW))
        elif framing.in_head or framing.is_fresh:
            if waited > patience.head_s:
                framing.refuse_head(Refusal(Reason.BODY_TOO_SLOW, "head"))
        elif waited > (patience.idle_s if link.entry.is_trusted else patience.stranger_idle_s):
            link.transport.close()
