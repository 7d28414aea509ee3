"""How many calls run at once: at each server, of each caller, of each tool, and at each named pool behind tools.

Places belong to the whole site. Where each worker counts on its own, it has its part of what all callers share, so
that all of them together never exceed the number; only where there are fewer places than workers each has one.
"""

from collections.abc import Mapping

from mcpward.core.values import Pool, Tool
from mcpward.limits.ground import Elder, Ground
from mcpward.limits.hold import Hold
from mcpward.limits.rate import ServerRates
from mcpward.limits.stock import Stock

Stocks = tuple[Stock, ...]


class Places:
    """All places of the site, as one of ``workers`` has them."""

    def __init__(self, servers: Mapping[str, ServerRates], pools: Mapping[str, Pool], workers: int = 1) -> None:
        elder = Elder()
        self._rates = servers
        self._workers = workers
        self._grounds = {
            name: Ground(
                Stock(f"places of server {name}", self._part(rates.concurrency), rates.queue, rates.queue_timeout_s),
                rates.queue,
                rates.caller_concurrency,
                elder,
            )
            for name, rates in servers.items()
        }
        self._plain: dict[str, Stocks] = {name: (ground.server,) for name, ground in self._grounds.items()}
        self._pools = {
            name: Stock(f"places of pool {name}", self._part(pool.places), pool.queue, pool.queue_timeout_s)
            for name, pool in pools.items()
        }
        self._tools: dict[tuple[str, str], tuple[Tool, Stocks]] = {}

    def hold(self, server: str, caller: str, tool: Tool | None) -> Hold:
        """Give what a call must hold while it runs; without a tool, places of its server and its caller alone."""
        if tool is None or (tool.concurrency is None and not tool.pools):
            stocks = self._plain[server]
        else:
            stocks = self._stocks(server, tool)
        return Hold(self._grounds[server], caller, stocks)

    @property
    def stocks(self) -> dict[str, Stock]:
        """All places by their label, those of callers apart."""
        own = {stock.label: stock for _, stocks in self._tools.values() for stock in stocks}
        servers = (ground.server for ground in self._grounds.values())
        return own | {stock.label: stock for stock in (*servers, *self._pools.values())}

    def _part(self, places: int) -> int:
        return max(1, places // self._workers)

    def _stocks(self, server: str, tool: Tool) -> Stocks:
        """Give the stocks of a tool that needs more than its server's, made once."""
        known = self._tools.get((server, tool.name))
        if known is not None and known[0] is tool:
            return known[1]
        own: Stocks = ()
        if tool.concurrency is not None:
            own = (self._own(server, tool.name, self._part(tool.concurrency), known),)
        stocks = (*(self._pools[name] for name in dict.fromkeys(tool.pools)), *own, self._grounds[server].server)
        self._tools[server, tool.name] = (tool, stocks)
        return stocks

    def _own(self, server: str, tool: str, places: int, known: tuple[Tool, Stocks] | None) -> Stock:
        """Give the tool's own stock. A tool that is declared anew goes on with the one that its calls are in."""
        label = f"places of tool {tool}"
        for stock in () if known is None else known[1]:
            if stock.label == label:
                stock.resize(places)
                return stock
        rates = self._rates[server]
        return Stock(label, places, rates.queue, rates.queue_timeout_s)
