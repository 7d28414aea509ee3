"""``HttpUrl``: a URL of a host that is allowed, for ``mcpward.http`` (attacks 80 and 81)."""

import typing
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from types import NoneType, UnionType
from typing import Any, Final

from pydantic_core import core_schema

from mcpward.egress.failures import EgressRefused, Failure
from mcpward.egress.host import read_host
from mcpward.egress.host_list import HostList
from mcpward.egress.url import Url, parse
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard, refused
from mcpward.sdk.http.safe_url import SafeUrl
from mcpward.sdk.options import options

_SCHEMES: Final = ("https", "http")
_LONGEST: Final = 2_048
_LISTED: Final = 8
_RULES: Final = {
    Failure.USERINFO_REFUSED: "a URL without user and password",
    Failure.FRAGMENT_REFUSED: "a URL without a fragment (#…)",
    Failure.HOST_REFUSED: "a URL whose host is a plain name in ASCII",
}
_MALFORMED: Final = "an absolute URL in ASCII, such as https://example.com/path"


class HttpUrl(ParameterGuard):
    """A URL on a :class:`SafeUrl`: ``url: Annotated[SafeUrl, HttpUrl(["api.example.com", "*.example.org"])]``.

    ``hosts`` are exact, with a port if it is not the scheme's own; ``*.`` stands for one label or more, and ``*`` for
    any name. An address is taken only if the list has it. ``schemes`` are ``https``, unless ``http`` is added.

    Raises:
        AuthoringError: ``hosts`` is no list of hosts, or ``schemes`` none of schemes.
    """

    kinds: frozenset[str] = frozenset({"string"})

    @options("HttpUrl")
    def __init__(self, hosts: Sequence[str], *, schemes: Sequence[str] = ("https",)) -> None:
        listed: tuple[Any, ...] = () if isinstance(hosts, str) else tuple(hosts)
        if not listed or not all(isinstance(one, str) and _is_host(one) for one in listed):
            hint = 'write HttpUrl(["api.example.com", "*.example.org"]); ["*"] is any public name'
            raise AuthoringError("HttpUrl: hosts is a list of hosts", hint=hint)
        if isinstance(schemes, str) or not schemes or not all(one in _SCHEMES for one in schemes):
            raise AuthoringError("HttpUrl: schemes are https and http", hint='write schemes=["https"]')
        self.hosts = listed
        self.schemes = tuple(schemes)
        self._list = HostList(() if "*" in listed else listed)

    def check(self, value: Any) -> str | None:
        """Refuse what is no such URL."""
        try:
            self._read(value)
        except _Refused as no:
            return no.rule
        return None

    def describe(self) -> str:
        """Return the hosts for the model."""
        return f"{self._rule()[0].upper()}{self._rule()[1:]}."

    def keywords(self) -> dict[str, Any]:
        """Return the format and the length."""
        return {"format": "uri", "maxLength": _LONGEST}

    def __repr__(self) -> str:
        return f"HttpUrl({[*self.hosts]})"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        members = typing.get_args(source) if typing.get_origin(source) in {typing.Union, UnionType} else (source,)
        if SafeUrl not in members or not all(one in (SafeUrl, NoneType) for one in members):
            hint = f'write Annotated[SafeUrl, HttpUrl(["{self.hosts[0]}"])], and pass the value to mcpward.http'
            raise AuthoringError("HttpUrl stands on SafeUrl", hint=hint)
        text = core_schema.no_info_after_validator_function(self._safe(), core_schema.str_schema())
        return core_schema.nullable_schema(text) if NoneType in members else text

    def _safe(self) -> Callable[[str], SafeUrl]:
        def safe(value: str) -> SafeUrl:
            try:
                return SafeUrl(self._read(value), self._list)
            except _Refused as no:
                raise refused(no.rule) from None

        return safe

    def _read(self, value: Any) -> Url:
        try:
            url = parse(value if isinstance(value, str) else "")
        except EgressRefused as no:
            is_scheme = no.why is Failure.SCHEME_REFUSED
            raise _Refused(self._rule() if is_scheme else _RULES.get(no.why, _MALFORMED)) from None
        if url.scheme not in self.schemes or not self._list.has(url) or ("*" in self.hosts and _is_ip(url.host)):
            raise _Refused(self._rule())
        return url

    def _rule(self) -> str:
        of = "any public host" if "*" in self.hosts else " or ".join(self.hosts[:_LISTED])
        more = " or others" if len(self.hosts) > _LISTED else ""
        return f"an {' or '.join(self.schemes)} URL of {of}{more}"


class _Refused(Exception):
    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def _is_host(text: str) -> bool:
    """Return whether a list may have it: ``name``, ``name:port``, ``*.name``, ``*``, or an address."""
    if text == "*":
        return True
    name, _, port = (
        text.removeprefix("*.").rpartition(":") if text.count(":") == 1 else (text.removeprefix("*."), "", "")
    )
    if port and not port.isdecimal():
        return False
    try:
        read_host(name)
    except EgressRefused:
        return False
    return bool(name)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
