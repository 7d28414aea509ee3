"""What clients call the servers of a site. Derived from settings alone, never from a request's Host header."""

from mcpward.config.model import Settings


def origin_of(settings: Settings) -> str:
    """Give scheme and host of the site, as clients see it, without a trailing slash."""
    site = settings.site
    if site.public_url:
        return site.public_url
    scheme = "https" if site.tls_cert else "http"
    address = site.address
    return f"{scheme}://127.0.0.1:{address.port}" if address.is_wildcard else f"{scheme}://{address}"


def path_of(settings: Settings, server: str) -> str:
    """Give the path of a server: ``/mcp`` where it is the site's only one, ``/<name>/mcp`` among several."""
    return "/mcp" if settings.has_one_server else f"/{server}/mcp"


def endpoint(settings: Settings, server: str) -> str:
    """Give the URL of a server; for an unlisted one its secret follows after another slash."""
    return origin_of(settings) + path_of(settings, server)
