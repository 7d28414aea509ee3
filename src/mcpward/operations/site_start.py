"""A start's work on a site's data once its addresses are bound, and the facts that its operator should know then."""

from collections.abc import Mapping

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.operator import Operator
from mcpward.operations.first_credentials import FirstCredential, first_credentials
from mcpward.operations.keys import every_key
from mcpward.operations.served_urls import lost, served
from mcpward.operations.servers import held_by_server, stray_lines
from mcpward.operations.settings_act import note_settings
from mcpward.operations.site import Site, open_site


class SiteStart(Struct, frozen=True):
    """The first credentials by server; and ``remarks``, a line each: what clients or keys do not find any more."""

    credentials: Mapping[str, FirstCredential]
    remarks: tuple[str, ...]


async def prepare_start(
    settings: Settings, clock: Clock, operator: Operator, base: str, *, to_files: bool
) -> SiteStart:
    """Remember what is served from now on, make the first credentials, and put the settings on record.

    ``base`` and ``to_files`` are those of :func:`first_credentials`.

    Raises:
        Misconfigured: the data cannot be used.
        Invalid: as :func:`first_credentials`.
    """
    async with open_site(settings, clock, operator=operator) as site:
        only = next(iter(settings.servers), None) if settings.is_part else None
        before = await site.store.served.replace(served(settings), only=only)
        held = {} if settings.is_part else await held_by_server(site, clock.now(), settings.keys.max_age)
        strays = stray_lines(held.values(), list(settings.servers), list(held))
        aged = await _aged(site, settings, clock.now())
        credentials = await first_credentials(site, settings, clock, base, to_files=to_files)
        await note_settings(site, settings)
    return SiteStart(credentials, (*lost(settings, before, base), *strays, *aged))


async def note_reload(settings: Settings, clock: Clock, operator: Operator) -> None:
    """Put on record which settings and servers are in force since a reload. No credential is made.

    Raises:
        Misconfigured: the data cannot be used.
    """
    async with open_site(settings, clock, operator=operator) as site:
        only = next(iter(settings.servers), None) if settings.is_part else None
        await site.store.served.replace(served(settings), only=only)
        await note_settings(site, settings, "reloaded")


async def _aged(site: Site, settings: Settings, now: float) -> list[str]:
    """Log the keys that open nothing only because they are older than the site allows."""
    max_age_s = settings.keys.max_age
    keys = [one for one in await every_key(site) if one.is_live(now, None) and not one.is_live(now, max_age_s)]
    ids = ", ".join(f"{key.id} ({key.name})" for key in keys[:3])
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return [f"refused because they are older than keys.max_age: keys {ids}{more}"] if keys else []
