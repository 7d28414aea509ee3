"""Decides which hosts may be called: a name is resolved once, every address must pass, and only those are connected to.

A name that resolves to a harmless address for the check and to loopback for the connection does not get around it
(rebinding). There is no second look-up. One bad address among good ones refuses all (attack 80).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

from mcpward.egress.address import Network, carried, is_named, is_public
from mcpward.egress.failures import EgressFailed, EgressRefused, Failure
from mcpward.egress.host import Address, read_host

#: Asks for the addresses of a name; raises OSError if there are none.
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
_MOST_ANSWERS: Final = 32


async def ask_system(host: str, port: int) -> list[str]:
    """Ask the machine's own resolver. Raises :class:`OSError` if there is no answer."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Public addresses may be called; others only if the operator named their network (``[egress] allow``)."""

    def __init__(self, allow: Sequence[Network] = (), lookup: Lookup = ask_system) -> None:
        self._allow = tuple(allow)
        self._lookup = lookup
        self._asking: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def resolve(self, host: str, port: int, *, is_plain: bool = False) -> list[Address]:
        """Return the addresses of a host, each of which may be called. ``is_plain``: without TLS.

        Raises :class:`EgressRefused` (host-refused, address-refused, plain-refused) and :class:`EgressFailed`
        (unresolved).
        """
        read = read_host(host)
        addresses = await self._ask(read, port) if isinstance(read, str) else [read]
        for address in addresses:
            self._require(address, host, is_plain)
        return addresses

    async def _ask(self, name: str, port: int) -> list[Address]:
        try:
            answers = [ip_address(answer) for answer in await self._answers(name, port)]
        except (OSError, ValueError):  # UnicodeError of a resolver's codec is a ValueError
            raise EgressFailed(Failure.UNRESOLVED, f"{name} has no address") from None
        if not answers:
            raise EgressFailed(Failure.UNRESOLVED, f"{name} has no address")
        if len(answers) > _MOST_ANSWERS:
            raise EgressRefused(Failure.ADDRESS_REFUSED, f"{name} has more than {_MOST_ANSWERS} addresses")
        return list(dict.fromkeys(answers))

    async def _answers(self, name: str, port: int) -> Sequence[str]:
        """Resolve once for all concurrent callers; a caller that gives up leaves the look-up to the others.

        The system's resolver has a few threads, each held until it answers: a name that it cannot find would hold one
        for each try, and names of other providers would have none.
        """
        place = (name, port)
        asked = self._asking.get(place)
        if asked is None:
            asked = self._asking[place] = asyncio.ensure_future(self._lookup(name, port))
            asked.add_done_callback(lambda done: self._answered(place, done))
        await asyncio.wait([asked])
        if asked.cancelled():
            raise OSError
        return asked.result()

    def _answered(self, place: tuple[str, int], done: "asyncio.Future[Sequence[str]]") -> None:
        del self._asking[place]
        if not done.cancelled():
            done.exception()  # whether or not a caller still waits for it

    def _require(self, address: Address, host: str, is_plain: bool) -> None:
        is_allowed = is_named(address, self._allow)
        inner = carried(address)
        if inner is not None:  # allowing the wrapping (say, a NAT64) does not allow every address that it can wrap
            is_allowed = is_allowed and (is_public(inner) or is_named(inner, self._allow))
        if is_allowed:
            return
        if not is_public(address):
            detail = f"{host} is at {address}, which is no public address and is not named in [egress] allow"
            raise EgressRefused(Failure.ADDRESS_REFUSED, detail)
        if is_plain:
            detail = f"{host} is at {address}: http:// is for networks that are named in [egress] allow"
            raise EgressRefused(Failure.PLAIN_REFUSED, detail)
