"""A request as it would leave, taken apart for the checks: nothing is added to it afterwards but Host and lengths."""

import re
from typing import Final

from msgspec import Struct

from mcpward.core.secret import Secret
from mcpward.egress.failures import EgressRefused, Failure
from mcpward.egress.host_list import HostList
from mcpward.egress.url import Url

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")
#: Headers about the connection and the length of the message: the client's own. Two lengths are two requests.
_OURS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_PROXY: Final = "proxy-"


class Use(Struct, frozen=True):
    """A secret that was passed as such: ``header`` is the lower-case name of its header, "" in URL and body."""

    secret: Secret
    header: str = ""
    is_body: bool = False


class OutgoingRequest(Struct, frozen=True):
    """One request. ``headers`` are by lower-case name, ``hosts`` those that its URL and its redirects may have.

    It has no readable ``repr``: any part may hold a secret.
    """

    method: str
    url: Url
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    uses: tuple[Use, ...] = ()
    hosts: HostList | None = None

    def __repr__(self) -> str:
        return f"OutgoingRequest({self.method} {self.url.origin})"


def require_method(method: str) -> str:
    """Return a method in capitals. Raises :class:`EgressRefused` (header-refused) for what is none, and CONNECT."""
    if not _TOKEN.fullmatch(method) or method.upper() in {"CONNECT", "TRACE"}:
        raise EgressRefused(Failure.HEADER_REFUSED, "the method is none that may be sent")
    return method.upper()


def read_header(name: str, value: str) -> tuple[str, str]:
    """Return one header field, its name in lower case.

    Raises :class:`EgressRefused` (header-refused) for a field that could be more than one line (attack 83), or that
    the client writes itself. Never quotes the value.
    """
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        raise EgressRefused(Failure.HEADER_REFUSED, "the name of a header is no name")
    if lower in _OURS or lower.startswith(_PROXY):
        raise EgressRefused(Failure.HEADER_REFUSED, f"the header {name} is set by mcpward itself, or not at all")
    if not _VALUE.fullmatch(value):
        detail = f"the value of the header {name} is not one line of printable ASCII"
        raise EgressRefused(Failure.HEADER_REFUSED, detail)
    return lower, value
