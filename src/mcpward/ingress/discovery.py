"""Documents that lead the clients of a server in OAuth mode to their provider.

Each URL of a server has protected resource metadata (RFC 9728) of its own, at the path that is inserted before its own
(§3.1). They are made only of the configuration. The metadata of the provider (RFC 8414) are its own document, for
clients that look for it at the site itself: those of revision 2025-03-26, and many later ones. Both are public and the
same for all clients: nothing of a request is in them (CVE-2026-48710).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.values import Reply
from mcpward.ingress import render
from mcpward.ingress.routes import Place

_RETRY_AFTER_S: Final = 5
#: A page of any origin may read it: a browser's user knows nothing in it that others do not.
_FOR_ALL: Final = ((b"access-control-allow-origin", b"*"),)
#: First, so that it replaces the header of all other responses.
_KEPT: Final = ((b"cache-control", b"public, max-age=3600"),)
#: Shorter, for a provider may move its endpoints.
_KEPT_BRIEFLY: Final = ((b"cache-control", b"public, max-age=600"),)
PREFLIGHT: Final = Reply(
    status=204,
    headers=(
        *_FOR_ALL,
        (b"access-control-allow-methods", b"GET"),
        (b"access-control-allow-headers", b"*"),
        (b"access-control-max-age", b"600"),
    ),
)


class Resource(Struct, frozen=True):
    """One server: ``url`` is its resource identifier (RFC 8707), ``scopes`` are those that a client may request.

    ``issuers`` returns the exact names of its providers, or None for one that was not seen yet; ``provider`` returns
    the metadata of the first one, or None.
    """

    url: str
    scopes: Sequence[str]
    issuers: Callable[[], Sequence[str | None]]
    provider: Callable[[], bytes | None] = lambda: None


class Discovery:
    """Answers for the documents of all servers. ``resources`` by server name."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self._resources = dict(resources)

    def answer(self, server: str, place: Place = Place.RESOURCE, url: str = "", *, is_preflight: bool = False) -> Reply:
        """Return the document of a server that stands at ``place``; 503 while none of its providers was seen.

        ``url`` is the resource if that is not the server's stable URL: a client gives up on any other than the one that
        it uses (RFC 9728 §3.3). The providers' exact names are not known before they were seen, and a client that gets
        another spelling gives up too.
        """
        if is_preflight:
            return PREFLIGHT
        resource = self._resources[server]
        if place is Place.PROVIDER:
            body = resource.provider()
            return _unseen() if body is None else Reply(status=200, headers=_KEPT_BRIEFLY + _FOR_ALL, body=body)
        issuers = resource.issuers()
        known = [issuer for issuer in issuers if issuer is not None]
        if not known:
            return _unseen()
        document: dict[str, object] = {"resource": url or resource.url, "authorization_servers": known}
        if resource.scopes:
            document["scopes_supported"] = list(resource.scopes)
        document["bearer_methods_supported"] = ["header"]
        body = json.dumps(document, separators=(",", ":")).encode()
        return Reply(status=200, headers=(_KEPT if len(known) == len(issuers) else ()) + _FOR_ALL, body=body)


def _unseen() -> Reply:
    no = render.document_refusal(Refusal(Reason.IDENTITY_UNAVAILABLE, "", RetryAfter(_RETRY_AFTER_S)))
    return Reply(status=no.status, headers=no.headers + _FOR_ALL, body=no.body, reason=no.reason)
