"""The parts of its request that a task keeps: as little as possible, because it may live for an hour.

The raw body and the headers, with the credential in them, stay behind.
"""

from msgspec.structs import replace

from mcpward.core.values import AcceptedCall


def unladen(accepted: AcceptedCall) -> AcceptedCall:
    """Return the call without its request's headers, body and raw params; what was accepted of them is still there."""
    call = accepted.call
    arrival = replace(call.arrival, headers={}, repeated=frozenset(), body=b"", path_secret=None)
    return replace(accepted, call=replace(call, arrival=arrival, arguments=None, params={}, inputs={}, state=None))


def weight(accepted: AcceptedCall) -> int:
    """Return the size of the request's body in bytes: what is kept of its arguments is of that order."""
    return len(accepted.call.arrival.body)
