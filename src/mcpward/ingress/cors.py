"""Cross-origin responses for the origins that an operator allowed; all other origins get no CORS header at all."""

import re
from typing import Final

from mcpward.core.values import Reply

_ALLOW_HEADERS: Final = (
    b"accept, authorization, content-type, x-api-key, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, "
    b"last-event-id, traceparent, tracestate, baggage"
)
#: Headers that repeat an argument (``x-mcp-header``) are named by their tools; names are tokens (RFC 9110 §5.6.2).
_MIRRORED: Final = re.compile(rb"(?:^|,)[ \t]*(mcp-param-[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?=,|$)", re.IGNORECASE)
_EXPOSE: Final = b"mcp-session-id, www-authenticate, retry-after, ratelimit, ratelimit-policy"


def grants(origin: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers for an answer to an allowed origin: that origin by name, never ``*``."""
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSE),
        (b"vary", b"Origin"),
    )


def preflight(asked: bytes) -> Reply:
    """Return the answer to a preflight (Fetch standard §3.2.5) whose origin passed the gate.

    ``asked`` are the names of the headers that the page would send.
    """
    headers = (
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", b", ".join((_ALLOW_HEADERS, *_MIRRORED.findall(asked)))),
        (b"access-control-max-age", b"600"),
    )
    return Reply(status=204, headers=headers)
