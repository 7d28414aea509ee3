"""The errors of ``mcpward.http``. Not caught, each fails the tool with an error id; its text is for the log only."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpward.sdk.http.http_response import Response


class HttpError(Exception):
    """A request that came to nothing. The text has hosts and never a path, query, header value or body."""


class HttpRefused(HttpError):
    """mcpward did not send the request: a host, an address, a header or the place of a secret is not allowed.

    Trying again changes nothing. ``why`` is a word such as ``host-not-allowed`` or ``secret-bound``.
    """

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        super().__init__(what)
        self.why = why
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")


class HttpFailed(HttpError):
    """No usable response came: no connection, no trusted certificate, out of time, too large.

    ``why`` is a word such as ``timeout``, ``unreachable`` or ``too-large``.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


class HttpStatusError(HttpError):
    """:meth:`Response.raise_for_status` found a status of 400 or above, or a redirect."""

    def __init__(self, response: "Response") -> None:
        super().__init__(f"{response.host} answered {response.status}")
        self.response = response
