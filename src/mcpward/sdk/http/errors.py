"""The errors of ``mcpward.http``. Not caught, each fails the tool with an error id; its text is for the log only."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpward.sdk.http.http_response import Response


class HttpError(Exception):
    """A request that came to nothing. The text has hosts and never a path, query, header value or body.

    ``why`` is a word for it, such as ``host-not-allowed``, ``timeout`` or ``status``.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


class HttpRefused(HttpError):
    """mcpward did not send the request: a host, an address, a header or the place of a secret is not allowed.

    Trying again changes nothing.
    """

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        super().__init__(what, why)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")


class HttpFailed(HttpError):
    """No usable response came: no connection, no trusted certificate, out of time, too large."""


class HttpStatusError(HttpError):
    """:meth:`Response.raise_for_status` found a status that is not 2xx."""

    def __init__(self, response: "Response") -> None:
        super().__init__(f"{response.host} answered {response.status}", "status")
        self.response = response
