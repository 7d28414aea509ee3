"""The protocol revisions that are served, newest first, and the names that the specification gives things."""

from typing import Final

MODERN: Final = "2026-07-28"
LATEST_LEGACY: Final = "2025-11-25"
_OFFERED: Final = (LATEST_LEGACY, "2025-06-18", "2025-03-26")
LEGACY: Final = (*_OFFERED, "2024-11-05")
"""The revisions with sessions. The last one is older than this transport. Clients that ask for it all the same are
served as those of 2025-03-26 are, as the official SDKs do; it is never offered."""
SUPPORTED: Final = (MODERN, *_OFFERED)
"""Every revision that is really served: reported by ``server/discover`` and by every refused version."""

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY: Final = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"
SERVER_KEY: Final = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"
TASKS: Final = "io.modelcontextprotocol/tasks"
"""The name of the tasks extension (SEP-2663)."""

VERSION_HEADER: Final = b"mcp-protocol-version"
METHOD_HEADER: Final = b"mcp-method"
NAME_HEADER: Final = b"mcp-name"
SESSION_HEADER: Final = b"mcp-session-id"
EVENT_HEADER: Final = b"last-event-id"
