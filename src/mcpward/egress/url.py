"""A URL that mcpward may call, taken apart once. The text is never read a second time, so no two readers disagree."""

import re
from ipaddress import IPv6Address
from typing import Final

from msgspec import Struct

from mcpward.egress.failures import EgressRefused, Failure
from mcpward.egress.host import read_host

_LONGEST: Final = 2_048
_PORTS: Final = {"http": 80, "https": 443}
_LEGAL: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_ESCAPES: Final = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([1-9][0-9]{0,4}))?")

#: Most URLs: no port, nothing escaped, and nothing in them that another part of a URL could begin with.
_PLAIN: Final = re.compile(r"(https?)://([a-z0-9.-]{1,253})(/[A-Za-z0-9\-._~/?=&+,;!$'()*]{0,1600})?")


class Url(Struct, frozen=True):
    """The target of a call: ``host`` is lower-case and without brackets, ``target`` is path and query as they were
    written.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host line: with the port only if it is not the scheme's own (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """Host and port, the port always."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port, in one spelling."""
        return f"{self.scheme}://{self.authority}"

    @property
    def endpoint(self) -> str:
        """Origin and path, without the query."""
        return self.origin + self.target.partition("?")[0]


def parse(text: str) -> Url:
    """Take a URL apart (RFC 3986, in ASCII, absolute, http or https, at most 2,048 characters).

    Raises :class:`EgressRefused` with the reason: url-malformed, scheme-refused, userinfo-refused, fragment-refused,
    host-refused (attack 81).
    """
    plain = _PLAIN.fullmatch(text)
    if plain is not None and isinstance(read := read_host(plain[2]), str):
        return Url(plain[1], read, _PORTS[plain[1]], plain[3] or "/")
    scheme, colon, rest = text[: _LONGEST + 1].partition(":")
    scheme = scheme.lower()
    if colon and scheme not in _PORTS:
        raise EgressRefused(Failure.SCHEME_REFUSED, "the URL is neither http nor https")
    if len(text) > _LONGEST or not rest.startswith("//") or not _LEGAL.fullmatch(rest):
        raise EgressRefused(Failure.URL_MALFORMED, "the text is no absolute URL")
    if "#" in rest:
        raise EgressRefused(Failure.FRAGMENT_REFUSED, "the URL has a fragment")
    authority = re.split(r"[/?]", rest[2:], maxsplit=1)[0]
    if "@" in authority:
        raise EgressRefused(Failure.USERINFO_REFUSED, "the URL holds a user or password")
    target = rest[2 + len(authority) :]
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not _ESCAPES.fullmatch(target):
        raise EgressRefused(Failure.URL_MALFORMED, "the text is no absolute URL")
    port = int(parts[3] or _PORTS[scheme])
    if port > 0xFFFF:
        raise EgressRefused(Failure.URL_MALFORMED, "the URL's port is no port")
    host = read_host(parts[1] or parts[2])
    if bool(parts[1]) != isinstance(host, IPv6Address):
        raise EgressRefused(Failure.HOST_REFUSED, "the host in brackets is no address")
    return Url(scheme, str(host), port, target if target.startswith("/") else f"/{target}")
