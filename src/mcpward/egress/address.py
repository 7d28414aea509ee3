"""The addresses of the public internet.

The tables are those of IANA's special-purpose registries, written out: Python's own definition of a global address
differs from release to release (CVE-2024-4032). IPv6 is closed by default: only addresses allocated as global unicast
pass. So forms that carry an IPv4 address, and those still to be invented, do not.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from mcpward.egress.host import Address

Network = IPv4Network | IPv6Network

_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network (RFC 791)
            "10.0.0.0/8",  # private (RFC 1918)
            "100.64.0.0/10",  # shared by carriers (RFC 6598)
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local (RFC 3927)
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments (RFC 6890)
            "192.0.2.0/24",  # documentation (RFC 5737)
            "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks (RFC 2928)
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "3ffe::/16",  # the 6bone, returned (RFC 3701)
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
#: Where clouds hand credentials to any caller inside: EC2 and most others, ECS and EKS, Azure, Alibaba, Oracle, and the
#: IPv6 addresses of Amazon and Google. Some lie in networks that operators have good reason to allow.
METADATA: Final = frozenset(
    {
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("169.254.170.23"),
        IPv4Address("168.63.129.16"),
        IPv4Address("100.100.100.200"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd00:ec2::23"),
        IPv6Address("fd20:ce::254"),
    }
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")


def is_public(address: Address) -> bool:
    """Return whether an address is on the public internet, and in no private network."""
    if address in METADATA:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _GLOBAL_6 and not any(address in network for network in _NOT_PUBLIC_6)


def carried(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address is a way to: mapped, compatible, 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def is_named(address: Address, networks: tuple[Network, ...]) -> bool:
    """Return whether one of the networks holds an address. One with credentials needs an entry only for itself."""
    if address in METADATA:
        return ip_network(address) in networks
    return any(address in network for network in networks)
