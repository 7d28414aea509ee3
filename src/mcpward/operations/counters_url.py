"""The URL of the counters that all processes of a site share, and the password in it."""

import os
from typing import Final

from mcpward.config.counters import ENVIRONMENT, MEMORY, CountersUrl, read_counters_url
from mcpward.config.limit_rules import CLEAR, CLEAR_HINT
from mcpward.config.model import Settings
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.secret import Secret

_KEY: Final = "limits.counters"


def counters_url(settings: Settings) -> Secret | None:
    """Return the URL of Redis; None if counters live in memory.

    Raises:
        Misconfigured: the variable that the settings name is not set, or holds no such URL. Its value is never shown.
    """
    text = settings.limits.counters
    if text == MEMORY:
        return None
    if not text.startswith(ENVIRONMENT):
        return Secret(text, _KEY)
    name = text.removeprefix(ENVIRONMENT)
    value = os.environ.get(name, "").strip()
    if not value:
        what, hint = f"{_KEY}: the variable {name} is not set", f"set {name}=redis://host:6379/0"
        raise Misconfigured([Finding(what, settings.place(_KEY), hint)])
    try:
        host = read_counters_url(value).in_clear
    except ValueError as wrong:
        raise Misconfigured([Finding(f"{_KEY}: {name}: {wrong}", settings.place(_KEY))]) from None
    if host is not None:
        raise Misconfigured([Finding(CLEAR.format(host=host), settings.place(_KEY), CLEAR_HINT)])
    return Secret(value, _KEY)


def counters_secrets(settings: Settings) -> list[Secret]:
    """Return the password in the URL, as it is and as it is written there; nothing if there is none."""
    url = counters_url(settings)
    read: CountersUrl | None = read_counters_url(url.reveal()) if url is not None else None
    if url is None or read is None or not read.password:
        return []
    written = url.reveal().partition("@")[0].rpartition(":")[2]
    return [read.password, Secret(written, _KEY)]
