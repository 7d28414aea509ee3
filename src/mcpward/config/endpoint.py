"""What clients call the servers of a site. Derived from settings alone, never from a request's Host header."""

from urllib.parse import urlsplit

from mcpward.config.address import Address
from mcpward.config.model import Settings

_METADATA = "/.well-known/oauth-protected-resource"
_PROVIDER = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


def origin_of(settings: Settings, bound: Address | None = None) -> str:
    """Give scheme and host of the site, as clients see it, without a trailing slash.

    ``bound`` is the address that was really bound, where the system chose the port.
    """
    site = settings.site
    if site.public_url:
        return site.public_url
    scheme = "https" if site.tls_cert else "http"
    address = bound or site.address
    return f"{scheme}://127.0.0.1:{address.port}" if address.is_wildcard else f"{scheme}://{address}"


def path_of(settings: Settings, server: str) -> str:
    """Give the path of a server: ``/mcp`` where it is the site's only one, ``/<name>/mcp`` among several."""
    return "/mcp" if settings.has_one_server else f"/{server}/mcp"


def endpoint(settings: Settings, server: str, bound: Address | None = None) -> str:
    """Give the URL of a server; for an unlisted one its secret follows after another slash.

    It is the resource identifier of a server in OAuth mode (RFC 8707 §2), and what its tokens name as their audience.
    """
    return origin_of(settings, bound) + path_of(settings, server)


def metadata_path(settings: Settings, server: str) -> str:
    """Give the path of a server's protected resource metadata: inserted before its own (RFC 9728 §3.1)."""
    return _METADATA + urlsplit(endpoint(settings, server)).path


def metadata_url(settings: Settings, server: str, bound: Address | None = None) -> str:
    """Give the URL of a server's protected resource metadata."""
    parts = urlsplit(endpoint(settings, server, bound))
    return f"{parts.scheme}://{parts.netloc}{_METADATA}{parts.path}"


def provider_paths(settings: Settings, server: str) -> tuple[str, ...]:
    """Return the paths at which clients look for the metadata of a server's provider, if they look at the site itself.

    With the server's path inserted (RFC 8414 §3.1), with the name at its end (OpenID Connect Discovery §4), and for one
    server of the site without its path, as revision 2025-03-26 has it.
    """
    path = urlsplit(endpoint(settings, server)).path
    own = (*(document + path for document in _PROVIDER), path + _PROVIDER[1])
    return own + (_PROVIDER if plain_server(settings) == server else ())


def plain_server(settings: Settings) -> str | None:
    """Return the server whose provider's metadata stand at the plain well-known paths; None where that is not clear.

    It is the only one in OAuth mode, whatever other modes stand beside it; of several the first, if all name the same
    provider first. Otherwise a client would be sent to a provider that is not its server's.
    """
    guarded = [name for name, server in settings.servers.items() if server.has_tokens]
    first = {(oauth.metadata, oauth.issuers[:1]) for oauth in (settings.servers[name].oauth for name in guarded)}
    return guarded[0] if len(first) == 1 else None
