"""Loads the authors' servers, each with its own secrets in reach."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mcpward.config.model import Settings
from mcpward.config.sources import foreign_sources
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.secret import Secret
from mcpward.operations.known_secrets import without_secrets
from mcpward.operations.secret_manager import ManagedByServer, withheld_of
from mcpward.sdk.environment import ServerSecrets, env
from mcpward.sdk.server import Server
from mcpward.sdk.signature import unwrapped_code
from mcpward.tools.local import load_server
from mcpward.tools.registry import Registry
from mcpward.tools.tool_source import ToolSource

_NONE: Final[ManagedByServer] = {}
_EMPTY: Final = ManagedSecrets()


def load_sources(
    settings: Settings, secrets: Mapping[str, Mapping[str, Secret]], managed: ManagedByServer = _NONE
) -> dict[str, Server]:
    """Run every server's source and return what it made. ``secrets`` are those of the vault, ``managed`` those of an
    external secret manager.

    From then on ``env`` returns to each server its own part of the vault, and of no other. A module that several
    servers import runs once: what it asks for at its top level belongs to the server that imports it first.

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
    forget = env.install(
        {
            name: secrets_of(settings, name, secrets.get(name, {}), managed.get(name, _EMPTY))
            for name in settings.servers
        }
    )
    for name, server in settings.servers.items():
        try:
            with env.importing(name):
                loaded[name] = load_server(server.source, shown)
        except Misconfigured as wrong:
            findings += wrong.findings
        else:
            env.claim(name, files_of(loaded[name]))
    if findings:
        forget()
        raise Misconfigured(findings)
    return loaded


def secrets_of(
    settings: Settings, server: str, vault: Mapping[str, Secret], managed: ManagedSecrets = _EMPTY
) -> ServerSecrets:
    """Return where the secrets of a server come from."""
    own = settings.servers[server].secret_files
    folders = settings.secrets.files if own is None else own
    may_read = settings.secrets.environment
    return ServerSecrets(dict(vault), tuple(map(Path, folders)), may_read, managed, withheld_of(settings))


def files_of(server: Server) -> set[str]:
    """Return the files that a server's functions are written in."""
    named: list[Any] = [*server.tools, *server.resources, *server.prompts, *server.completions]
    functions = [*(one.function for one in (*named, *server.starts, *server.stops))]
    functions += [] if server.lifespan is None else [server.lifespan.make]
    return {code.co_filename for function in functions if (code := unwrapped_code(function)) is not None}


def authors_of(sources: Mapping[str, ToolSource]) -> dict[str, Server]:
    """Return the authors' servers by name: those of the sources that are written in Python."""
    return {name: source.author for name, source in sources.items() if isinstance(source, Registry)}


def source_names(settings: Settings) -> list[str]:
    """Return what the servers are loaded from, as the settings name it."""
    return [server.source for server in settings.servers.values()]
