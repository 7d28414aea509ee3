"""Loads what a site would serve, as its start does, and judges it; serves nothing and makes no data."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout

from mcpward.config.model import Settings
from mcpward.core.secret import Secret
from mcpward.operations.cross_checks import registries_of
from mcpward.operations.site import database_of, open_site
from mcpward.operations.sources import load_sources
from mcpward.tools.registry import Registry


async def loaded_tools(settings: Settings) -> dict[str, Registry]:
    """Run the sources of all servers and return what they offer. Output that authors print meanwhile goes to stderr.

    Raises:
        Misconfigured: with the findings of all servers.
    """
    secrets: Mapping[str, Mapping[str, Secret]] = {}
    database = database_of(settings)
    if database is None or database.exists():
        async with open_site(settings) as site:
            secrets = {name: await site.vault.load_all(name) for name in settings.servers}
    with redirect_stdout(sys.stderr):
        return registries_of(settings, load_sources(settings, secrets))
