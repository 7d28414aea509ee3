"""``env``: secrets by name, resolved in the vault first and in the process environment second; and plain settings.

Remembers every secret it gave out, so that the sanitize package can take their values out of whatever leaves.
"""

import os
from collections.abc import Callable
from threading import Lock
from typing import overload
from urllib.parse import urlsplit

from mcpward.core.secret import Secret
from mcpward.sdk.author_place import author_place
from mcpward.sdk.errors import AuthoringError, MissingSecret, MissingText

Resolver = Callable[[str], Secret | None]


class Environment:
    """Attribute access gives a :class:`Secret`: ``env.ORDERS_DATABASE_URL``.

    ``version`` grows with every value that was not given out before; ``handed_out`` lists them all, replaced
    ones included, since a tool may still hold the older value.
    """

    def __init__(self) -> None:
        self._resolvers: list[Resolver] = []
        self._given: dict[tuple[str, str], Secret] = {}
        self._lock = Lock()
        self._version = 0

    def __getattr__(self, name: str) -> Secret:
        if name.startswith("_"):  # Python's own questions (copy, pickle, inspect) are no secrets
            raise AttributeError(name)
        secret = self.find(name)
        if secret is None:
            raise MissingSecret(name)
        return secret

    @overload
    def get(self, name: str) -> Secret | None: ...
    @overload
    def get(self, name: str, default: str) -> Secret: ...
    def get(self, name: str, default: str | None = None) -> Secret | None:
        """Return the secret, or ``default`` (a value from source code, hence not treated as secret elsewhere)."""
        secret = self.find(name)
        if secret is None and default is not None:
            return Secret(default, name)
        return secret

    def text(self, name: str, default: str | None = None) -> str:
        """Return a setting that is no secret, as text: a host, a level, a number to be read. It is not redacted.

        Comes only from the process environment; an empty value counts as not set.

        Raises:
            MissingText: it is not set, and there is no default.
            AuthoringError: it is a secret: the vault keeps one of that name, or it is a URL with a password. A value
                that is read as text would leave in results and logs as is.
        """
        if any(resolve(name) for resolve in self._resolvers):
            raise AuthoringError(f"{name} is a secret in the vault: read it as env.{name}", str(author_place()))
        value = os.environ.get(name, "")
        if value and _has_password(value):
            raise AuthoringError(f"{name} contains a password, so it is a secret: env.{name}", str(author_place()))
        if value:
            return value
        if default is None:
            raise MissingText(name)
        return default

    def find(self, name: str) -> Secret | None:
        """Return the secret, or None. An empty value counts as not set: no credential is not a credential."""
        for resolve in self._resolvers:
            found = resolve(name)
            if found is not None and found:
                return self._remember(name, found.reveal())
        value = os.environ.get(name, "")
        return self._remember(name, value) if value else None

    def install(self, resolve: Resolver) -> Callable[[], None]:
        """Ask ``resolve`` before the process environment (newest first). Returns a function that takes it out again."""
        self._resolvers.insert(0, resolve)
        return lambda: self._resolvers.remove(resolve)

    def handed_out(self) -> list[Secret]:
        """Return every secret that was handed out since the process started."""
        with self._lock:
            return list(self._given.values())

    @property
    def version(self) -> int:
        """A number that changes whenever :meth:`handed_out` does."""
        return self._version

    def _remember(self, name: str, value: str) -> Secret:
        with self._lock:
            secret = self._given.get((name, value))
            if secret is None:
                secret = self._given[name, value] = Secret(value, name)
                self._version += 1
            return secret

    def __repr__(self) -> str:
        return "env"


def _has_password(value: str) -> bool:
    try:
        return bool(urlsplit(value).password)
    except ValueError:
        return False


env = Environment()
