"""Cross-origin answers for the origins that an operator allowed; for nobody else is there a CORS header at all."""

from typing import Final

from mcpward.core.values import Reply

_ALLOW_HEADERS: Final = (
    b"authorization, content-type, x-api-key, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, last-event-id"
)
_EXPOSE: Final = b"mcp-session-id, www-authenticate, retry-after, ratelimit, ratelimit-policy"


def grants(origin: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Give the headers for an answer to an allowed origin: that origin by name, never ``*``."""
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSE),
        (b"vary", b"Origin"),
    )


def preflight() -> Reply:
    """Give the answer to a preflight (Fetch standard §3.2.5) whose origin passed the gate."""
    headers = (
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", _ALLOW_HEADERS),
        (b"access-control-max-age", b"600"),
    )
    return Reply(status=204, headers=headers)
