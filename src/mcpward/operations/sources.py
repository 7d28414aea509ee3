"""Loads the authors' servers, each with its own secrets in reach."""

from collections.abc import Mapping

from mcpward.config.model import Settings
from mcpward.config.sources import foreign_sources
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.secret import Secret
from mcpward.operations.known_secrets import without_secrets
from mcpward.sdk.environment import env
from mcpward.sdk.server import Server
from mcpward.tools.local import load_server
from mcpward.tools.registry import Registry
from mcpward.tools.tool_source import ToolSource


def load_sources(settings: Settings, secrets: Mapping[str, Mapping[str, Secret]]) -> dict[str, Server]:
    """Run every server's source and return what it made.

    While a source loads, ``env`` sees the vault's secrets of its own server and of no other. Afterwards a name that
    only one server keeps still resolves, for tools that ask late.

    Raises:
        Misconfigured: with the findings of all sources that cannot be loaded; nothing runs where others may write one.
    """
    if foreign := foreign_sources(settings):
        raise Misconfigured(foreign)

    def shown(text: str) -> str:
        of_vault = (secret for of_server in secrets.values() for secret in of_server.values())
        return without_secrets(text, of_vault)

    loaded: dict[str, Server] = {}
    findings: list[Finding] = []
    for name, server in settings.servers.items():
        forget = env.install(secrets.get(name, {}).get)
        try:
            loaded[name] = load_server(server.source, shown)
        except Misconfigured as wrong:
            findings += wrong.findings
        finally:
            forget()
    if findings:
        raise Misconfigured(findings)
    env.install(_unambiguous(secrets).get)
    return loaded


def authors_of(sources: Mapping[str, ToolSource]) -> dict[str, Server]:
    """Return the authors' servers by name: those of the sources that are written in Python."""
    return {name: source.author for name, source in sources.items() if isinstance(source, Registry)}


def source_names(settings: Settings) -> list[str]:
    """Return what the servers are loaded from, as the settings name it."""
    return [server.source for server in settings.servers.values()]


def _unambiguous(secrets: Mapping[str, Mapping[str, Secret]]) -> dict[str, Secret]:
    found: dict[str, list[Secret]] = {}
    for of_server in secrets.values():
        for name, secret in of_server.items():
            found.setdefault(name, []).append(secret)
    return {name: owners[0] for name, owners in found.items() if len(owners) == 1}
