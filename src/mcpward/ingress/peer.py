"""The client's address, resolved through declared proxies only, and the bucket it is counted under."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from msgspec import Struct

#: One household or one server farm customer owns a /64: counting single IPv6 addresses would count nothing.
_IPV6_BUCKET: Final = 64
_MAX_HOPS: Final = 16


class Peer(Struct, frozen=True):
    """``address`` for records and network rules, ``bucket`` for limits."""

    address: str
    bucket: str


@lru_cache(maxsize=65_536)
def peer(address: str) -> Peer:
    """Return the peer of an address text: IPv4-mapped IPv6 becomes IPv4; an IPv6 address is counted by its /64."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return Peer("unknown", "unknown")
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv4Address):
        return Peer(str(parsed), str(parsed))
    return Peer(str(parsed), str(ip_network((parsed, _IPV6_BUCKET), strict=False)))


class PeerResolver:
    """Decides whose address counts. ``X-Forwarded-For`` is read only when a declared proxy hands it in (attack 50)."""

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._trusted: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(net, strict=False) for net in trusted_proxies
        )

    def peer(self, transport_address: str, fields: Mapping[bytes, bytes]) -> Peer:
        """Return the nearest address that is not a declared proxy, read from the right as each hop appended its own."""
        direct = peer(transport_address)
        if not self._trusted or not self._is_proxy(direct.address):
            return direct
        hops = fields.get(b"x-forwarded-for", b"").decode("latin-1").split(",")[-_MAX_HOPS:]
        nearest = direct
        for hop in reversed(hops):
            candidate = peer(_bare(hop.strip()))
            if candidate.address == "unknown":
                break
            nearest = candidate
            if not self._is_proxy(candidate.address):
                break
        return nearest

    def is_proxy(self, transport_address: str) -> bool:
        """Whether a connection from there is a declared proxy's."""
        return bool(self._trusted) and self._is_proxy(peer(transport_address).address)

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _bare(hop: str) -> str:
    """Strip the port that some proxies append: ``1.2.3.4:5``, ``[::1]:5``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
