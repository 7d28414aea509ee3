"""``http.get`` and the others, with httpx's parameters. A secret of ``env`` may stand wherever a text may."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypedDict, Unpack

from mcpward.egress.failures import EgressRefused
from mcpward.egress.outgoing import OutgoingRequest
from mcpward.sdk.author_place import AuthorPlace, author_place
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.http.client import told
from mcpward.sdk.http.compose import Body, Composer, HeaderPairs, Misuse, Pairs, Text
from mcpward.sdk.http.http_response import Response
from mcpward.sdk.http.installed import client_here
from mcpward.sdk.http.safe_url import SafeUrl


class Options(TypedDict, total=False):
    """The options of every request."""

    params: Pairs | None
    headers: HeaderPairs | None
    auth: tuple[Text, Text] | None
    follow_redirects: bool
    timeout: float | None


class BodyOptions(Options, total=False):
    """The options of a request with a body, of which one is passed."""

    json: Any
    data: Pairs | Body | None
    content: Body | None


def request(
    method: str,
    url: Text | SafeUrl,
    *,
    params: Pairs | None = None,
    headers: HeaderPairs | None = None,
    auth: tuple[Text, Text] | None = None,
    json: Any = None,
    data: Pairs | Body | None = None,
    content: Body | None = None,
    follow_redirects: bool = False,
    timeout: float | None = None,
) -> Coroutine[Any, Any, Response]:
    """Send a request and return the response, whatever its status is.

    ``params`` are added to the query of the URL. ``auth`` is a user and a password for Basic. ``data`` is a form,
    ``json`` a value, ``content`` text or bytes. At most five redirects are followed, and only with
    ``follow_redirects=True``. ``timeout`` is for the whole call, in seconds, and at most the server's own.

    Raises:
        HttpRefused: it may not leave: the host, the address, a header, or a bound secret in the wrong place.
        HttpFailed: no usable response came: no connection, no trusted certificate, out of time, too large.
        AuthoringError: an argument has a type that cannot be sent.
    """
    compose = partial(
        Composer().compose,
        method,
        url,
        params=params,
        headers=headers,
        auth=auth,
        json=json,
        data=data,
        content=content,
    )
    # The place now: a coroutine that is made here may run in a task of its own.
    return _send(compose, author_place(), timeout, follow_redirects=follow_redirects)


async def _send(
    compose: Callable[[], OutgoingRequest], place: AuthorPlace, timeout_s: float | None, *, follow_redirects: bool
) -> Response:
    try:
        outgoing = compose()
    except EgressRefused as refused:
        raise told(refused) from None
    except Misuse as misuse:
        raise AuthoringError(f"mcpward.http: {misuse}", str(place), misuse.hint) from None
    async with client_here() as client:
        return await client.send(outgoing, timeout_s=timeout_s, follow_redirects=follow_redirects)


def get(url: Text | SafeUrl, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
    """Send a GET; see :func:`request`."""
    return request("GET", url, **options)


def head(url: Text | SafeUrl, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
    """Send a HEAD; see :func:`request`."""
    return request("HEAD", url, **options)


def options(url: Text | SafeUrl, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
    """Send an OPTIONS; see :func:`request`."""
    return request("OPTIONS", url, **options)


def delete(url: Text | SafeUrl, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
    """Send a DELETE; see :func:`request`."""
    return request("DELETE", url, **options)


def post(url: Text | SafeUrl, **options: Unpack[BodyOptions]) -> Coroutine[Any, Any, Response]:
    """Send a POST; see :func:`request`."""
    return request("POST", url, **options)


def put(url: Text | SafeUrl, **options: Unpack[BodyOptions]) -> Coroutine[Any, Any, Response]:
    """Send a PUT; see :func:`request`."""
    return request("PUT", url, **options)


def patch(url: Text | SafeUrl, **options: Unpack[BodyOptions]) -> Coroutine[Any, Any, Response]:
    """Send a PATCH; see :func:`request`."""
    return request("PATCH", url, **options)
