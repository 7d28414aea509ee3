"""The values that may never leave: what ``env`` gave out, what the vault holds, and the site's own credentials."""

import logging
import os
from collections.abc import Iterable, Mapping
from threading import Lock, Thread
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from mcpward.config.model import Settings
from mcpward.core.secret import Secret, value_of
from mcpward.operations.counters_url import counters_secrets
from mcpward.sanitize.credentials import masked, of_environment
from mcpward.sanitize.redact import Redactor
from mcpward.sanitize.weak import why_weak
from mcpward.sdk.environment import env

_log: Final = logging.getLogger("mcpward.secrets")
_OWN: Final = ("MCPWARD_MASTER_KEY",)
#: Secrets of which a redactor is made in some milliseconds.
_QUICK: Final = 40
#: Looks at each text, from which on one redactor is made of several.
_LOOKS: Final = 3

_Octets: TypeAlias = bytes  # within the class below, ``bytes`` is a method
ByServer = Mapping[str, Mapping[str, Secret]]


class Secrets:
    """Provides the current redactor. ``vault`` holds each server's own secrets, ``shown`` are those that mcpward shows
    to identity providers, ``kept`` are more that must not leave: earlier versions in
    their grace period, the master key.

    A secret that was just handed out is looked for from the next text on: by a small redactor of the new ones, at once.
    One of them all takes its place when it is made; if that takes long, a thread makes it.
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
        self._lock = Lock()
        self._version = -1
        self._values: dict[tuple[str, str], Secret] = {}
        self._untold: list[tuple[str, str]] = []
        self._is_merging = False
        self._redactor = Redactor(())
        self._look_for(self._fixed)
        self.redactor()
        self._tell()

    def redactor(self) -> Redactor:
        """Return the redactor of all secrets known at this moment."""
        if env.version != self._version:
            with self._lock:
                self._follow()
            self._tell()
        return self._redactor

    def text(self, text: str) -> str:
        """Redact a line of the log."""
        return self.redactor().text(text)

    def line(self, line: str) -> str:
        """Redact a line of JSON of the log."""
        return self.redactor().json(line.encode("utf-8", "replace")).decode()

    def shown(self, text: str) -> str:
        """Redact the text of an exception of an author's code or a library's, see :func:`without_secrets`."""
        return without_secrets(text, self._fixed)

    def bytes(self, data: _Octets) -> _Octets:
        """Redact what goes into the traffic record."""
        return self.redactor().bytes(data)

    def json(self, data: _Octets) -> _Octets:
        """Redact whole JSON that goes into the traffic record."""
        return self.redactor().json(data)

    def _follow(self) -> None:
        """Look for what ``env`` gave out since the last time. If that fails, the next text tries again: none leaves."""
        version = env.version
        self._look_for(env.handed_out())
        self._version = version

    def _look_for(self, secrets: Iterable[Secret]) -> None:
        # A value that is renewed in place is another: what is kept is a secret of its own.
        given = {(secret.name, value_of(secret)) for secret in secrets} - self._values.keys()
        new = {(name, value): Secret(value, name) for name, value in given}
        if not new:
            return
        if len(self._values) + len(new) <= _QUICK or not self._values:
            redactor = Redactor([*self._values.values(), *new.values()])
        else:
            redactor = self._redactor.with_more(new.values())
        self._values |= new
        self._redactor = redactor
        self._untold += sorted(given)
        self._merge()

    def _tell(self) -> None:
        """Report weak secrets. Without the lock: the log's lines are redacted, too, so this comes here again."""
        with self._lock:
            told, self._untold = self._untold, []
        for name, value in told:
            if (problem := why_weak(value)) is not None:
                _log.warning("the secret %s %s", name, problem)

    def _merge(self) -> None:
        """Make one redactor of several on a thread of its own, once these are many."""
        if self._redactor.looks > _LOOKS and not self._is_merging:
            self._is_merging = True
            Thread(target=self._merged, args=(dict(self._values),), name="redactor", daemon=True).start()

    def _merged(self, values: Mapping[tuple[str, str], Secret]) -> None:
        try:
            redactor = Redactor(values.values())
            with self._lock:
                since = [secret for key, secret in self._values.items() if key not in values]
                self._redactor = redactor.with_more(since) if since else redactor
        finally:
            self._is_merging = False


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
