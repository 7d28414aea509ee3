"""Why a call to the outside did not happen, or came to nothing. The words are a closed list and public."""

from enum import StrEnum


class Failure(StrEnum):
    """First what is refused before anything is sent, then what fails on the way or in the answer."""

    URL_MALFORMED = "url-malformed"
    SCHEME_REFUSED = "scheme-refused"
    USERINFO_REFUSED = "userinfo-refused"
    FRAGMENT_REFUSED = "fragment-refused"
    HOST_REFUSED = "host-refused"
    ADDRESS_REFUSED = "address-refused"
    PLAIN_REFUSED = "plain-refused"
    HOST_NOT_ALLOWED = "host-not-allowed"
    HEADER_REFUSED = "header-refused"
    SECRET_BOUND = "secret-bound"  # noqa: S105  a word, not a secret

    UNRESOLVED = "unresolved"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls-failed"
    TIMEOUT = "timeout"
    BUSY = "busy"
    CLOSED = "closed"
    PROTOCOL_BROKEN = "protocol-broken"
    REDIRECTED = "redirected"
    CODING_REFUSED = "coding-refused"
    MEDIA_REFUSED = "media-refused"
    TOO_LARGE = "too-large"
    NOT_JSON = "not-json"


class _Trouble(Exception):
    """Shows only its word. ``detail`` is for the operator's log: hosts and addresses, never a path, query or body."""

    def __init__(self, why: Failure, detail: str = "") -> None:
        super().__init__(why.value)
        self.why = why
        self.detail = detail


class EgressRefused(_Trouble):
    """mcpward does not call there: nothing was sent, and trying again changes nothing."""


class EgressFailed(_Trouble):
    """The other side could not be reached, or its answer is not one that mcpward takes."""
