"""Rules of results: the cap of a server or a tool is within that of the site, or it would have no effect."""

from collections.abc import Iterator
from typing import Final

from mcpward.config.model import Settings
from mcpward.config.size import size_text
from mcpward.config.violations import Rule, Violation


def caps_within_the_site(settings: Settings) -> Iterator[Violation]:
    """A larger number would promise what the site's own refuses."""
    most = settings.output.max_bytes
    for name, server in settings.servers.items():
        outputs = {"output": server.output.max_bytes} | {
            f"tools.{tool}.output": one.output.max_bytes for tool, one in server.tools.items()
        }
        for place, size in outputs.items():
            if size is not None and size > most:
                key = f"servers.{name}.{place}.max_bytes"
                yield Violation(
                    (key, "output.max_bytes"),
                    f"{key} is above output.max_bytes, {size_text(most)}",
                    "lower it, or raise [output] max_bytes",
                )


OUTPUT_RULES: Final[tuple[Rule, ...]] = (caps_within_the_site,)
