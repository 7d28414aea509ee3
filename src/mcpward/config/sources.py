"""Whether the files that servers are made of are there. Their content is for the tools room, which runs them."""

from pathlib import Path

from mcpward.config.load import Loaded
from mcpward.core.errors import Finding


def missing_sources(loaded: Loaded) -> list[Finding]:
    """Name every source that is a file's path and leads to none."""
    findings: list[Finding] = []
    for name, server in loaded.settings.servers.items():
        place = server.source.rpartition(":")[0] if ".py:" in server.source else server.source
        if (place.endswith(".py") or "/" in place) and not Path(place).is_file():
            key = f"servers.{name}.source"
            origin = loaded.origins.get(key)
            where = origin.where if origin else key
            findings.append(Finding(f"{key}: there is no file {place}", where, "name a Python file, or module:object"))
    return findings
