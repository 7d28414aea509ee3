"""The server that a client is to be connected to: its name, its URL, its credential's kind, and the given key."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from mcpward.cli import pasted, ui
from mcpward.cli.clients import Client, Entry, Scope
from mcpward.cli.clients.shown import WEB
from mcpward.cli.secret_input import read_secret
from mcpward.cli.site import chosen_server, fit_server
from mcpward.config.address import parse_url
from mcpward.config.endpoint import endpoint
from mcpward.config.model import Settings
from mcpward.config.names import RESERVED, SERVER_NAME
from mcpward.core.secret import Secret

_SECRET: Final = re.compile(r"/[0-9A-Za-z]{48}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_GENERAL: Final = frozenset({"mcp", "www", "api", "app", "server", "servers", "v1", "sse"})


class EntryOptions(Struct, frozen=True):
    """The command line's options on the server and its key."""

    server: str | None = None
    url: str | None = None
    stdin: bool = False
    key_file: Path | None = None
    variable: str = ""


class ChosenServer(Struct, frozen=True):
    """The server as the client shall know it, and its modes. ``is_named``: its URL was on the command line.
    ``is_known``: it is one of the site's file, so that its modes are those of the file.
    """

    entry: Entry
    modes: frozenset[str]
    is_named: bool
    is_known: bool


def entry_for(client: Client, settings: Settings, asked: EntryOptions, scope: Scope | None) -> ChosenServer:
    """Work out the server.

    Raises:
        CommandEnded: the server is unknown, or the URL is not fit.
        Invalid: the key is not whole.
    """
    if asked.variable and not _VARIABLE.fullmatch(asked.variable):
        raise ui.CommandEnded(
            ui.Exit.USAGE, "--variable is not the name of a variable", "such as --variable ORDERS_KEY"
        )
    given = _given(asked)
    is_named = asked.url is not None
    if given is not None and pasted.is_url(given):
        asked, given, is_named = replace(asked, url=given.reveal()), None, True
    name, at = _server(settings, asked)
    is_known = name in settings.servers
    unknown = "oauth" if client.name in WEB else "api-key"
    modes = settings.servers[name].modes if is_known else frozenset({unknown})
    if given is None and not _SECRET.fullmatch(at[-49:]):
        given = pasted.from_environment(os.environ, name, asked.variable)
    if given is not None and pasted.is_url(given):
        at, modes, given, is_named = _url(given.reveal()), frozenset({"unlisted"}), None, True
    elif _SECRET.fullmatch(at[-49:]):
        modes = frozenset({"unlisted"})
    elif "unlisted" in modes:
        at = f"{at}/<the secret>"
    key = given if "api-key" in modes else None
    if key is not None:
        from mcpward.operations.key_form import require_whole_key

        require_whole_key(key)
    # If a server takes both, a caller with a key is a machine: it does not log in.
    has_login = "oauth" in modes and key is None
    entry = Entry(
        server=name,
        url=at,
        needs_key="api-key" in modes and not has_login,
        is_unlisted="unlisted" in modes,
        key=key,
        has_login=has_login,
        variable=asked.variable,
        scope=scope or client.scope or "user",
    )
    return ChosenServer(entry, modes, is_named, is_known)


def name_of(url: str) -> str:
    """Return a name for the server at a URL: the part of its path before ``/mcp``, else of its host."""
    parts = urlsplit(url)
    path = _SECRET.sub("", parts.path) if _SECRET.fullmatch(parts.path[-49:]) else parts.path
    host = [] if re.fullmatch(r"[\d.:]+", parts.hostname or "") else (parts.hostname or "").split(".")
    for word in [*reversed(path.split("/")), *host]:
        name = re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:63]
        if SERVER_NAME.fullmatch(name) and name not in RESERVED | _GENERAL | {"localhost"}:
            return name
    return "mcpward"


def _server(settings: Settings, asked: EntryOptions) -> tuple[str, str]:
    """Return name and URL. A URL that was named need not be one of the site's."""
    if asked.url is None:
        name = chosen_server(settings, asked.server)
        return name, endpoint(settings, name)
    at = _url(asked.url)
    if asked.server is not None:
        return fit_server(asked.server), at  # a server that only a URL names is none of the site's file
    return _served_at(settings, at) or name_of(at), at


def _served_at(settings: Settings, url: str) -> str | None:
    plain = url[:-49] if _SECRET.fullmatch(url[-49:]) else url
    for name in settings.servers:
        if endpoint(settings, name) == plain:
            return name
    named = name_of(plain)
    if named in settings.servers:
        return named
    return next(iter(settings.servers)) if len(settings.servers) == 1 and urlsplit(plain).path == "/mcp" else None


def _given(asked: EntryOptions) -> Secret | None:
    if asked.stdin:
        return pasted.cleaned(read_secret("key or secret URL: ").reveal())
    return None if asked.key_file is None else pasted.from_file(asked.key_file)


def _url(text: str) -> str:
    try:
        return parse_url(text)
    except ValueError as problem:
        raise ui.CommandEnded(ui.Exit.USAGE, f"the URL is not fit: {problem}") from None
