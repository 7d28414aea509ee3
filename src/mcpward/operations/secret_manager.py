"""The external secret manager of a site, as its settings name it: opened, read once, and followed by who wants to."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Final

from mcpward import __version__
from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.egress.wire import tls_trusting
from mcpward.sdk.environment import Withheld, env
from mcpward.sdk.errors import SecretUnreadable
from mcpward.sdk.secret_files import read_secret_file
from mcpward.vault.kv2 import Kv2, Kv2Place
from mcpward.vault.managed_follower import ManagedFollower
from mcpward.vault.secret_source import SourceFailed

_TOKEN_KEY: Final = "secrets.manager.token"  # noqa: S105  the name of a setting
_CA_KEY: Final = "secrets.manager.ca_file"
_ENVIRONMENT: Final = "env:"
_FILE: Final = "file:"
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_CONNECTIONS: Final = 8
ManagedByServer = Mapping[str, ManagedSecrets]


@asynccontextmanager
async def open_manager(settings: Settings, clock: Clock) -> AsyncIterator[ManagedFollower | None]:
    """Read every server's secrets at the external manager once, and return what can follow them; None if there is no
    such manager. What it returns is redacted from then on, and so is its token.

    A manager that cannot be read is a warning in the log, and each of its secrets is one that cannot be read.

    Raises:
        Misconfigured: the file of its authorities cannot be used.
    """
    manager = settings.secrets.manager
    if not manager.is_set:
        yield None
        return
    client = Client(
        Guard(settings.egress.allow),
        timeout_s=manager.timeout_s,
        user_agent=f"mcpward/{__version__}",
        tls=_authorities(settings, manager.ca_file),
        max_connections=_CONNECTIONS,
    )
    place = Kv2Place(manager.url, manager.mount, manager.path, manager.namespace)
    follower = ManagedFollower(
        Kv2(client, place, _TokenPlace(manager.token).read),
        settings.servers,
        env.renew_managed,
        clock,
        refresh_s=manager.refresh_s,
        keep_s=manager.keep_s,
    )
    try:
        await follower.look()
        yield follower
    finally:
        await client.close()


async def read_manager(settings: Settings, clock: Clock) -> ManagedByServer:
    """Return every server's secrets at the external manager, for a command; nothing if there is no such manager.

    Raises:
        Misconfigured: as :func:`open_manager`.
    """
    async with open_manager(settings, clock) as follower:
        return {} if follower is None else dict(follower.present)


def withheld_of(settings: Settings) -> Withheld:
    """Return where the manager's token stands: a tool that read it could read the secrets of every server."""
    place = settings.secrets.manager.token
    if place.startswith(_FILE):
        return Withheld(files=(Path(place.removeprefix(_FILE)),))
    return Withheld(variables=frozenset([place.removeprefix(_ENVIRONMENT)] if place else ()))


class _TokenPlace:
    """Reads the token where the settings say, again and again: an agent may renew it in its file."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._last = ""

    async def read(self) -> Secret:
        """Return the token that holds now.

        Raises:
            SourceFailed: there is none.
        """
        if self._place.startswith(_FILE):
            text = await asyncio.to_thread(_token_in, Path(self._place.removeprefix(_FILE)))
        else:
            name = self._place.removeprefix(_ENVIRONMENT)
            text = os.environ.get(name, "").strip()
            if not text:
                raise SourceFailed(f"the variable {name}, which has its token, is not set", is_away=True)
        if not _TOKEN.fullmatch(text):
            raise SourceFailed("its token is not one word of printable ASCII", is_away=True)
        secret = Secret(text, _TOKEN_KEY)
        if text != self._last:
            self._last = text
            env.hide([secret])
        return secret


def _token_in(file: Path) -> str:
    try:
        text = read_secret_file(_TOKEN_KEY, file).strip()
    except SecretUnreadable as unreadable:
        raise SourceFailed(f"its token cannot be read: {unreadable.problem}", is_away=True) from None
    if not text:
        raise SourceFailed(f"its token cannot be read: {file} is empty", is_away=True)
    return text


def _authorities(settings: Settings, file: Path | None) -> SSLContext | None:
    if file is None:
        return None
    try:
        return tls_trusting(file)
    except OSError as error:
        why = error.strerror or "it holds no certificate in PEM"
        finding = Finding(f"{_CA_KEY}: {file} cannot be used: {why}", _CA_KEY, "name a PEM file of certificates")
        raise Misconfigured(settings.placed([finding])) from None
