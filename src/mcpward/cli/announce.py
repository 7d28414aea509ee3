"""The announcement of ``mcpward serve`` once its addresses are bound: all URLs, and, once, the credentials."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from mcpward import __version__
from mcpward.cli import ui
from mcpward.cli.clients import CLIENTS, Entry
from mcpward.cli.clients.shown import rendered
from mcpward.cli.operator import this_operator
from mcpward.cli.site import CLOCK
from mcpward.config.endpoint import paths_of
from mcpward.config.model import Settings
from mcpward.core.secret import Secret

if TYPE_CHECKING:
    from mcpward.app.serve import Announcement
    from mcpward.operations.first_credentials import FirstCredential


class _Listing(Struct, frozen=True):
    """One server: its URLs, its callers, and the credential that was made for it just now.

    ``url`` is the one that stays when servers are added or removed, ``others`` are further ones. ``file`` holds
    ``fresh`` if no terminal shows it. ``remark`` is advice for its operator on its credentials.
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
        """The mode and, if no credential brings it, the class of tools callers may use; or the provider."""
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
        """The stable URL with its secret, if it has one and it is known."""
        return f"{self.url}/{self.fresh.reveal()}" if self.mode == "unlisted" and self.fresh else self.shown[0]


def announce(settings: Settings, announcement: "Announcement", *, as_json: bool) -> Callable[[], None]:
    """Make the first credentials; return the function that prints them, and all URLs, once the site serves.

    The addresses are bound: no credential is made for a start that fails.
    """
    listings, moved = asyncio.run(_prepared(settings, announcement.base))
    return lambda: _tell(settings, announcement, listings, moved, as_json=as_json)


def _tell(
    settings: Settings,
    announcement: "Announcement",
    listings: Sequence[_Listing],
    moved: Sequence[str],
    *,
    as_json: bool,
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
        servers = [_shape(listing) for listing in listings]
        ui.answer_json({"servers": servers, "metrics": metrics, "workers": announcement.workers}, indent=None)
        for line in (*moved, *(listing.remark for listing in listings if listing.remark)):
            ui.remark(ui.safe(line))
        return
    ui.remark(f"mcpward {__version__}, {announcement.workers} worker{'s' if announcement.workers > 1 else ''}")
    rows = [
        (listing.name if at == 0 else "", url, listing.way if at == 0 else "the same server")
        for listing in listings
        for at, url in enumerate(listing.shown)
    ]
    if metrics:
        rows.append(("metrics", metrics, "for Prometheus"))
    for line in ui.aligned(rows):
        ui.remark(f"  {line}")
    for line in (*moved, *(listing.remark for listing in listings if listing.remark)):
        ui.remark(ui.safe(line))
    for listing in listings:
        _hand_over(listing)


def _shape(listing: _Listing) -> dict[str, Any]:
    mode = list(listing.modes) if len(listing.modes) > 1 else listing.mode
    shape: dict[str, Any] = {"name": listing.name, "mode": mode, "access": listing.access, "url": listing.shown[0]}
    shape["urls"] = list(listing.shown)
    shape |= {"providers": list(listing.providers)} if listing.providers else {}
    if listing.fresh is None:
        return shape
    what = "url" if listing.mode == "unlisted" else "key"
    if listing.file is not None:
        return shape | {f"{what}_file": str(listing.file)}
    return shape | ({"url": listing.whole} if what == "url" else {"key": listing.fresh.reveal()})


def _hand_over(listing: _Listing) -> None:
    if listing.fresh is None:
        return
    is_url = listing.mode == "unlisted"
    what = (
        f"the secret URL of {listing.name}" if is_url else f"a key for {listing.name}, reading and writing, every scope"
    )
    more = "mcpward url rotate creates another" if is_url else "mcpward key create creates more"
    if listing.file is not None:
        ui.remark(f"{what}; there is no terminal to show it, so it is in this file: read it, then delete it ({more}):")
        ui.answer(ui.safe(listing.file))
        return
    ui.remark(f"{what}; it is shown only once ({more}):" if is_url else f"{what}; shown only once ({more}):")
    ui.answer(listing.whole if is_url else listing.fresh.reveal())
    if is_url:
        return
    entry = Entry(server=listing.name, url=listing.url, needs_key=True, key=listing.fresh)
    # The block repeats the key for a person to copy; if stderr is kept as a log, it does not.
    shown = entry if sys.stderr.isatty() else replace(entry, key=None)
    ui.remark("for Claude Desktop (mcpward connect has more clients):")
    ui.remark(rendered(CLIENTS["claude-desktop"], shown))


async def _prepared(settings: Settings, base: str) -> tuple[list[_Listing], Sequence[str]]:
    """Describe each server, with its first credential; and report URLs of the last start that are gone."""
    from mcpward.operations.site_start import prepare_start

    start = await prepare_start(settings, CLOCK, this_operator(), base, to_files=not _is_terminal())
    return [_listing(settings, name, base, start.credentials[name]) for name in settings.servers], start.remarks


def _listing(settings: Settings, name: str, base: str, credential: "FirstCredential") -> _Listing:
    server, (path, *others) = settings.servers[name], paths_of(settings, name)
    return _Listing(
        name=name,
        url=base + path,
        others=tuple(base + other for other in others),
        modes=(server.mode,) if isinstance(server.mode, str) else server.mode,
        access=None if server.modes.isdisjoint(("public", "unlisted")) else server.keyless_access.label,
        fresh=credential.secret,
        file=credential.file,
        remark=credential.remark,
        providers=_providers(settings, name),
    )


def _providers(settings: Settings, server: str) -> tuple[str, ...]:
    """Return the hosts of the providers whose tokens a server takes."""
    one = settings.servers[server]
    if not one.has_tokens:
        return ()
    named = [settings.issuers[name] for name in one.oauth.issuers]
    urls = [one.oauth.issuer or one.oauth.metadata or "", *(issuer.issuer or issuer.metadata for issuer in named)]
    return tuple(urlsplit(url).netloc for url in urls if url)


def _is_terminal() -> bool:
    """Return whether a person looks at stdout."""
    return sys.stdout is not None and sys.stdout.isatty()
