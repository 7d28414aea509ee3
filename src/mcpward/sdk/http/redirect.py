"""Where a redirect leads, as a new request: what a browser would send, without the credentials of another origin."""

from typing import Final
from urllib.parse import urljoin

from msgspec.structs import replace

from mcpward.egress.failures import EgressRefused, Failure
from mcpward.egress.outgoing import OutgoingRequest
from mcpward.egress.response import Received
from mcpward.egress.url import parse

MOST: Final = 5
_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
#: What another origin gets. Services take credentials in headers of any name, so no list of those is complete.
_HARMLESS: Final = frozenset({"accept", "accept-language", "content-language", "content-type", "user-agent"})
_OF_BODY: Final = frozenset({"content-type", "content-language", "content-location"})


def is_redirect(received: Received) -> bool:
    """Return whether a response leads elsewhere."""
    return received.status in _STATUSES and "location" in received.headers


def redirected(former: OutgoingRequest, received: Received) -> OutgoingRequest:
    """Return the request that follows a redirect (RFC 9110, 15.4).

    Another scheme, host or port is another origin: it gets no header but harmless ones.

    Raises :class:`EgressRefused` for a target that is none, and for a body with a secret on its way to another origin.
    """
    url = parse(urljoin(former.url.origin + former.url.target, received.headers["location"]))
    method, content, headers = former.method, former.content, former.headers
    if (received.status == 303 and method != "HEAD") or (received.status in {301, 302} and method == "POST"):
        method, content = "GET", None
        headers = tuple(field for field in headers if field[0] not in _OF_BODY)
    uses = tuple(use for use in former.uses if use.header or (content is not None and use.is_body))
    if url.origin != former.url.origin:
        if any(not use.header for use in uses):
            detail = f"a redirect of {former.url.origin} would take a body with a secret to {url.origin}"
            raise EgressRefused(Failure.SECRET_BOUND, detail)
        secret = {use.header for use in uses}
        headers = tuple(field for field in headers if field[0] in _HARMLESS and field[0] not in secret)
        uses = ()
    return replace(former, method=method, url=url, headers=headers, content=content, uses=uses)
