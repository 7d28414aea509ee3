"""The values that may never leave: what ``env`` gave out, what the vault holds, and the site's own credentials."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from mcpward.config.model import Settings
from mcpward.core.secret import Secret
from mcpward.operations.counters_url import counters_secrets
from mcpward.sanitize.credentials import masked, of_environment
from mcpward.sanitize.redact import Redactor
from mcpward.sdk.environment import env

_log: Final = logging.getLogger("mcpward.secrets")
_OWN: Final = ("MCPWARD_MASTER_KEY",)

_Octets: TypeAlias = bytes  # within the class below, ``bytes`` is a method
ByServer = Mapping[str, Mapping[str, Secret]]


class Secrets:
    """Provides the current redactor, rebuilt only when a secret was added. ``vault`` holds each server's own, ``shown``
    are those that mcpward shows to identity providers, ``kept`` are earlier versions in their grace period.
    """

    def __init__(
        self,
        settings: Settings,
        vault: ByServer,
        shown: Mapping[str, Secret] | None = None,
        kept: Iterable[Secret] = (),
    ) -> None:
        of_servers = (secret for of_server in vault.values() for secret in of_server.values())
        self._fixed = [*_own(settings), *of_servers, *(shown or {}).values(), *kept]
        self._version = -1
        self._told: set[str] = set()
        self._redactor = self._made()

    def redactor(self) -> Redactor:
        """Return the redactor of all secrets known at this moment."""
        if env.version != self._version:
            self._redactor = self._made()
        return self._redactor

    def text(self, text: str) -> str:
        """Redact a line of the log."""
        return self.redactor().text(text)

    def shown(self, text: str) -> str:
        """Redact the text of an exception of an author's code or a library's, see :func:`without_secrets`."""
        return without_secrets(text, self._fixed)

    def bytes(self, data: _Octets) -> _Octets:
        """Redact what goes into the traffic record."""
        return self.redactor().bytes(data)

    def json(self, data: _Octets) -> _Octets:
        """Redact whole JSON that goes into the traffic record."""
        return self.redactor().json(data)

    def _made(self) -> Redactor:
        self._version = env.version
        redactor = Redactor([*self._fixed, *env.handed_out()])
        for name in redactor.weak:
            if name not in self._told:
                self._told.add(name)
                _log.warning("the secret %s is too short or too common to be redacted: make it longer", name)
        return redactor


def without_secrets(text: str, known: Iterable[Secret]) -> str:
    """Return a text of code that is not ours without secrets: those ``known``, what ``env`` gave out, the values of the
    environment, which such code reads by itself, and what has the form of a credential.
    """
    return masked(Redactor([*known, *env.handed_out(), *of_environment()]).text(text))


def _own(settings: Settings) -> list[Secret]:
    """The site's own: master keys from the environment, and the passwords in the URLs of store and counters."""
    secrets = [Secret(part, name) for name in _OWN for part in os.environ.get(name, "").split(",") if part.strip()]
    password = urlsplit(settings.store.url).password
    if password:
        secrets += [Secret(password, "store.url"), Secret(unquote(password), "store.url")]
    return secrets + counters_secrets(settings)
