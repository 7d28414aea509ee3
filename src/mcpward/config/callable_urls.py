"""URLs of the settings that mcpward may call: http and private addresses need the operator's word."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from mcpward.config.model import Settings
from mcpward.config.violations import Violation


def uncallable(settings: Settings, key: str, url: str) -> Iterator[Violation]:
    """Return what is wrong with a URL at a key: http, or a private address, whose network ``egress.allow`` lacks."""
    allow = settings.egress.allow
    parts = urlsplit(url)
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        address = None
    is_allowed = address is not None and any(address in network for network in allow)
    if address is not None and not address.is_global and not is_allowed:
        what = f"{key}: {address} is not a public address, and egress.allow does not have its network"
        yield Violation((key, "egress.allow"), what, f'set [egress] allow = ["{address}/{address.max_prefixlen}"]')
    elif parts.scheme == "http" and not (is_allowed if address is not None else allow):
        what = f"{key}: http is only for networks in egress.allow"
        yield Violation((key, "egress.allow"), what, "use https, or name the host's network in [egress] allow")
