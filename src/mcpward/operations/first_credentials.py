"""The first credential of each server, made by the first start of a site (attack 135): a key, or a secret URL.

A site that ever had a key makes no other by itself, also not for a new or a renamed server: otherwise a person who may
change the configuration, or a failed start, could cause one to be written unexpectedly. Likewise secret URLs.
"""

from collections.abc import Awaitable
from pathlib import Path

from msgspec import Struct

from mcpward.config.endpoint import paths_of
from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.identity.keys.api_key import find_id, issue
from mcpward.identity.keys.records import EVERY_SERVER
from mcpward.operations import credential_file
from mcpward.operations.denied import Invalid
from mcpward.operations.keys import every_key
from mcpward.operations.site import Site
from mcpward.operations.urls import live_urls, make_url


class FirstCredential(Struct, frozen=True):
    """The credentials that a start hands over for one server, and facts about those that the server has.

    ``secret`` was made just now: a key, or the secret of a URL. ``file`` holds it if no terminal shows it.
    """

    secret: Secret | None = None
    file: Path | None = None
    remark: str = ""


async def first_credentials(
    site: Site, settings: Settings, clock: Clock, base: str, *, to_files: bool
) -> dict[str, FirstCredential]:
    """Return the credentials of each server, by its name. ``base`` is what clients prefix to a path.

    With ``to_files``, a new one is written to a file of mode 0600, and none is made if that is not possible.

    Raises:
        Invalid: such a file cannot be written.
    """
    # Judged once: a first start makes a credential for each of its servers, and no later one makes any.
    has_keys, has_urls = bool(await every_key(site)), await site.store.urls.are_any()
    maker = _Maker(site, settings, clock, base, to_files=to_files)
    found = {}
    for name, server in settings.servers.items():
        if server.modes == {"api-key"}:
            found[name] = await (maker.known_key(name) if has_keys else maker.first_key(name))
        elif server.modes == {"unlisted"}:
            found[name] = await (maker.known_url(name) if has_urls else maker.first_url(name))
        else:
            found[name] = FirstCredential()
    return found


class _Maker:
    def __init__(self, site: Site, settings: Settings, clock: Clock, base: str, *, to_files: bool) -> None:
        self._site = site
        self._settings = settings
        self._clock = clock
        self._base = base
        self._to_files = to_files

    async def first_key(self, server: str) -> FirstCredential:
        secret, key = issue(
            self._site.pepper_keys,
            self._clock,
            name="first key",
            servers=[server],
            scopes=["*"],
            access=Access.WRITE,
        )
        file = self._put(self._file("key", server), secret)
        await _kept(self._site.store.keys.add(key), file)
        return FirstCredential(secret, file)

    async def first_url(self, server: str) -> FirstCredential:
        secret, record = make_url(self._site, self._clock, server)
        url = f"{self._base}{paths_of(self._settings, server)[0]}/{secret.reveal()}"
        file = self._put(self._file("url", server), Secret(url, "first URL"))
        await _kept(self._site.store.urls.add(record), file)
        return FirstCredential(secret, file)

    async def known_key(self, server: str) -> FirstCredential:
        now, max_age_s = self._clock.now(), self._settings.keys.max_age
        live = [record for record in await every_key(self._site) if record.is_live(now, max_age_s)]
        if not any({server, EVERY_SERVER}.intersection(record.servers) for record in live):
            return FirstCredential(
                remark=f"{server} has no key: create one with mcpward key create --server {server} --name NAME"
            )
        file = self._file("key", server)
        found = credential_file.left(file)
        if found is None:
            return FirstCredential()
        key_id = find_id(found)
        is_live = key_id is not None and any(record.id == key_id for record in live)
        return FirstCredential(remark=_of_file(file, f"the first key of {server}", is_live=is_live))

    async def known_url(self, server: str) -> FirstCredential:
        live = await live_urls(self._site, server, self._clock.now())
        if not live:
            return FirstCredential(
                remark=f"{server} has no secret URL: create one with mcpward url rotate --server {server}"
            )
        file = self._file("url", server)
        found = credential_file.left(file)
        if found is None:
            return FirstCredential()
        secret = found.rpartition("/")[2]
        is_live = any(self._site.pepper_urls.matches(secret, record.digest) for record in live)
        return FirstCredential(remark=_of_file(file, f"the first secret URL of {server}", is_live=is_live))

    def _file(self, what: str, server: str) -> Path:
        return credential_file.file_for(self._settings.site.data, what, server)

    def _put(self, file: Path, text: Secret) -> Path | None:
        if not self._to_files:
            return None
        try:
            credential_file.put(file, text)
        except OSError as error:
            what = f"{file} cannot be written: {error.strerror}"
            raise Invalid(what, "start once in a terminal, or create a key: mcpward key create --name NAME") from None
        return file


def _of_file(file: Path, what: str, *, is_live: bool) -> str:
    if is_live:
        return f"{what} is still in {file}: delete the file once you have kept it elsewhere"
    file.unlink(missing_ok=True)
    return f"{what} has ended: {file} is deleted"


async def _kept(adding: Awaitable[None], file: Path | None) -> None:
    """Keep the record of a credential; if that fails, its file is removed too."""
    try:
        await adding
    except BaseException:
        _withdraw(file)
        raise


def _withdraw(file: Path | None) -> None:
    if file is not None:
        file.unlink(missing_ok=True)
