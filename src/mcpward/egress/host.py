"""One spelling for each host: an address as its standard writes it, or a name in ASCII.

``0177.0.0.1``, ``2130706433``, ``0x7f.1`` and ``127.1`` are loopback to some readers and names to others. A host that
ends in a number is an address here (as in the URL Standard, "ends in a number checker"). Only its plain dotted form is
accepted (attack 80).
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from mcpward.egress.failures import EgressRefused, Failure

Address = IPv4Address | IPv6Address

# The underscore is no host name's, but container networks name their members so.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAME_BYTES: Final = 253
#: Most calls are to a few hosts. What is refused is not kept.
_KEPT: Final = 1_024


@lru_cache(_KEPT)
def read_host(text: str) -> Address | str:
    """Return the address that ``text`` spells (IPv6 without brackets), or the lower-case name that it is.

    Raises :class:`EgressRefused` (host-refused) for every other spelling: no zone, no international form, no dot at
    the end, no number but four in dots.
    """
    if not text.isascii():  # before lower(), which makes a k of the Kelvin sign
        raise EgressRefused(Failure.HOST_REFUSED, "the host is no name in ASCII")
    if "%" in text:
        raise EgressRefused(Failure.HOST_REFUSED, "the host has an escape or a zone")
    host = text.lower()
    try:
        if ":" in host:
            return IPv6Address(host)
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return IPv4Address(host)
    except AddressValueError:
        raise EgressRefused(Failure.HOST_REFUSED, "the host is no address in its usual spelling") from None
    if len(host) > _NAME_BYTES or not all(map(_LABEL.fullmatch, labels)):
        raise EgressRefused(Failure.HOST_REFUSED, "the host is no name")
    return host
