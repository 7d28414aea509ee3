"""Listen addresses and host names: ``127.0.0.1:8000``, ``[::1]:8000``, ``mcp.example.com``. No DNS."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
# The underscore is no host name's (RFC 952), but container networks name their members so.
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


class Address(Struct, frozen=True):
    """A host and a port to listen on. ``host`` is bare: an IPv6 address without its brackets."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        return is_loopback(self.host)

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every address of the machine, and so is no name that a client could use."""
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class AddressPart(Struct, frozen=True):
    """A host or a port that a flag names; the other one stays as it is."""

    host: str | None = None
    port: int | None = None

    def over(self, current: object, default: str) -> str:
        """Return the whole address; a missing part is taken from ``current``, or from ``default`` if that is none."""
        try:
            address = parse_address(current if isinstance(current, str) else default)
        except ValueError:
            address = parse_address(default)
        host = address.host if self.host is None else self.host.strip()
        port = address.port if self.port is None else self.port
        return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a bare host is only this machine. The only such name is localhost: DNS may return any address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_address(text: str) -> Address:
    """Read ``host:port``; an IPv6 host stands in brackets; port 0 lets the system choose.

    Raises:
        ValueError: there is no host, no port, or either is not well-formed.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("write an address as host:port, such as 127.0.0.1:8000 or [::1]:8000")
    return Address(host=parse_host(host), port=int(port))


def parse_host(text: str) -> str:
    """Read a host name or an IP address (IPv6 in brackets) and return it bare, in lower case.

    Raises:
        ValueError: it is neither.
    """
    host = text.strip().lower()
    try:
        if host.startswith("[") and host.endswith("]"):
            return str(ip_address(host[1:-1]))
        name = host.removesuffix(".")  # of the root: the same name
        if _NAME.fullmatch(name) and len(name) <= 253:
            return name
    except ValueError:
        pass
    raise ValueError("not a host name or an IP address (write an IPv6 address in brackets)")


def parse_allowed_host(text: str) -> str:
    """Read one entry of a host allow-list: ``host`` or ``host:port``, exactly as a Host header has it.

    Raises:
        ValueError: it is neither; a wildcard is neither, because it would let DNS rebinding back in.
    """
    host = text.strip().lower()
    if host.endswith("]") or ":" not in host:
        bare = parse_host(host)
        return f"[{bare}]" if ":" in bare else bare
    return str(parse_address(host))


def parse_url(text: str) -> str:
    """Read an absolute http(s) URL without user, query or fragment; returns it without a trailing slash.

    Raises:
        ValueError: it is something else, or plain http to a host that is not this machine.
    """
    parts = urlsplit(text.strip())
    _ = parts.port  # raises ValueError when it is no port
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write an absolute URL, such as https://mcp.example.com")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("the URL may not have a user, a query or a fragment")
    parse_host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is for this machine only: use https")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*", re.ASCII)


def parse_public_url(text: str) -> str:
    """Read the URL of a site, which may have a path; returns it without a trailing slash.

    Raises:
        ValueError: as :func:`parse_url`; or its path could not be compared byte for byte with what clients send.
    """
    url = parse_url(text)
    path = urlsplit(url).path
    if not _PATH.fullmatch(path) or path.startswith("/.well-known"):
        raise ValueError("the path of the URL has plain segments, such as /ai, and no empty ones, . or ..")
    return url


_WELL_KNOWN: Final = re.compile(
    r"(?:/.*)?/\.well-known/(?:oauth-authorization-server|openid-configuration)(?:/.*)?", re.ASCII
)


def parse_metadata_url(text: str) -> str:
    """Read the URL of an authorization server's metadata, and return it as it was written.

    Raises:
        ValueError: it is no http(s) URL, has a user, a query or a fragment, or is none of the two well-known documents.
    """
    url = _called_url(text, "https://id.example.com/.well-known/openid-configuration")
    if not _WELL_KNOWN.fullmatch(urlsplit(url).path):
        raise ValueError(
            "write the URL of the metadata itself: it has /.well-known/oauth-authorization-server or "
            "/.well-known/openid-configuration in its path"
        )
    return url


def parse_service_url(text: str) -> str:
    """Read the URL of a service that mcpward calls below it; returns it without a trailing slash.

    Raises:
        ValueError: it is no http(s) URL, or has a user, a query, a fragment or a path that is not plain.
    """
    url = _called_url(text, "https://vault.example.com:8200").rstrip("/")
    if not _PATH.fullmatch(urlsplit(url).path):
        raise ValueError("the path of the URL has plain segments, such as /vault, and no empty ones, . or ..")
    return url


def _called_url(text: str, example: str) -> str:
    url = text.strip()
    parts = urlsplit(url)
    _ = parts.port
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError(f"write an absolute URL, such as {example}")
    if "@" in parts.netloc or "?" in url or "#" in url or "\\" in url or " " in url:
        raise ValueError("the URL may not have a user, a query or a fragment")
    parse_host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    return url


_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\\]+)/?", re.ASCII)
#: Hosts of the origins that apps and browser extensions have: identifiers more than names.
_APP_HOST: Final = re.compile(r"[a-z0-9._~-]+", re.ASCII)
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def parse_origin(text: str) -> str:
    """Read one entry of the Origin allow-list and return it as an Origin field has it, in lower case.

    That is scheme, host, and a port that is not the scheme's own. The scheme may be that of an app or of a browser's
    extensions.

    Raises:
        ValueError: it is no such origin; ``null`` and ``*`` are none, because they name no single origin.
    """
    origin = text.strip().lower()
    if origin == "null":
        raise ValueError('every sandboxed page and local file sends "null", so it cannot be allowed')
    found = _ORIGIN.fullmatch(origin)
    if found is None or found[1] == "file" or not origin.isprintable():  # urlsplit leaves tabs and line ends out
        raise ValueError("write an origin as https://host, https://host:port or, for an app, scheme://host")
    scheme, host = found[1], found[2]
    if not host.isascii():
        raise ValueError("write the host in ASCII, as browsers send it: https://xn--…")
    parts = urlsplit(origin)
    if scheme not in DEFAULT_PORTS:
        if not _APP_HOST.fullmatch(parts.netloc.removesuffix(f":{parts.port}")):
            raise ValueError("write the origin of an app as scheme://host, such as tauri://localhost")
        return f"{scheme}://{host}"
    name = parse_host(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
    return origin_of(scheme, name, parts.port)


def origin_of(scheme: str, host: str, port: int | None) -> str:
    """Return an origin as an Origin field has it (RFC 6454 §6.2): the scheme's own port is left out."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port in {None, DEFAULT_PORTS.get(scheme)} else f"{scheme}://{name}:{port}"
