"""The public way: everybody comes in, counted under the network they come from. Trusts nothing that was sent."""

from mcpward.core.values import Arrival, Principal, Way


def admit(arrival: Arrival) -> Principal:
    """Give the principal of whoever stands at the peer's address (an IPv6 peer shares one with its /64)."""
    return Principal(key="anonymous:" + arrival.bucket, way=Way.ANONYMOUS, server=arrival.server, subject="anonymous")
