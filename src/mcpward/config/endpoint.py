"""The URLs that clients call the servers of a site by. Derived only from settings, never from a request's Host header.

Every server has a URL that no other server changes, ``/<name>/mcp``; one of them has ``/mcp`` too. Both are names of
the same server. A path in ``site.public_url`` stands before both: a proxy may take it away, or pass it on.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from mcpward.config.address import Address, is_loopback
from mcpward.config.model import Settings

_METADATA: Final = "/.well-known/oauth-protected-resource"
_PROVIDER: Final = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
SHORT: Final = "/mcp"


class ServedPath(Struct, frozen=True):
    """One path as it may arrive, and the server's URL that it stands for ("" for the stable one).

    ``metadata`` is the path of that URL's protected resource metadata, spelled likewise; "" without OAuth.
    ``provider`` are the paths of the metadata of the server's provider; none without OAuth.
    """

    server: str
    path: str
    url: str = ""
    metadata: str = ""
    provider: tuple[str, ...] = ()


def origin_of(settings: Settings, bound: Address | None = None) -> str:
    """Return scheme and host of the site, as clients see it, without a trailing slash; with the path of ``public_url``.

    ``bound`` is the address that was really bound, if the system chose the port.
    """
    site = settings.site
    if site.public_url:
        return site.public_url
    scheme = "https" if site.tls_cert else "http"
    address = bound or site.address
    return f"{scheme}://127.0.0.1:{address.port}" if address.is_wildcard else f"{scheme}://{address}"


def prefix_of(settings: Settings) -> str:
    """Return the path of ``public_url``, which clients see before every path of the site; mostly ""."""
    return urlsplit(settings.site.public_url or "").path


def page_base(settings: Settings, bound: Address | None = None) -> str:
    """Return the address of approval pages, before the link; "" if people are sent to no page of the site.

    A page decides, so it is read over TLS; without it only on this machine.
    """
    origin = origin_of(settings, bound)
    parts = urlsplit(origin)
    return f"{origin}/approve/" if parts.scheme == "https" or is_loopback(parts.hostname or "") else ""


def default_server(settings: Settings) -> str | None:
    """Return the server that answers at ``/mcp``: the one that the operator named, or the site's only one."""
    named = settings.site.default_server
    if named is not None:
        return named if named in settings.servers else None
    return next(iter(settings.servers), None) if settings.has_one_server else None


def stable_path(server: str) -> str:
    """Return the path that a server keeps whatever servers come and go. Paths are without that of ``public_url``."""
    return f"/{server}{SHORT}"


def paths_of(settings: Settings, server: str) -> tuple[str, ...]:
    """Return every path of a server, the stable one first."""
    own = stable_path(server)
    return (own, SHORT) if default_server(settings) == server else (own,)


def endpoint(settings: Settings, server: str, bound: Address | None = None) -> str:
    """Return the stable URL of a server; for an unlisted one its secret follows after another slash."""
    return origin_of(settings, bound) + stable_path(server)


def endpoints(settings: Settings, server: str, bound: Address | None = None) -> tuple[str, ...]:
    """Return every URL of a server, the stable one first.

    Each is a resource identifier of a server in OAuth mode (RFC 8707 §2), which its tokens may name as their audience.
    """
    origin = origin_of(settings, bound)
    return tuple(origin + path for path in paths_of(settings, server))


def metadata_url(settings: Settings, server: str, bound: Address | None = None) -> str:
    """Return the URL of the protected resource metadata of a server's stable URL."""
    return metadata_at(endpoint(settings, server, bound))


def metadata_at(url: str) -> str:
    """Return the URL of a resource's metadata: the well-known path, inserted before its own (RFC 9728 §3.1)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{_METADATA}{parts.path}"


def served_paths(settings: Settings, bound: Address | None = None) -> Iterator[ServedPath]:
    """List every path at which a server is reached. The path of ``public_url`` is there, or a proxy took it away.

    If one path could stand for two URLs of a server, the one with nothing taken away comes last, and is meant.
    """
    prefix = prefix_of(settings)
    for before in dict.fromkeys(("", prefix)):
        for name, server in settings.servers.items():
            others = endpoints(settings, name, bound)[1:]
            for path, url in zip(paths_of(settings, name), ("", *others), strict=True):
                spelled = before + path
                if server.has_tokens:
                    provider = _provider_paths(settings, name, spelled)
                    yield ServedPath(name, spelled, url, _METADATA + spelled, provider)
                else:
                    yield ServedPath(name, spelled, url)


def _provider_paths(settings: Settings, server: str, path: str) -> tuple[str, ...]:
    """Return the paths at which clients look for the metadata of a server's provider, if they look at the site itself.

    With the server's path inserted (RFC 8414 §3.1), and with the name at its end (OpenID Connect Discovery §4). Also,
    for one server of the site without its path, as revision 2025-03-26 has it.
    """
    own = (*(document + path for document in _PROVIDER), path + _PROVIDER[1])
    return own + (_PROVIDER if plain_server(settings) == server else ())


def plain_server(settings: Settings) -> str | None:
    """Return the server whose provider's metadata stand at the plain well-known paths; None if that is not clear.

    It is the only one in OAuth mode, whatever other modes stand beside it; of several the first, if all name the same
    provider first. Otherwise a client would be sent to a provider that is not its server's.
    """
    guarded = [name for name, server in settings.servers.items() if server.has_tokens]
    first = {(oauth.metadata, oauth.issuers[:1]) for oauth in (settings.servers[name].oauth for name in guarded)}
    return guarded[0] if len(first) == 1 else None
