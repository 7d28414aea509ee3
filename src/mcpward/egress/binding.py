"""Where a bound secret may go: into a header for credentials, to one of its hosts, over https; and nowhere else.

Looks at the secrets that were passed as such, and at the bytes, for a value that a tool has revealed and put somewhere
itself. A value that the tool cut into pieces or encrypted is not found.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from ahocorasick_rs import BytesAhoCorasick

from mcpward.core.secret import Binding, bindings
from mcpward.egress.failures import EgressRefused, Failure
from mcpward.egress.outgoing import OutgoingRequest
from mcpward.egress.url import Url

#: The headers in which services take credentials. A secret may name one more.
_HEADERS: Final = frozenset({"authorization", "x-api-key", "api-key", "x-auth-token"})
#: A shorter value is part of ordinary text. Passed as a secret, it is bound like any other.
_SHORTEST: Final = 6
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_BREAKS: Final = b"\r\n \t"
_encode: Final = msgspec.json.Encoder().encode


def require_permitted(outgoing: OutgoingRequest) -> None:
    """Raise :class:`EgressRefused` (secret-bound) if a bound secret would leave in the wrong place, or to a wrong host.

    Before a name is resolved: a question to DNS is seen by others, too.
    """
    for use in outgoing.uses:
        if use.secret.hosts:
            _require(use.secret.name, use.secret.hosts, use.secret.header, use.header, outgoing.url)
    bound = _by_value()
    if not bound:
        return
    found_in = _search_for(tuple(bound))
    for header, data in _parts(outgoing):
        for value in {value for spelt in _spellings(data) for value in found_in(spelt)}:
            _require_any(bound[value], header, outgoing.url)
    host = outgoing.url.host.replace(".", "")
    for value, holders in bound.items():
        if value.lower().replace(".", "") in host:
            detail = f"the secret {holders[0].name} is bound, and the host contains it"
            raise EgressRefused(Failure.SECRET_BOUND, detail)


@lru_cache(maxsize=4)  # building takes milliseconds: the values stay in memory as long as they are the latest ones
def _search_for(values: tuple[str, ...]) -> Callable[[bytes], set[str]]:
    holders: dict[bytes, set[str]] = {}
    for value in values:
        for form in _forms(value):
            holders.setdefault(form, set()).add(value)
    of_form = list(holders.values())
    matches = BytesAhoCorasick(list(holders)).find_matches_as_indexes
    return lambda data: {value for match in matches(data, overlapping=True) for value in of_form[match[0]]}


def _by_value() -> dict[str, list[Binding]]:
    """Return the bindings by value: servers of one site may each have the same key, and each its hosts."""
    found: dict[str, list[Binding]] = {}
    for one in bindings():
        for value in one.values:
            if len(value) >= _SHORTEST:
                found.setdefault(value, []).append(one)
    return dict(sorted(found.items()))  # one order: the search is kept by it


def _require_any(holders: list[Binding], header: str, url: Url) -> None:
    *others, last = holders
    for one in others:
        try:
            return _require(one.name, one.hosts, one.header, header, url)
        except EgressRefused:
            continue
    return _require(last.name, last.hosts, last.header, header, url)


def _require(name: str, hosts: Iterable[str], own_header: str, header: str, url: Url) -> None:
    if not header:
        detail = f"the secret {name} is bound to hosts, so it goes in a header and not in a URL or a body"
        raise EgressRefused(Failure.SECRET_BOUND, detail)
    if header not in _HEADERS and header != own_header:
        detail = f"the secret {name} is bound, and {header} is not a header for it"
        raise EgressRefused(Failure.SECRET_BOUND, detail)
    if url.scheme != "https" or not any(url.place == _with_port(host) for host in hosts):
        detail = f"the secret {name} is bound to {', '.join(hosts)} over https, and the request goes to {url.origin}"
        raise EgressRefused(Failure.SECRET_BOUND, detail)


def _with_port(host: str) -> str:
    return host if host.rpartition(":")[2].isdigit() else f"{host}:443"


def _parts(outgoing: OutgoingRequest) -> Iterator[tuple[str, bytes]]:
    """Return every part that a tool has a say in; with the header's name, or "" for URL, names and body."""
    yield "", outgoing.method.encode()
    yield "", outgoing.url.target.encode()
    for name, value in outgoing.headers:
        yield "", name.encode()
        yield name, value.encode()
    if outgoing.content:
        yield "", outgoing.content


def _spellings(data: bytes) -> Iterator[bytes]:
    """Return the data as it is, percent-decoded once and twice, and in one alphabet of base64 without breaks."""
    yield data
    yield data.translate(_URL_SAFE, _BREAKS)
    if b"%" in data:
        once = unquote_to_bytes(data)
        yield once
        yield once.translate(_URL_SAFE, _BREAKS)
        if b"%" in once:
            yield unquote_to_bytes(once)
    if b"+" in data:  # a blank, in a form
        yield unquote_to_bytes(data.replace(b"+", b" "))


def _forms(value: str) -> set[bytes]:
    """Return a value raw, in lower case as names of headers are, with CRLF, as JSON spells it, and in base64 at each of
    the three offsets; blanks around it are left out.
    """
    forms: set[bytes] = set()
    for text in {value.strip() or value, value.strip().replace("\r\n", "\n").replace("\n", "\r\n") or value}:
        raw = text.encode()
        forms |= {raw, raw.lower(), _encode(text)[1:-1]}
        for offset, skipped in ((0, 0), (1, 2), (2, 3)):
            encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
            shared = 1 if (offset + len(raw)) % 3 else 0  # the last character depends on the next byte
            forms.add(encoded[skipped : len(encoded) - shared])
    return forms
