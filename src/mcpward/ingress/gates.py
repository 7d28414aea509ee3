"""The gates: pure judgements on a request's head, before its body is read. First failure wins.

No gate establishes the caller. Host and Origin stand against DNS rebinding (RFC 9112 §3.2, the MCP transport pages'
Origin rule). The rest keeps out requests that no MCP client sends.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from mcpward.core.errors import Refusal
from mcpward.core.facts import Allow
from mcpward.core.reasons import Reason
from mcpward.core.values import HeadVerdict
from mcpward.ingress.host import known_as
from mcpward.ingress.media import is_json
from mcpward.ingress.peer import Peer
from mcpward.ingress.routes import DOCUMENTS, Place, Route
from mcpward.protocol.accept import accepts_json, may_stream

#: Fields that would mean two different requests to two readers if they came twice.
_ONCE: Final = frozenset({
    b"host", b"origin", b"content-type", b"content-encoding", b"content-length", b"transfer-encoding",
})  # fmt: skip
_MAX_ACCEPT: Final = 512
LONGEST_FORM: Final = 4096
"""The largest body of a form, in bytes."""
_VERBS: Final = {
    Place.MCP: frozenset({b"GET", b"POST", b"DELETE"}),
    Place.HEALTH: frozenset({b"GET", b"HEAD"}),
    Place.READY: frozenset({b"GET", b"HEAD"}),
    Place.METRICS: frozenset({b"GET", b"HEAD"}),
    Place.RESOURCE: frozenset({b"GET", b"HEAD"}),
    Place.PROVIDER: frozenset({b"GET", b"HEAD"}),
    Place.APPROVAL: frozenset({b"GET", b"HEAD", b"POST"}),
}
#: The paths at which a page of another origin may send a preflight request (Fetch standard §4.8).
_PREFLIGHTS: Final = frozenset({Place.MCP, *DOCUMENTS})
_ALLOW: Final = {place: ", ".join(sorted(verb.decode() for verb in verbs)) for place, verbs in _VERBS.items()}
_ALLOW_WITH_PREFLIGHT: Final = {
    place: ", ".join(sorted([*(verb.decode() for verb in _VERBS[place]), "OPTIONS"])) for place in _PREFLIGHTS
}
#: Sent by nearly all clients; :func:`~mcpward.ingress.media.is_json` knows the rest.
_JSON_TYPES: Final = frozenset({b"application/json", b"application/json; charset=utf-8"})


class Rules(Struct, frozen=True):
    """The rules of the gates. Hosts and origins are lower-case and complete with their ports.

    ``own`` are the site's own origins. ``public`` are the paths of documents that pages of any origin may read,
    ``any_host`` those of probes, which are answered with any Host field. ``forms`` begin the paths of pages that have a
    form.
    """

    hosts: frozenset[bytes]
    origins: frozenset[bytes]
    max_body: int
    max_fields: int
    max_head: int
    own: frozenset[bytes] = frozenset()
    public: frozenset[bytes] = frozenset()
    any_host: frozenset[bytes] = frozenset()
    forms: tuple[bytes, ...] = ()


class Head(Struct, gc=False):
    """A request's head as it was read. ``fields`` holds lower-case names; a name in ``repeated`` came again.

    Properties of the head itself are derived once: ``peer``, whether it ``streams``, and whether its sender reads
    ``events_only``. ``visit`` is for the inner packages; it is set if the same head may come again.
    """

    verb: bytes
    target: bytes
    fields: Mapping[bytes, bytes]
    repeated: frozenset[bytes]
    version: str
    peer: Peer | None = None
    streams: bool | None = None
    events_only: bool = False
    visit: HeadVerdict | None = None


def judge_place(head: Head, rules: Rules) -> Refusal | None:
    """Judge the request's destination: the target's form, Host and Origin. None means that it passes."""
    if head.version not in ("1.1", "1.0"):
        return Refusal(Reason.REQUEST_MALFORMED, "HTTP version")
    if head.repeated and not head.repeated.isdisjoint(_ONCE):
        return Refusal(Reason.REQUEST_MALFORMED, "a single header came twice")
    host = head.fields.get(b"host")
    if host is None or head.target[:1] != b"/" or host.lower() not in rules.hosts:
        no = _judge_host(head, host, rules)
        if no is not None:
            return no
    origin = head.fields.get(b"origin")
    if origin is not None and not _is_allowed(origin.lower(), head, rules):
        return Refusal(Reason.ORIGIN_REFUSED)
    coding = head.fields.get(b"transfer-encoding")
    if coding is not None and (
        coding.lower() != b"chunked" or b"content-length" in head.fields or head.version == "1.0"
    ):
        return Refusal(Reason.REQUEST_MALFORMED, "ambiguous body length")
    return None


def _judge_host(head: Head, host: bytes | None, rules: Rules) -> Refusal | None:
    """Judge a request whose Host is not spelled as the site spells it, or that is for no host in particular."""
    is_probe = head.target.partition(b"?")[0] in rules.any_host
    if host is None and not (is_probe and head.version == "1.0"):  # RFC 9112 §3.2: HTTP/1.1 has the field
        return Refusal(Reason.REQUEST_MALFORMED, "no host")
    if is_probe:
        return None
    # Absolute-form, authority-form and "*" name a host of their own beside the Host line (attack 41).
    if head.target[:1] != b"/":
        return Refusal(Reason.REQUEST_MALFORMED, "target not in origin form")
    return None if host is not None and known_as(host) in rules.hosts else Refusal(Reason.HOST_REFUSED)


def _is_allowed(origin: bytes, head: Head, rules: Rules) -> bool:
    if origin in rules.origins or origin in rules.own or head.target.partition(b"?")[0] in rules.public:
        return True
    # A form of a page without a referrer is sent with this origin (Fetch standard §3.2). Its token proves the page.
    return origin == b"null" and head.target.startswith(rules.forms)


def judge_shape(head: Head, route: Route, rules: Rules) -> Refusal | None:
    """Judge the verb and the announced body of a request to a known place."""
    if route.place is Place.APPROVAL:
        return _judge_form(head, route, rules)
    if route.secret is not None and b"origin" in head.fields:
        return Refusal(Reason.ORIGIN_REFUSED, "a browser must not call a secret URL")
    if head.verb == b"OPTIONS" and route.place in _PREFLIGHTS and b"origin" in head.fields:
        return None  # a preflight from an allowed origin; all others were refused before
    if head.verb not in _VERBS[route.place]:
        return Refusal(Reason.VERB_REFUSED, "", Allow(_allowed(route, rules)))
    fields = head.fields
    length = fields.get(b"content-length")
    if length is not None and int(length) > rules.max_body:
        return Refusal(Reason.BODY_TOO_LARGE)
    if head.verb == b"POST":
        if b"content-encoding" in fields and fields[b"content-encoding"].lower() not in {b"identity", b""}:
            return Refusal(Reason.MEDIA_REFUSED, "content coding")  # a decompressor is a bomb's fuse (attack 49)
        kind = fields.get(b"content-type", b"")
        if kind not in _JSON_TYPES and not is_json(kind):
            return Refusal(Reason.MEDIA_REFUSED, "content type")
        accept = fields.get(b"accept", b"")
        if len(accept) > _MAX_ACCEPT:  # reading it would cost more than answering the call
            return Refusal(Reason.ACCEPT_REFUSED, "too long")
        if not accepts_json(accept):
            if not may_stream(accept):
                return Refusal(Reason.ACCEPT_REFUSED)
            head.events_only = True
    return None


def _judge_form(head: Head, route: Route, rules: Rules) -> Refusal | None:
    """Judge a request for a page, or the form that it sends."""
    if head.verb not in _VERBS[route.place]:
        return Refusal(Reason.VERB_REFUSED, "", Allow(_allowed(route, rules)))
    if int(head.fields.get(b"content-length", b"0")) > LONGEST_FORM:
        return Refusal(Reason.BODY_TOO_LARGE)
    kind = head.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if head.verb == b"POST" and kind != b"application/x-www-form-urlencoded":
        return Refusal(Reason.MEDIA_REFUSED, "content type")
    # A browser says whose page sends the form (Fetch Metadata §2.2); others have no such field.
    if head.verb == b"POST" and head.fields.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
        return Refusal(Reason.ORIGIN_REFUSED, "a form of another site")
    return None


def reads_events(head: Head) -> bool:
    """Return whether the answer may be an event stream. HTTP/1.0 knows no chunks (RFC 9112 §7.1), so it gets none."""
    streams = head.streams
    if streams is None:
        accept = head.fields.get(b"accept", b"")
        streams = head.streams = head.version == "1.1" and len(accept) <= _MAX_ACCEPT and may_stream(accept)
    return streams


def _allowed(route: Route, rules: Rules) -> str:
    """Return the Allow header (RFC 9110 §10.2.1): with preflights if there are origins that may send them."""
    if route.place in DOCUMENTS or (route.place is Place.MCP and route.secret is None and rules.origins):
        return _ALLOW_WITH_PREFLIGHT[route.place]
    return _ALLOW[route.place]
