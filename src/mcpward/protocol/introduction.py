"""A server's description of itself (``Implementation``), in the form of each version."""

from typing import Any, Final

from msgspec.json import Encoder

from mcpward.core.unicode import escape_separators
from mcpward.protocol.methods import ServerInfo
from mcpward.protocol.versions import LATEST_LEGACY, MODERN, SERVER_KEY

_encode = Encoder().encode
_TITLED: Final = frozenset(("2025-06-18", LATEST_LEGACY, MODERN))
_WHOLE: Final = frozenset((LATEST_LEGACY, MODERN))


def implementation(server: ServerInfo, version: str) -> dict[str, Any]:
    """Return everything that the version knows of ``Implementation``."""
    said: dict[str, Any] = {"name": server.name, "version": server.version}
    if server.title and version in _TITLED:
        said["title"] = server.title
    if version in _WHOLE:
        whole = {"description": server.description, "websiteUrl": server.website_url, "icons": server.icons}
        said |= {name: value for name, value in whole.items() if value}
    return said


def introduction(server: ServerInfo, version: str) -> bytes:
    """Return the member of ``_meta`` that introduces the server, encoded, for :attr:`Call.introduction`."""
    return escape_separators(_encode({SERVER_KEY: implementation(server, version)}))[1:-1]


def short_introduction(server: ServerInfo) -> bytes:
    """Return the introduction that every modern result carries: only the name, because icons may be kilobytes long."""
    return introduction(ServerInfo(server.name, server.version, server.title), MODERN)
