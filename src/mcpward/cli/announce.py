"""What ``mcpward serve`` says once its addresses are bound: where everything is, and, once, what opens it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from mcpward import __version__
from mcpward.cli import handover, ui
from mcpward.cli.clients import CLIENTS, Entry
from mcpward.cli.clients.shown import rendered
from mcpward.cli.moved import lost, served
from mcpward.cli.operator import this_operator
from mcpward.cli.site import CLOCK
from mcpward.config.endpoint import paths_of
from mcpward.config.model import Settings
from mcpward.core.scope import Access
from mcpward.core.secret import Secret

if TYPE_CHECKING:
    from mcpward.app.serve import Announcement
    from mcpward.operations.site import Site


class _Door(Struct, frozen=True):
    """One server: where it is, who gets in, and the credential that was made for it just now.

    ``url`` is the one that stays whatever servers come and go, ``others`` are further ones. ``file`` holds ``fresh``
    where no terminal shows it. ``remark`` is what its operator should know of its credentials.
    """

    name: str
    url: str
    others: tuple[str, ...]
    modes: tuple[str, ...]
    access: str | None
    fresh: Secret | None = None
    file: Path | None = None
    remark: str = ""
    providers: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        """The mode in words."""
        return " and ".join(self.modes)

    @property
    def way(self) -> str:
        """The mode and, where no credential brings it, the class of tools that callers may use; or whose tokens."""
        if self.providers:
            return f"{self.mode}, tokens of {', '.join(self.providers)}"
        return f"{self.mode}, {self.access}" if self.access else self.mode

    @property
    def shown(self) -> tuple[str, ...]:
        """Every URL without its secret, the stable one first."""
        end = "/***" if self.mode == "unlisted" else ""
        return tuple(f"{url}{end}" for url in (self.url, *self.others))

    @property
    def whole(self) -> str:
        """The stable URL with its secret, where it has one and it is known."""
        return f"{self.url}/{self.fresh.reveal()}" if self.mode == "unlisted" and self.fresh else self.shown[0]


def announce(settings: Settings, announcement: "Announcement", *, as_json: bool) -> Callable[[], None]:
    """Make what a first start hands over; return how to tell of it, and where everything is, once the site serves.

    The addresses are bound: nothing is handed over for a start that fails.
    """
    doors, moved = asyncio.run(_prepared(settings, announcement.base))
    return lambda: _tell(settings, announcement, doors, moved, as_json=as_json)


def _tell(
    settings: Settings, announcement: "Announcement", doors: Sequence[_Door], moved: Sequence[str], *, as_json: bool
) -> None:
    metrics = f"http://{announcement.metrics}/metrics" if announcement.metrics else None
    if announcement.workers > 1 and not settings.limits.is_shared:
        several = f"each of the {announcement.workers} workers counts limits separately"
        ui.remark(f"{several}: a caller may use its own limits that many times")
    if announcement.metrics_moved:
        ui.remark(
            f"{announcement.metrics_asked} is taken, so /metrics is at {announcement.metrics}; "
            "set [site] metrics_listen to fix the address"
        )
    if as_json:
        servers = [_shape(door) for door in doors]
        ui.answer_json({"servers": servers, "metrics": metrics, "workers": announcement.workers}, indent=None)
        for line in (*moved, *(door.remark for door in doors if door.remark)):
            ui.remark(ui.safe(line))
        return
    ui.remark(f"mcpward {__version__}, {announcement.workers} worker{'s' if announcement.workers > 1 else ''}")
    rows = [
        (door.name if at == 0 else "", url, door.way if at == 0 else "the same server")
        for door in doors
        for at, url in enumerate(door.shown)
    ]
    if metrics:
        rows.append(("metrics", metrics, "for Prometheus"))
    for line in ui.aligned(rows):
        ui.remark(f"  {line}")
    for line in (*moved, *(door.remark for door in doors if door.remark)):
        ui.remark(ui.safe(line))
    for door in doors:
        _hand_over(door)


def _shape(door: _Door) -> dict[str, Any]:
    mode = list(door.modes) if len(door.modes) > 1 else door.mode
    shape: dict[str, Any] = {"name": door.name, "mode": mode, "access": door.access, "url": door.shown[0]}
    shape["urls"] = list(door.shown)
    shape |= {"providers": list(door.providers)} if door.providers else {}
    if door.fresh is None:
        return shape
    what = "url" if door.mode == "unlisted" else "key"
    if door.file is not None:
        return shape | {f"{what}_file": str(door.file)}
    return shape | ({"url": door.whole} if what == "url" else {"key": door.fresh.reveal()})


def _hand_over(door: _Door) -> None:
    if door.fresh is None:
        return
    is_url = door.mode == "unlisted"
    what = f"the secret URL of {door.name}" if is_url else f"a key for {door.name}, reading and writing, every scope"
    more = "mcpward url rotate creates another" if is_url else "mcpward key create creates more"
    if door.file is not None:
        ui.remark(f"{what}; there is no terminal to show it, so it is in this file: read it, then delete it ({more}):")
        ui.answer(ui.safe(door.file))
        return
    ui.remark(f"{what}; it is shown only once ({more}):" if is_url else f"{what}; shown only once ({more}):")
    ui.answer(door.whole if is_url else door.fresh.reveal())
    if is_url:
        return
    entry = Entry(server=door.name, url=door.url, needs_key=True, key=door.fresh)
    # The block repeats the key for a person to copy; where stderr is kept as a log, it does not.
    shown = entry if sys.stderr.isatty() else replace(entry, key=None)
    ui.remark("for Claude Desktop (mcpward connect has more clients):")
    ui.remark(rendered(CLIENTS["claude-desktop"], shown))


async def _prepared(settings: Settings, base: str) -> tuple[list[_Door], list[str]]:
    """Describe each server; make a key or a secret URL for those that nobody could enter otherwise.

    Also say what clients of the last start do not find any more.
    """
    from mcpward.operations.settings_act import note_settings
    from mcpward.operations.site import open_site

    doors = [
        _Door(
            name=name,
            url=base + paths_of(settings, name)[0],
            others=tuple(base + path for path in paths_of(settings, name)[1:]),
            modes=(one.mode,) if isinstance(one.mode, str) else one.mode,
            access=None if one.modes.isdisjoint(("public", "unlisted")) else one.keyless_access.label,
            providers=_providers(settings, name),
        )
        for name, one in settings.servers.items()
    ]
    from mcpward.operations.servers import held_by_server, stray_lines

    async with open_site(settings, CLOCK, operator=this_operator()) as site:
        only = next(iter(settings.servers), None) if settings.is_part else None
        before = await site.store.served.replace(served(settings), only=only)
        # Judged once: a first start makes a credential for each of its servers, and no later one makes any.
        has_keys = bool(await site.store.keys.list())
        has_urls = await site.store.urls.are_any()
        held = {} if settings.is_part else await held_by_server(site, CLOCK.now(), settings.keys.max_age)
        strays = stray_lines(held.values(), list(settings.servers), list(held))
        aged = await _aged(site, settings)
        ready = [await _with_credential(site, settings, door, has_keys, has_urls) for door in doors]
        await note_settings(site, settings)
    return ready, [*lost(settings, before, base), *strays, *aged]


async def _aged(site: "Site", settings: Settings) -> list[str]:
    """Report keys that are refused only because they are older than the site allows."""
    now, max_age_s = CLOCK.now(), settings.keys.max_age
    keys = [one for one in await site.store.keys.list() if one.is_live(now, None) and not one.is_live(now, max_age_s)]
    ids = ", ".join(f"{key.id} ({key.name})" for key in keys[:3])
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return [f"refused because they are older than keys.max_age: keys {ids}{more}"] if keys else []


def _providers(settings: Settings, server: str) -> tuple[str, ...]:
    """Return the hosts of the providers whose tokens a server takes."""
    one = settings.servers[server]
    if not one.has_tokens:
        return ()
    named = [settings.issuers[name] for name in one.oauth.issuers]
    urls = [one.oauth.issuer or one.oauth.metadata or "", *(issuer.issuer or issuer.metadata for issuer in named)]
    return tuple(urlsplit(url).netloc for url in urls if url)


async def _with_credential(site: "Site", settings: Settings, door: _Door, has_keys: bool, has_urls: bool) -> _Door:
    """Return the door with its first credential, or with a word on those that it has or has not.

    A site that ever had a key makes no other by itself, also not for a new or a renamed server: whoever may change the
    configuration, or a start that went wrong, would have one written where nobody expects it. Likewise secret URLs.
    """
    data = settings.site.data
    if door.mode == "api-key":
        return await _noted_key(site, settings, door) if has_keys else await _with_first_key(site, data, door)
    if door.mode == "unlisted":
        return await _noted_url(site, data, door) if has_urls else await _with_first_url(site, data, door)
    return door


async def _with_first_key(site: "Site", data: Path, door: _Door) -> _Door:
    from mcpward.identity.keys.api_key import issue

    rights: dict[str, Any] = {"servers": [door.name], "scopes": ["*"], "access": Access.WRITE}
    secret, key = issue(site.pepper_keys, CLOCK, name="first key", **rights)
    file = _put(handover.file_for(data, "key", door.name), secret)
    await _kept(site.store.keys.add(key), file)
    return replace(door, fresh=secret, file=file)


async def _with_first_url(site: "Site", data: Path, door: _Door) -> _Door:
    from mcpward.identity.keys.url_cache import UrlCache

    secret, url = UrlCache(site.pepper_urls, CLOCK).issue(door.name)
    file = _put(handover.file_for(data, "url", door.name), Secret(f"{door.url}/{secret.reveal()}", "first URL"))
    await _kept(site.store.urls.add(url), file)
    return replace(door, fresh=secret, file=file)


async def _noted_key(site: "Site", settings: Settings, door: _Door) -> _Door:
    from mcpward.identity.keys.api_key import parse

    now = CLOCK.now()
    max_age_s = settings.keys.max_age
    live = [record for record in await site.store.keys.list() if record.is_live(now, max_age_s)]
    if not any({door.name, "*"}.intersection(record.servers) for record in live):
        return replace(
            door, remark=f"{door.name} has no key: create one with mcpward key create --server {door.name} --name NAME"
        )
    file = handover.file_for(settings.site.data, "key", door.name)
    found = handover.left(file)
    if found is None:
        return door
    parsed = parse(found)
    is_live = parsed is not None and any(record.id == parsed.id for record in live)
    return replace(door, remark=_of_file(file, f"the first key of {door.name}", is_live=is_live))


async def _noted_url(site: "Site", data: Path, door: _Door) -> _Door:
    now = CLOCK.now()
    live = [record for record in await site.store.urls.list(door.name) if record.is_live(now)]
    if not live:
        return replace(
            door, remark=f"{door.name} has no secret URL: create one with mcpward url rotate --server {door.name}"
        )
    file = handover.file_for(data, "url", door.name)
    found = handover.left(file)
    if found is None:
        return door
    secret = found.rpartition("/")[2]
    is_live = any(site.pepper_urls.matches(secret, record.digest) for record in live)
    return replace(door, remark=_of_file(file, f"the first secret URL of {door.name}", is_live=is_live))


def _of_file(file: Path, what: str, *, is_live: bool) -> str:
    if is_live:
        return f"{what} is still in {file}: delete the file once you have kept it elsewhere"
    file.unlink(missing_ok=True)
    return f"{what} has ended: {file} is deleted"


def _put(file: Path, text: Secret) -> Path | None:
    """Write a credential to a file where no terminal shows it.

    Raises:
        CommandEnded: it cannot be written, so that nothing is made that nobody could read.
    """
    if handover.is_terminal():
        return None
    try:
        handover.put(file, text)
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror}"
        raise ui.CommandEnded(
            ui.Exit.USAGE, what, "start once in a terminal, or create a key: mcpward key create --name NAME"
        ) from None
    return file


async def _kept(adding: Awaitable[None], file: Path | None) -> None:
    """Keep the record of a credential; where that fails, its file goes too."""
    try:
        await adding
    except BaseException:
        _withdraw(file)
        raise


def _withdraw(file: Path | None) -> None:
    if file is not None:
        file.unlink(missing_ok=True)
