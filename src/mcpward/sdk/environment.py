"""``env``: secrets by name, from the vault of the server that asks, then from an external secret manager, then from
files, then from the process environment; and plain settings.

One handle stands for one name of one server. It is renewed in place, so that code that holds it sees the new value. All
values that were ever in reach are remembered, so that the sanitize package can take them out of whatever leaves.

Several servers in one process are kept apart against mistakes. That is no boundary against hostile code, which can read
the memory of its process.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Final, overload
from urllib.parse import urlsplit

from msgspec import Struct, field

from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.secret import Secret, value_of
from mcpward.core.work import loaded, server_here
from mcpward.sdk.author_place import author_place
from mcpward.sdk.errors import AuthoringError, MissingSecret, MissingText, SecretUnreadable
from mcpward.sdk.live_secret import LiveSecret
from mcpward.sdk.secret_files import SecretFile, SecretFiles, trim

_log: Final = logging.getLogger("mcpward.secrets")
_FOLDERS: Final = (Path("/run/secrets"),)
#: mcpward's own, in any case: the master key opens the vault of every server, and settings may be secrets too.
_OWN: Final = "mcpward_"
_VAULT: Final = "the vault"
_MANAGER: Final = "the secret manager"
_KEEPERS: Final = (_VAULT, _MANAGER)


class Withheld(Struct, frozen=True):
    """Names of variables, and files, that hold secrets of mcpward's own."""

    variables: frozenset[str] = frozenset()
    files: tuple[Path, ...] = ()


_NOTHING: Final = Withheld()


class ServerSecrets(Struct):
    """Where the secrets of one server come from: its part of the vault, of the external secret manager, folders of
    files, the process environment.

    ``withheld`` are variables and files of mcpward's own: no tool gets them, under whatever name.
    """

    vault: dict[str, Secret] = field(default_factory=dict)
    folders: tuple[Path, ...] = _FOLDERS
    environment: bool = True
    managed: ManagedSecrets = ManagedSecrets()
    withheld: Withheld = _NOTHING

    def keeps(self, name: str) -> bool:
        """Return whether a secret is in the server's own part of the vault or of the secret manager."""
        return name in self.vault or self.managed.has(name)


class ImportedSecret(Struct, frozen=True):
    """A secret that a server's source asked for while it was imported; ``where`` is the line at the top level."""

    server: str
    name: str
    where: str
    is_required: bool


class _Found(Struct, frozen=True):
    """A value, where it stands, and the vault's binding of it to hosts."""

    value: str
    place: str
    trimmed: str = ""
    kept: Secret | None = None


class _Site(Struct):
    """The servers of one site, and the files that only one of them is made of."""

    servers: Mapping[str, ServerSecrets]
    owners: dict[str, str | None] = field(default_factory=dict)


class Environment:
    """Attribute access returns a :class:`Secret`: ``env.ORDERS_DATABASE_URL``.

    ``version`` grows with every value that was not in reach before; ``handed_out`` lists them all, replaced ones
    included, since a tool may still use the older value.
    """

    def __init__(self) -> None:
        self._sites: list[_Site] = []
        self._handles: dict[tuple[str, str], LiveSecret] = {}
        self._given: dict[tuple[str, str], Secret] = {}
        self._files: dict[tuple[tuple[Path, ...], ...], SecretFiles] = {}
        self._imported: dict[tuple[str, str, str], ImportedSecret] = {}
        self._trimmed: dict[tuple[str, str], str] = {}
        self._untold: list[str] = []
        self._told: set[str] = set()
        self._lock = Lock()
        self._generation = 0
        self._version = 0

    # ---- what authors use -----------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Secret:
        if name.startswith("_"):  # Python's own questions (copy, pickle, inspect) are no secrets
            raise AttributeError(name)
        secret = self._find(name, is_required=True)
        if secret is None:
            raise self._missing(name)
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
            AuthoringError: it is a secret: the vault or a file keeps one of that name, or it is a URL with a password.
                A value that is read as text would leave in results and logs as is.
        """
        kept = self._kept(self._server(), name)
        if kept is not None:
            where = kept.place if kept.place in _KEEPERS else "a file"
            raise AuthoringError(f"{name} is a secret in {where}: read it as env.{name}", str(author_place()))
        value = "" if _is_own(name, self._secrets_of(self._server())) else os.environ.get(name, "")
        if value and _has_password(value):
            raise AuthoringError(f"{name} contains a password, so it is a secret: env.{name}", str(author_place()))
        if value:
            return value
        if default is None:
            raise MissingText(name)
        return default

    def path(self, name: str) -> Path:
        """Return the path of the mounted file of a secret, for a library that wants a file, or for binary values.

        The file is at most 64 KiB. A value in UTF-8 is removed from output like any other secret; a binary one is not.

        Raises:
            MissingSecret: there is no such file.
            AuthoringError: the vault or the secret manager keeps a secret of that name, which has no file.
        """
        server = self._server()
        secrets = self._secrets_of(server)
        if secrets.keeps(name):
            where = _VAULT if name in secrets.vault else _MANAGER
            raise AuthoringError(f"{name} is a secret in {where}, without a file: env.{name}", str(author_place()))
        file = self._file(secrets, name)
        if file is None:
            raise MissingSecret(name, server or None)
        if file.text is not None:
            with self._lock:
                self._remember(name, file.text)
        return file.path

    def find(self, name: str) -> Secret | None:
        """Return the secret, or None. An empty value counts as not set: no credential is not a credential.

        Raises:
            SecretUnreadable: it is set, and its file cannot be used; or its server is not known here.
        """
        return self._find(name, is_required=False)

    # ---- what a site does -----------------------------------------------------------------------------------------

    def install(self, servers: Mapping[str, ServerSecrets]) -> Callable[[], None]:
        """Let the servers of a site have their secrets, and forget what the sources of another one have asked for.

        Returns a function that takes them out again.
        """
        self._imported.clear()
        site = _Site(servers)
        self._sites.insert(0, site)
        return lambda: self._sites.remove(site)

    @contextmanager
    def importing(self, server: str) -> Iterator[None]:
        """Whatever is imported within belongs to this server, and what it asks for is noted."""
        told, noted = loaded.set(server), _importing.set(True)
        try:
            yield
        finally:
            loaded.reset(told)
            _importing.reset(noted)

    def claim(self, server: str, files: Iterable[str]) -> None:
        """Note which files a server's functions are in: a thread without a context is known by them."""
        owners = self._sites[0].owners
        for file in files:
            owners[file] = server if owners.get(file, server) == server else None

    def renew(self, server: str, name: str, secret: Secret | None) -> None:
        """Replace a secret of a server's vault, in place; None removes it. May be called from any thread."""
        with self._lock:
            for site in [one for one in self._sites if server in one.servers][:1]:
                vault = site.servers[server].vault
                if secret is None:
                    vault.pop(name, None)
                else:
                    vault[name] = secret
                    self._remember(name, value_of(secret))
            self._generation += 1
        self._renew(server, name, removes=True)

    def renew_managed(self, server: str, managed: ManagedSecrets) -> None:
        """Replace what the external secret manager holds for a server, in place. May be called from any thread."""
        with self._lock:
            before = ManagedSecrets()
            for site in [one for one in self._sites if server in one.servers][:1]:
                before, site.servers[server].managed = site.servers[server].managed, managed
            for name, secret in managed.values.items():
                self._remember(name, value_of(secret))
                self._remember(name, trim(value_of(secret))[0])
            self._generation += 1
        for name in {*before.values, *managed.values, *managed.problems}:
            self._renew(server, name, removes=True)

    def hide(self, secrets: Iterable[Secret]) -> None:
        """Have these redacted like all that was in reach, though no tool may have got them."""
        with self._lock:
            for secret in secrets:
                self._remember(secret.name, value_of(secret))

    def refresh(self) -> None:
        """Look at the files of all secrets that are in use, and renew those that have changed. It may block."""
        for server, name in tuple(self._handles):
            self._renew(server, name)

    def take_used(self) -> list[tuple[str, str]]:
        """Return which secrets of which servers were used since the last time, by server and name."""
        return [place for place, handle in tuple(self._handles.items()) if handle.take_use()]

    def is_set(self, server: str, name: str) -> bool:
        """Return whether a server's secret is set.

        Raises:
            SecretUnreadable: it is, and its file cannot be used.
        """
        return self._resolve(server, name) is not None

    def is_in_vault(self, server: str, name: str) -> bool:
        """Return whether a server's own part of the vault, or of the secret manager, keeps a secret."""
        return self._secrets_of(server).keeps(name)

    def imported(self) -> list[ImportedSecret]:
        """Return what the sources have asked for while they were imported."""
        return list(self._imported.values())

    def tell_trimmed(self, *, quiet: bool = False) -> None:
        """Log once of each value of a file or the environment that it was trimmed; ``quiet`` if another process did."""
        with self._lock:
            lines, self._untold = self._untold, []
        for line in () if quiet else lines:
            _log.info(line)

    def handed_out(self) -> list[Secret]:
        """Return every secret that was in reach since the process started."""
        with self._lock:
            return list(self._given.values())

    @property
    def version(self) -> int:
        """A number that changes whenever :meth:`handed_out` does."""
        return self._version

    # ---- whose, and where -----------------------------------------------------------------------------------------

    def _server(self) -> str:
        """Return the server that asks; "" if no server is known to."""
        here = server_here()
        if here is not None:
            return here
        site = self._sites[0] if self._sites else None
        if site is None or len(site.servers) == 1:
            return next(iter(site.servers)) if site else ""
        return _owner(site.owners)

    def _secrets_of(self, server: str) -> ServerSecrets:
        for site in self._sites:
            found = site.servers.get(server)
            if found is not None:
                return found
        return _NOBODYS if not self._sites else _shared(self._sites[0].servers)

    def _find(self, name: str, *, is_required: bool) -> Secret | None:
        server = self._server()
        if not server and any(one.keeps(name) for site in self._sites[:1] for one in site.servers.values()):
            problem = "no call is running here, so its server is not known"
            hint = "read it before the thread begins, or run the thread in contextvars.copy_context()"
            raise SecretUnreadable(name, problem, hint)
        if _importing.get():
            where = _imported_at()
            known = self._imported.get((server, name, where))
            required = is_required or (known is not None and known.is_required)
            self._imported[server, name, where] = ImportedSecret(server, name, where, required)
        return self._settle(server, name)

    def _resolve(self, server: str, name: str) -> _Found | None:
        found, secrets = self._kept(server, name), self._secrets_of(server)
        if found is None and secrets.environment and not _is_own(name, secrets):
            value, trimmed = trim(os.environ.get(name, ""))
            found = _Found(value, "the environment", trimmed) if value else None
        if found is not None and found.trimmed:
            self._note_trimmed(name, found)
        if found is None and secrets.managed.away:  # it may be there: not known to be absent
            problem = f"it is set nowhere else, and the secret manager cannot be read: {secrets.managed.away}"
            raise SecretUnreadable(name, problem, "see [secrets.manager] and /readyz")
        return found

    def _kept(self, server: str, name: str) -> _Found | None:
        """Return what the vault, the secret manager or a file holds."""
        secrets = self._secrets_of(server)
        kept = secrets.vault.get(name)
        if kept:
            return _Found(value_of(kept), _VAULT, kept=kept)
        managed = None if _is_own(name, secrets) else _managed(secrets.managed, name)
        if managed is not None:
            return managed
        file = self._file(secrets, name)
        if file is None:
            return None
        if file.text is None:
            raise SecretUnreadable(name, f"{file.path} is not UTF-8", f'read it yourself: env.path("{name}")')
        return _Found(file.text, str(file.path), file.trimmed)

    def _file(self, secrets: ServerSecrets, name: str) -> SecretFile | None:
        if _is_own(name, secrets):
            return None
        where = (secrets.folders, secrets.withheld.files)
        files = self._files.get(where)
        if files is None:
            files = self._files.setdefault(where, SecretFiles(secrets.folders, withheld=secrets.withheld.files))
        return files.find(name)

    def _missing(self, name: str) -> MissingSecret:
        server = self._server()
        forbidden = not self._secrets_of(server).environment and bool(os.environ.get(name))
        return MissingSecret(name, server or None, is_forbidden=forbidden)

    # ---- handles --------------------------------------------------------------------------------------------------

    def _settle(self, server: str, name: str) -> LiveSecret | None:
        """Find a value and return the one handle, with that value in it; files are read without the lock."""
        while True:
            generation = self._generation
            found = self._resolve(server, name)
            if found is None:
                return None
            with self._lock:
                if generation == self._generation:  # else the vault was changed meanwhile
                    return self._handle(server, name, found)

    def _handle(self, server: str, name: str, found: _Found) -> LiveSecret:
        self._remember(name, found.value)  # first: whoever sees the value can rely on its redaction
        handle, kept = self._handles.get((server, name)), found.kept or _UNBOUND
        if handle is None:
            handle = self._handles[server, name] = LiveSecret(
                found.value, name, hosts=kept.hosts, header=kept.header, is_http_only=kept.is_http_only
            )
        elif not handle.holds(found.value, kept):
            handle.renew(found.value, kept)
        return handle

    def _renew(self, server: str, name: str, *, removes: bool = False) -> None:
        handle = self._handles.get((server, name))
        if handle is None:
            return
        try:
            found = self._settle(server, name)
        except SecretUnreadable as problem:
            if str(problem) not in self._told:  # asked again each second
                self._told.add(str(problem))
                _log.warning(str(problem))
            if removes:
                handle.remove(problem.problem)
            return
        if found is None and removes:
            handle.remove()

    def _note_trimmed(self, name: str, found: _Found) -> None:
        with self._lock:
            if self._trimmed.get((name, found.place)) != found.trimmed:
                self._trimmed[name, found.place] = found.trimmed
                self._untold.append(f"the secret {name} of {found.place} is used without {found.trimmed}")

    def _remember(self, name: str, value: str) -> None:
        if (name, value) not in self._given:
            self._given[name, value] = Secret(value, name)
            self._version += 1

    def __repr__(self) -> str:
        return "env"


_importing: Final[ContextVar[bool]] = ContextVar("mcpward_importing", default=False)
_UNBOUND: Final = Secret("")
_NOBODYS: Final = ServerSecrets()


def _shared(servers: Mapping[str, ServerSecrets]) -> ServerSecrets:
    """Return what code of no known server may read: no vault, no folder of one server, and no more than the others."""
    every = list(servers.values())
    folders = [one for one in every[0].folders if all(one in other.folders for other in every)] if every else []
    withheld = every[0].withheld if every else _NOTHING
    return ServerSecrets(folders=tuple(folders), environment=all(one.environment for one in every), withheld=withheld)


def _managed(managed: ManagedSecrets, name: str) -> _Found | None:
    problem = managed.problems.get(name)
    if problem is not None:
        raise SecretUnreadable(name, problem, "mend it in the secret manager")
    secret = managed.values.get(name)
    value, trimmed = ("", "") if secret is None else trim(value_of(secret))
    return _Found(value, _MANAGER, trimmed) if value else None


def _owner(owners: Mapping[str, str | None]) -> str:
    """Return whose code began the running thread: that of the outermost frame in a file of one server only."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  as in author_place
    server = ""
    while frame is not None:
        server = owners.get(frame.f_code.co_filename) or server
        frame = frame.f_back
    return server


def _imported_at() -> str:
    """Return ``file:line`` of the module that is being imported."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  as in author_place
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return str(author_place()) if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_own(name: str, secrets: ServerSecrets) -> bool:
    return name.lower().startswith(_OWN) or name in secrets.withheld.variables


def _has_password(value: str) -> bool:
    try:
        return bool(urlsplit(value).password)
    except ValueError:
        return False


env = Environment()
