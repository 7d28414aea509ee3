"""Protected resource metadata (RFC 9728): where the clients of a server in OAuth mode get their tokens.

Public, the same for everybody, and made of the configuration alone: nothing of a request is in it (CVE-2026-48710).
Each URL of a server has its own, at the path that is inserted before its own (§3.1).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Reply
from mcpward.ingress import render

_RETRY_AFTER_S: Final = 5
#: Anybody's page may read it: there is nothing in it that a browser's user knows and others do not.
_FOR_ALL: Final = ((b"access-control-allow-origin", b"*"),)
#: First, so that it stands in the place of what all other answers say.
_KEPT: Final = ((b"cache-control", b"public, max-age=3600"),)
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
    """One server: ``url`` is its resource identifier (RFC 8707), ``scopes`` are those that a client may ask for.

    ``issuers`` gives the exact names of its providers, or None for one that was not seen yet.
    """

    url: str
    scopes: Sequence[str]
    issuers: Callable[[], Sequence[str | None]]


class Discovery:
    """Answers for the documents of all servers. ``resources`` by server name."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self._resources = dict(resources)

    def answer(self, server: str, url: str = "", *, is_preflight: bool = False) -> Reply:
        """Give the document of a server; 503 while none of its providers was seen.

        ``url`` is the resource where that is not the server's stable URL: a client gives up on any other than the one
        that it uses (RFC 9728 §3.3). The providers' exact names are not known before they were seen, and a client that
        gets another spelling gives up too.
        """
        if is_preflight:
            return PREFLIGHT
        resource = self._resources[server]
        issuers = resource.issuers()
        known = [issuer for issuer in issuers if issuer is not None]
        if not known:
            no = render.refusal(Refusal(Reason.IDENTITY_UNAVAILABLE, retry_after_s=_RETRY_AFTER_S))
            return Reply(status=no.status, headers=no.headers + _FOR_ALL, body=no.body, reason=no.reason)
        document: dict[str, object] = {"resource": url or resource.url, "authorization_servers": known}
        if resource.scopes:
            document["scopes_supported"] = list(resource.scopes)
        document["bearer_methods_supported"] = ["header"]
        body = json.dumps(document, separators=(",", ":")).encode()
        return Reply(status=200, headers=(_KEPT if len(known) == len(issuers) else ()) + _FOR_ALL, body=body)
