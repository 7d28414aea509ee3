"""``mcpward.http``: requests from tools, to hosts that may be called, with secrets that go where they are bound to.

``await http.get(url)`` in ``async def`` functions, ``context.run(http.get(url))`` in ``def`` functions.
"""

from mcpward.sdk.http.errors import HttpError, HttpFailed, HttpRefused, HttpStatusError
from mcpward.sdk.http.http_response import Headers, Response
from mcpward.sdk.http.verbs import delete, get, head, options, patch, post, put, request

__all__ = [
    "Headers",
    "HttpError",
    "HttpFailed",
    "HttpRefused",
    "HttpStatusError",
    "Response",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]
