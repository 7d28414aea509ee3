"""The site map: the MCP server of each path. Exact bytes only.

A path is compared as it came: no decoding, no dot segments, no case folding. Only one slash at the end of a server's
path is ignored. So any other spelling of a known path is an unknown path (attacks 39 and 53). A wrong secret is
answered like any of them (attack 38).
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from msgspec import Struct

from mcpward.approvals.approvals import LINK_LENGTH

SECRET_LENGTH: Final = 48
"""Characters of the secret segment of an unlisted server's path (base62, 285 bits)."""


class Place(Enum):
    """The handler of a path."""

    MCP = "mcp"
    HEALTH = "healthz"
    READY = "readyz"
    METRICS = "metrics"
    RESOURCE = "oauth-protected-resource"
    PROVIDER = "oauth-authorization-server"
    APPROVAL = "approve"


#: Documents that pages of any origin may read: there is nothing in them that one caller knows and others do not.
DOCUMENTS: Final = frozenset({Place.RESOURCE, Place.PROVIDER})


class Route(Struct, frozen=True):
    """One route of the site. ``server`` is empty if the path belongs to mcpward itself.

    ``url`` is the URL of the server that the path stands for, "" for its stable one.
    """

    place: Place
    server: str = ""
    secret: str | None = None
    url: str = ""


class Address(Struct, frozen=True):
    """The address of one server: ``/mcp`` of its own hosts, or ``path`` of any allowed host.

    ``metadata`` is the path of its protected resource metadata in OAuth mode, "" in all others; ``provider`` are those
    of the metadata of its provider. A server has an address for each path; ``url`` is as in :class:`Route`.
    """

    server: str
    path: str
    hosts: tuple[str, ...] = ()
    unlisted: bool = False
    metadata: str = ""
    provider: tuple[str, ...] = ()
    url: str = ""


_NONE: Final = Route(Place.MCP)
APPROVE: Final = "/approve/"
"""The path of approval pages, before the link."""


class Routes:
    """Finds the route of a host and a raw path. ``prefix`` is the path of the site's public URL, which a proxy may
    leave on.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        *,
        health: bool = True,
        metrics: bool = False,
        prefix: str = "",
        pages: bool = False,
    ) -> None:
        self._fixed: dict[bytes, Route] = {}
        self._unlisted: dict[bytes, str] = {}
        self._hosted: dict[tuple[bytes, bytes], Route | None] = {}
        self._hosted_unlisted: dict[tuple[bytes, bytes], str] = {}
        if health:
            for before in (b"", prefix.encode("ascii")):
                self._fixed[before + b"/healthz"] = Route(Place.HEALTH)
                self._fixed[before + b"/readyz"] = Route(Place.READY)
        if metrics:
            self._fixed[b"/metrics"] = Route(Place.METRICS)
        self.forms = (
            tuple(f"{before}{APPROVE}".encode("ascii") for before in dict.fromkeys(("", prefix))) if pages else ()
        )
        for address in addresses:
            self._add(address)

    def _add(self, address: Address) -> None:
        path = address.path.encode("ascii")
        if address.unlisted:
            self._unlisted[path + b"/"] = address.server
        else:
            self._fixed[path] = Route(Place.MCP, address.server, url=address.url)
        if address.metadata:
            self._fixed[address.metadata.encode("ascii")] = Route(Place.RESOURCE, address.server, url=address.url)
        for document in address.provider:
            self._fixed[document.encode("ascii")] = Route(Place.PROVIDER, address.server)
        for host in address.hosts:
            name = host.lower().encode("ascii")
            if address.unlisted:
                self._hosted_unlisted[name, b"/mcp/"] = address.server
                self._hosted[name, b"/mcp"] = None  # the host is this server's: no other one answers there
            else:
                self._hosted[name, b"/mcp"] = Route(Place.MCP, address.server)

    @property
    def public(self) -> frozenset[bytes]:
        """The paths that pages of any origin may read."""
        return self._paths_of(*DOCUMENTS)

    @property
    def any_host(self) -> frozenset[bytes]:
        """The paths that are answered with any Host field: probes are sent to an address, not to a name."""
        return self._paths_of(Place.HEALTH, Place.READY)

    def _paths_of(self, *places: Place) -> frozenset[bytes]:
        return frozenset(path for path, route in self._fixed.items() if route.place in places)

    def find(self, host: bytes, path: bytes) -> Route | None:
        """Return the route of a path, or None. A server's path may end in a slash. ``host`` is an allowed value."""
        route = self._find(host, path)
        if route is None and path.endswith(b"/"):
            route = self._find(host, path[:-1])
            return route if route is not None and route.place is Place.MCP else None
        return route

    def _find(self, host: bytes, path: bytes) -> Route | None:
        if self._hosted and (hosted := self._hosted.get((host, path), _NONE)) is not _NONE:
            return hosted
        route = self._fixed.get(path)
        if route is not None:
            return route
        return self._find_unlisted(host, path) or self._find_page(path)

    def _find_page(self, path: bytes) -> Route | None:
        base, link = path[:-LINK_LENGTH], path[-LINK_LENGTH:]
        return Route(Place.APPROVAL, secret=link.decode("ascii")) if base in self.forms and link.isalnum() else None

    def _find_unlisted(self, host: bytes, path: bytes) -> Route | None:
        if len(path) <= SECRET_LENGTH:
            return None
        base, secret = path[:-SECRET_LENGTH], path[-SECRET_LENGTH:]
        server = self._hosted_unlisted.get((host, base)) or self._unlisted.get(base)
        # A segment that cannot be one of ours is an unknown path; the package identity judges the rest.
        if server is None or not secret.isalnum():
            return None
        return Route(Place.MCP, server, secret.decode("ascii"))
