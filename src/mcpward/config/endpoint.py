"""What clients call the servers of a site. Derived from settings alone, never from a request's Host header."""

from urllib.parse import urlsplit

from mcpward.config.address import Address
from mcpward.config.model import Settings

_METADATA = "/.well-known/oauth-protected-resource"


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
