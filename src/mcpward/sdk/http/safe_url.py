"""A URL that a guard has let through. Only ``mcpward.http`` can use it: it resolves, checks and pins the address.

It has no text of its own. Another client would resolve the name anew, and might be led elsewhere (rebinding).
"""

from typing import Any

from mcpward.egress.host_list import HostList
from mcpward.egress.url import Url
from mcpward.sdk.errors import AuthoringError


class SafeUrl:
    """A URL with a host on the guard's list. Redirects that ``http.get`` follows stay on that list, too."""

    __slots__ = ("_hosts", "_url")

    def __init__(self, url: Url, hosts: HostList) -> None:
        self._url = url
        self._hosts = hosts

    @property
    def host(self) -> str:
        """The host, in lower case."""
        return self._url.host

    @property
    def path(self) -> str:
        """The path, as it was written."""
        return self._url.target.partition("?")[0]

    def __repr__(self) -> str:
        return f"SafeUrl({self._url.host})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        hint = 'write Annotated[SafeUrl, HttpUrl(["api.example.com"])]'
        raise AuthoringError("SafeUrl has no list of hosts", hint=hint)


def text_of(url: SafeUrl) -> str:
    """Return the URL, for a request that keeps to :func:`hosts_of`."""
    return url._url.origin + url._url.target  # noqa: SLF001  the only reader


def hosts_of(url: SafeUrl) -> HostList:
    """Return the hosts that a request for the URL may reach."""
    return url._hosts  # noqa: SLF001  the only reader
