"""The conversation of its caller that a call belongs to: several agents may share one key, and each has its own.

The caller itself names its conversation, so no rate is counted by it. The loop breaker is, beside its count for the
caller as a whole.
"""

from typing import Final

from mcpward.core.values import Call

_TRACE_ID: Final = slice(3, 35)  # W3C Trace Context: 00-<trace id>-<parent id>-<flags>


def conversation_of(call: Call) -> str | int | None:
    """Return the session, else the id of the trace, else the connection; None if none of them is known."""
    if call.session is not None:
        return call.session
    if call.trace:
        parent = call.trace.get("traceparent")
        if parent is not None:
            return parent[_TRACE_ID]
    return call.arrival.connection or None
