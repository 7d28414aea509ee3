"""Which Host values the site answers for: what the operator wrote, and what the listen address itself implies."""

from urllib.parse import urlsplit

from mcpward.config.address import Address
from mcpward.config.model import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}


def allowed_hosts(settings: Settings, bound: Address) -> frozenset[bytes]:
    """Give every Host value, lower-case, with its port where it has one.

    ``bound`` is the address really bound (its port is never 0). A loopback bind answers to the loopback names, a bind
    to one address to that address, and a wildcard bind to nothing by itself: only ``public_url``, ``allowed_hosts`` and
    the servers' own ``hosts`` add to it.
    """
    hosts = _implied(bound)
    if settings.site.public_url:
        hosts |= _of_url(settings.site.public_url)
    named = [*settings.site.allowed_hosts]
    for server in settings.servers.values():
        named += server.hosts
    for name in named:
        hosts.add(name.lower())
        if ":" not in name.rpartition("]")[2]:
            hosts.add(f"{name.lower()}:{bound.port}")
    return frozenset(host.encode("ascii") for host in hosts)


def _implied(bound: Address) -> set[str]:
    if bound.is_loopback:
        names = {"127.0.0.1", "localhost", "[::1]", _bracketed(bound.host)}
    elif bound.is_wildcard:
        return set()
    else:
        names = {_bracketed(bound.host)}
    hosts = {f"{name}:{bound.port}" for name in names}
    if bound.port in _DEFAULT_PORTS.values():
        hosts |= names
    return hosts


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host.lower()


def _of_url(url: str) -> set[str]:
    parts = urlsplit(url)
    host = _bracketed(parts.hostname or "")
    default = _DEFAULT_PORTS.get(parts.scheme, 0)
    port = parts.port or default
    return {f"{host}:{port}", host} if port == default else {f"{host}:{port}"}
