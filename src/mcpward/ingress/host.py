"""Host values that are spelled in another way than the site's own, and name the same host (RFC 9110 §4.2.3)."""

from ipaddress import IPv6Address
from typing import Final

_LONGEST: Final = 300


def known_as(host: bytes) -> bytes:
    """Return a Host value in the one spelling that allow-lists hold.

    That is lower case, IPv6 as in RFC 5952, without the dot of the root and without a colon that no port follows. No
    other spelling of an IPv4 address is one (attack 41).
    """
    if len(host) > _LONGEST:
        return host
    host = host.lower()
    if host.startswith(b"["):
        inside, bracket, port = host[1:].partition(b"]")
        try:
            name = str(IPv6Address(inside.decode("ascii"))).encode()
        except ValueError:
            return host
        return b"[%b%b%b" % (name, bracket, b"" if port == b":" else port)
    name, colon, port = host.partition(b":")
    rooted = name.removesuffix(b".")
    if not rooted.rpartition(b".")[2][:1].isdigit():
        name = rooted
    return name + (colon + port if port else b"")
