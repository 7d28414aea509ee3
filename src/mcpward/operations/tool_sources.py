"""What the servers of a site offer, loaded as a start loads it and made ready to be served."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.secret import Secret
from mcpward.operations.asked_secrets import require_secrets
from mcpward.operations.cross_checks import require_defined
from mcpward.operations.descriptions import refused_descriptions
from mcpward.operations.secret_manager import ManagedByServer, read_manager
from mcpward.operations.site import has_data, open_site
from mcpward.operations.sources import load_sources
from mcpward.sdk.server import Server
from mcpward.tools.registry import Defaults, Registry


def tool_sources_of(
    settings: Settings, authors: Mapping[str, Server], *, needs_secrets: bool = True
) -> dict[str, Registry]:
    """Make ready what the servers offer, with what the operator says of it.

    Without ``needs_secrets``, a secret that a function would miss is no reason to refuse: no tool will run.

    Raises:
        Misconfigured: with the findings of all servers, among them those of
            :func:`~mcpward.operations.cross_checks.require_defined`, or
            :func:`~mcpward.operations.asked_secrets.require_secrets`.
    """
    sources: dict[str, Registry] = {}
    findings: list[Finding] = []
    for name, author in authors.items():
        server = settings.servers[name]
        try:
            defaults = Defaults(
                server.limits.deadline_s,
                server.unknown_arguments,
                server.tools,
                server.output,
                server.bounds,
                is_taint_on=server.taint is not None,
            )
            sources[name] = Registry(name, author, defaults)
        except Misconfigured as wrong:
            findings += wrong.findings
    if findings:
        raise Misconfigured(settings.placed(findings))
    require_defined(settings, sources)
    if refused := refused_descriptions(settings, sources):
        raise Misconfigured(settings.placed(refused))
    if needs_secrets:
        require_secrets(settings, sources)
    return sources


async def load_tool_sources(
    settings: Settings, clock: Clock, *, needs_secrets: bool = False, managed: ManagedByServer | None = None
) -> dict[str, Registry]:
    """Run the sources of all servers and return what they offer, for a command. Nothing is served. ``managed`` are the
    secrets of an external manager, if they were read already.

    What authors print goes to stderr: stdout is the command's own. Data are not created if there are none.

    Raises:
        Misconfigured: with the findings of all servers, or the data cannot be used.
    """
    vault: Mapping[str, Mapping[str, Secret]] = {}
    if has_data(settings):
        async with open_site(settings, clock) as site:
            vault = {name: await site.vault.load_all(name) for name in settings.servers}
    managed = await read_manager(settings, clock) if managed is None else managed
    with redirect_stdout(sys.stderr):
        return tool_sources_of(settings, load_sources(settings, vault, managed), needs_secrets=needs_secrets)
