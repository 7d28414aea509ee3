"""A list of hosts that may be called: ``api.stripe.com``, ``api.stripe.com:8443``, ``*.example.com``."""

from collections.abc import Iterable
from typing import Final

from mcpward.egress.url import Url

_ANY: Final = "*."


class HostList:
    """An entry without a port means the port of the scheme. ``*.`` stands for one label or more, not for none."""

    def __init__(self, entries: Iterable[str]) -> None:
        lowered = [entry.lower() for entry in entries]
        self._exact = frozenset(entry for entry in lowered if not entry.startswith(_ANY))
        self._suffixes = tuple(entry[1:] for entry in lowered if entry.startswith(_ANY))

    def has(self, url: Url) -> bool:
        """Return whether a URL's host and port are on the list. An empty list has every host."""
        if not self._exact and not self._suffixes:
            return True
        spelt = {url.authority, url.place}
        return bool(spelt & self._exact) or any(one.endswith(self._suffixes) for one in spelt)
