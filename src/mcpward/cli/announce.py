"""What ``mcpward serve`` says once its addresses are bound: where everything is, and, once, what opens it."""

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from mcpward import __version__
from mcpward.cli import ui
from mcpward.cli.clients import CLIENTS, Entry, rendered
from mcpward.cli.moved import lost, served
from mcpward.cli.site import CLOCK
from mcpward.config.endpoint import paths_of
from mcpward.config.model import Settings
from mcpward.core.scope import Access
from mcpward.core.secret import Secret

if TYPE_CHECKING:
    from mcpward.app.serve import Announcement
    from mcpward.app.site import Site


class _Door(Struct, frozen=True):
    """One server: where it is, who gets in, and the credential that was made for it just now.

    ``url`` is the one that stays whatever servers come and go, ``others`` are further ones.
    """

    name: str
    url: str
    others: tuple[str, ...]
    modes: tuple[str, ...]
    access: str | None
    fresh: Secret | None = None
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


def announce(settings: Settings, announcement: "Announcement", *, as_json: bool) -> None:
    """Tell where everything is. The addresses are bound: nothing is handed over for a start that fails."""
    doors, moved = asyncio.run(_prepared(settings, announcement.base))
    metrics = f"http://{announcement.metrics}/metrics" if announcement.metrics else None
    if announcement.workers > 1 and not settings.limits.is_shared:
        several = f"each of the {announcement.workers} workers counts limits by itself"
        ui.remark(f"{several}: a caller may reach its own limits as many times")
    if as_json:
        servers = [_shape(door) for door in doors]
        ui.answer_json({"servers": servers, "metrics": metrics, "workers": announcement.workers}, indent=None)
        for line in moved:
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
    for line in moved:
        ui.remark(ui.safe(line))
    for door in doors:
        _hand_over(door)


def _shape(door: _Door) -> dict[str, Any]:
    mode = list(door.modes) if len(door.modes) > 1 else door.mode
    shape: dict[str, Any] = {"name": door.name, "mode": mode, "access": door.access, "url": door.whole}
    shape["urls"] = list(door.shown)
    shape |= {"providers": list(door.providers)} if door.providers else {}
    return shape | ({"key": door.fresh.reveal()} if door.fresh and door.mode == "api-key" else {})


def _hand_over(door: _Door) -> None:
    if door.fresh is None:
        return
    if door.mode == "unlisted":
        ui.remark(f"the secret URL of {door.name}; it is shown this once (mcpward url rotate makes another):")
        ui.answer(door.whole)
        return
    ui.remark(
        f"a key for {door.name}, reading and writing, every scope; shown this once (mcpward key create makes more):"
    )
    ui.answer(door.fresh.reveal())
    entry = Entry(server=door.name, url=door.url, needs_key=True, key=door.fresh, is_windows=sys.platform == "win32")
    # The block repeats the key for a person to copy; where stderr is kept as a log, it does not.
    shown = entry if sys.stderr.isatty() else replace(entry, key=None)
    ui.remark("for Claude Desktop (mcpward connect has more clients):")
    ui.remark(rendered(CLIENTS["claude-desktop"], shown))


async def _prepared(settings: Settings, base: str) -> tuple[list[_Door], list[str]]:
    """Describe each server; make a key or a secret URL for those that nobody could enter otherwise.

    Also say what clients of the last start do not find any more.
    """
    from mcpward.app.site import open_site

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
    async with open_site(settings, CLOCK) as site:
        only = next(iter(settings.servers), None) if settings.is_part else None
        before = await site.store.served.replace(served(settings), only=only)
        fresh = [replace(door, fresh=await _first_credential(site, door)) for door in doors]
    return fresh, list(lost(settings, before, base))


def _providers(settings: Settings, server: str) -> tuple[str, ...]:
    """Give the hosts of the providers whose tokens a server takes."""
    one = settings.servers[server]
    if not one.has_tokens:
        return ()
    urls = [one.oauth.metadata or "", *(settings.issuers[name].metadata for name in one.oauth.issuers)]
    return tuple(urlsplit(url).netloc for url in urls if url)


async def _first_credential(site: "Site", door: _Door) -> Secret | None:
    from mcpward.identity.api_key import issue
    from mcpward.identity.unlisted import UrlBook

    now = CLOCK.now()
    if door.mode == "api-key":
        live: Iterator[Any] = (record for record in await site.store.keys.list() if record.is_live(now))
        if any({door.name, "*"}.intersection(record.servers) for record in live):
            return None
        rights: dict[str, Any] = {"servers": [door.name], "scopes": ["*"], "access": Access.WRITE}
        secret, key = issue(site.pepper_keys, CLOCK, name="first key", **rights)
        await site.store.keys.add(key)
        return secret
    if door.mode == "unlisted" and not any(record.is_live(now) for record in await site.store.urls.list(door.name)):
        secret, url = UrlBook(site.pepper_urls, CLOCK).issue(door.name)
        await site.store.urls.add(url)
        return secret
    return None
