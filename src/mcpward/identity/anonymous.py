"""The public mode: every caller is accepted, counted under its network. Trusts nothing that was sent."""

from mcpward.core.scope import Access
from mcpward.core.values import Arrival, AuthMethod, Principal


def admit(arrival: Arrival, access: Access = Access.READ) -> Principal:
    """Return the principal of callers at the peer's address (an IPv6 peer shares one with its /64).

    ``access`` is the highest class of tools that such a caller may use.
    """
    key = "anonymous:" + arrival.bucket
    return Principal(key=key, way=AuthMethod.ANONYMOUS, server=arrival.server, subject="anonymous", access=access)
