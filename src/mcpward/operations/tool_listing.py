"""The offers of a site's servers, loaded as a start would load them, but not served. Runs the authors' files."""

from collections.abc import Mapping
from pathlib import Path

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.secret import Secret
from mcpward.operations.cross_checks import registries_of
from mcpward.operations.site import open_site
from mcpward.operations.sources import load_sources
from mcpward.tools.registry import Registry


async def load_registries(settings: Settings, clock: Clock) -> dict[str, Registry]:
    """Return every server's tools, resources and prompts by the server's name. Reading makes no data.

    Raises:
        Misconfigured: a source cannot be loaded, or the data cannot be used.
    """
    vault: dict[str, Mapping[str, Secret]] = {name: {} for name in settings.servers}
    if _has_data(settings):
        async with open_site(settings, clock) as site:
            vault = {name: await site.vault.load_all(name) for name in settings.servers}
    return registries_of(settings, load_sources(settings, vault))


def _has_data(settings: Settings) -> bool:
    return Path(settings.store.url.removeprefix("sqlite:///")).exists()
