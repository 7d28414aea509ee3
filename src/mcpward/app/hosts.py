"""The site's own Host and Origin values: those that the operator wrote, and those that the listen address implies."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from mcpward.config.address import DEFAULT_PORTS, Address, origin_of
from mcpward.config.model import Settings


def allowed_hosts(settings: Settings, bound: Address) -> frozenset[bytes]:
    """Return every Host value, lower-case, with its port if it has one.

    ``bound`` is the address really bound (its port is never 0). A loopback bind answers to the loopback names, a bind
    to one address to that address, and a wildcard bind to nothing by itself. Only ``public_url``, ``allowed_hosts`` and
    the servers' own ``hosts`` add to it.
    """
    hosts = {f"{name}:{bound.port}" for name in _implied(bound)}
    if bound.port in DEFAULT_PORTS.values():
        hosts |= _implied(bound)
    if settings.site.public_url:
        hosts |= _of_url(settings.site.public_url)
    hosts.update(spellings(_named(settings), settings, bound.port))
    return frozenset(host.encode("ascii") for host in hosts)


def spellings(names: Iterable[str], settings: Settings, port: int) -> tuple[str, ...]:
    """Return the Host values of names that may have a port: a client leaves out the one that its scheme implies.

    A name without a port stands for the port that is listened on as well: proxies differ in what they pass on.
    """
    defaults = [DEFAULT_PORTS[scheme] for scheme in sorted(_schemes(settings))]
    spelt: list[str] = []
    for name in map(_bracketed, names):
        host, _, own = name.rpartition(":")
        if own.isdigit():
            spelt += [name, host] if int(own) in defaults else [name]
        else:
            spelt += [name, *(f"{name}:{known}" for known in (port, *defaults))]
    return tuple(dict.fromkeys(spelt))


def own_origins(settings: Settings, bound: Address) -> frozenset[bytes]:
    """Return the origins of the site itself, lower-case: a request from one of them is not from another site."""
    spoken = "https" if settings.site.tls_cert else "http"
    origins = {_origin(spoken, f"{name}:{bound.port}") for name in _implied(bound)}
    if settings.site.public_url:
        parts = urlsplit(settings.site.public_url)
        origins.add(_origin(parts.scheme, parts.netloc))
    for scheme in _schemes(settings):
        origins |= {_origin(scheme, name) for name in spellings(_named(settings), settings, bound.port)}
    return frozenset(origin.encode("ascii") for origin in origins)


def _named(settings: Settings) -> list[str]:
    names = [*settings.site.allowed_hosts]
    for server in settings.servers.values():
        names += server.hosts
    return names


def _schemes(settings: Settings) -> set[str]:
    """Return the schemes that clients use for the names that the operator wrote."""
    site = settings.site
    if site.tls_cert or site.behind_tls_proxy:
        return {"https"}
    return {"http", urlsplit(site.public_url or "http:").scheme}


def _implied(bound: Address) -> set[str]:
    if bound.is_loopback:
        return {"127.0.0.1", "localhost", "[::1]", _bracketed(bound.host)}
    return set() if bound.is_wildcard else {_bracketed(bound.host)}


def _bracketed(host: str) -> str:
    """Return a host, with or without a port, in lower case; a bare IPv6 address gets its brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host.lower()


def _of_url(url: str) -> set[str]:
    parts = urlsplit(url)
    host = _bracketed(parts.hostname or "")
    default = DEFAULT_PORTS.get(parts.scheme, 0)
    port = parts.port or default
    return {f"{host}:{port}", host} if port == default else {f"{host}:{port}"}


def _origin(scheme: str, host: str) -> str:
    parts = urlsplit(f"{scheme}://{host}")
    return origin_of(scheme, parts.hostname or "", parts.port)
