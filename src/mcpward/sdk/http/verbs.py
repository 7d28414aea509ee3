"""``http.get`` and the others, with httpx's parameters. A secret of ``env`` may stand wherever a text may."""

from typing import Any, TypedDict, Unpack

from mcpward.egress.failures import EgressRefused
from mcpward.sdk.http.client import told
from mcpward.sdk.http.compose import Body, Composer, HeaderPairs, Pairs, Text
from mcpward.sdk.http.http_response import Response
from mcpward.sdk.http.installed import client_here


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


async def request(
    method: str,
    url: Text,
    *,
    params: Pairs | None = None,
    headers: HeaderPairs | None = None,
    auth: tuple[Text, Text] | None = None,
    json: Any = None,
    data: Pairs | Body | None = None,
    content: Body | None = None,
    follow_redirects: bool = False,
    timeout: float | None = None,  # noqa: ASYNC109  httpx's name
) -> Response:
    """Send a request and return the response, whatever its status is.

    ``params`` are added to the query of the URL. ``auth`` is a user and a password for Basic. ``data`` is a form,
    ``json`` a value, ``content`` text or bytes. At most five redirects are followed, and only with
    ``follow_redirects=True``. ``timeout`` is for the whole call, in seconds, and at most the server's own.

    Raises:
        HttpRefused: it may not leave: the host, the address, a header, or a bound secret in the wrong place.
        HttpFailed: no usable response came: no connection, no trusted certificate, out of time, too large.
        AuthoringError: an argument has a type that cannot be sent.
    """
    try:
        outgoing = Composer().compose(
            method, url, params=params, headers=headers, auth=auth, json=json, data=data, content=content
        )
    except EgressRefused as refused:
        raise told(refused) from None
    async with client_here() as client:
        return await client.send(outgoing, timeout_s=timeout, follow_redirects=follow_redirects)


async def get(url: Text, **options: Unpack[Options]) -> Response:
    """Send a GET; see :func:`request`."""
    return await request("GET", url, **options)


async def head(url: Text, **options: Unpack[Options]) -> Response:
    """Send a HEAD; see :func:`request`."""
    return await request("HEAD", url, **options)


async def options(url: Text, **options: Unpack[Options]) -> Response:
    """Send an OPTIONS; see :func:`request`."""
    return await request("OPTIONS", url, **options)


async def delete(url: Text, **options: Unpack[Options]) -> Response:
    """Send a DELETE; see :func:`request`."""
    return await request("DELETE", url, **options)


async def post(url: Text, **options: Unpack[BodyOptions]) -> Response:
    """Send a POST; see :func:`request`."""
    return await request("POST", url, **options)


async def put(url: Text, **options: Unpack[BodyOptions]) -> Response:
    """Send a PUT; see :func:`request`."""
    return await request("PUT", url, **options)


async def patch(url: Text, **options: Unpack[BodyOptions]) -> Response:
    """Send a PATCH; see :func:`request`."""
    return await request("PATCH", url, **options)
