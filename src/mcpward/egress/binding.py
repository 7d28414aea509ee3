"""Where a bound secret may go: into a header for credentials, to one of its hosts, over https; and nowhere else.

Looks at the secrets that were passed as such, and at the bytes, for a value that a tool has revealed and put somewhere
itself. A value that the tool cut into pieces or encrypted is not found.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

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
    bound = [(one, _forms(one)) for one in bindings()]
    if not bound:
        return
    for header, data in _parts(outgoing):
        spellings = [*_spellings(data)]
        for one, forms in bound:
            if any(form in spelt for form in forms for spelt in spellings):
                _require(one.name, one.hosts, one.header, header, outgoing.url)
    host = outgoing.url.host.replace(".", "")
    for one, _ in bound:
        if any(value.lower().replace(".", "") in host for value in _long(one)):
            raise EgressRefused(Failure.SECRET_BOUND, f"the secret {one.name} is bound, and the host contains it")


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
    yield "", outgoing.url.target.encode()
    for name, value in outgoing.headers:
        yield "", name.encode()
        yield name, value.encode()
    if outgoing.content:
        yield "", outgoing.content


def _spellings(data: bytes) -> Iterator[bytes]:
    """Return the data as it is, percent-decoded once and twice, and in one alphabet of base64 without breaks."""
    yield data
    if b"%" in data or b"+" in data:
        once = unquote_to_bytes(data.replace(b"+", b" "))
        yield unquote_to_bytes(data)
        yield once
        yield unquote_to_bytes(once)
    yield data.translate(_URL_SAFE, _BREAKS)
    if b"%" in data:
        yield unquote_to_bytes(data).translate(_URL_SAFE, _BREAKS)


def _long(bound: Binding) -> list[str]:
    return [value for value in bound.values if len(value) >= _SHORTEST]


def _forms(bound: Binding) -> set[bytes]:
    """Return a secret's values raw, as JSON spells them, and in base64 at each of the three offsets."""
    forms: set[bytes] = set()
    for value in _long(bound):
        raw = value.encode()
        forms |= {raw, _encode(value)[1:-1]}
        for offset, skipped in ((0, 0), (1, 2), (2, 3)):
            encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
            shared = 1 if (offset + len(raw)) % 3 else 0  # the last character depends on the next byte
            forms.add(encoded[skipped : len(encoded) - shared])
    return forms
