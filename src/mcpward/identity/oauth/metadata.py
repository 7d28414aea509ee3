"""Metadata of an authorization server (RFC 8414, OpenID Connect Discovery 1.0), read without trust.

The operator named one URL. The document found there must belong to exactly the issuer of that URL. Otherwise a
substituted document could send callers and keys elsewhere (RFC 8414 §3.3 and §6.2). All missing members are named at
once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.jsonio import spell
from mcpward.egress import url as egress_url
from mcpward.egress.failures import EgressRefused

_WELL_KNOWN: Final = "/.well-known/"
_DOCUMENTS: Final = ("oauth-authorization-server", "openid-configuration")
_LONGEST: Final = 200
_MOST_METHODS: Final = 64
_LONGEST_PUBLISHED: Final = 64 * 1024
_LONGEST_VALUE: Final = 4096
#: The members that a client needs to let its person sign in, for a document too long to be passed on whole.
_NEEDED: Final = (
    "issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri", "revocation_endpoint",
    "response_types_supported", "grant_types_supported", "code_challenge_methods_supported", "scopes_supported",
    "token_endpoint_auth_methods_supported", "client_id_metadata_document_supported",
)  # fmt: skip


class Metadata(Struct, frozen=True):
    """The metadata, as far as mcpward needs it. ``methods`` are methods of client authentication."""

    issuer: str
    jwks_uri: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    introspection_endpoint: str | None = None
    token_methods: tuple[str, ...] = ("client_secret_basic",)
    introspection_methods: tuple[str, ...] = ("client_secret_basic",)


class MetadataRequest(Struct, frozen=True):
    """The operator's request: the address of the document, its required members, and ``where`` that is configured.

    ``issuer`` is the exact name that the document must have. If it is empty, the name is that of the URL, or its
    outside name (:func:`is_outside`). ``is_lax``: the provider is known not to announce all that it does. ``signed``
    tokens need ``jwks_uri``, ``opaque`` ones ``introspection_endpoint``.
    """

    url: str
    where: str
    issuer: str = ""
    signed: bool = True
    opaque: bool = False
    is_lax: bool = False


def issuer_of(url: str) -> str | None:
    """Return the issuer whose metadata is at ``url``, without a slash at its end; None if it is no such URL.

    The well-known name stands between host and path (RFC 8414 §3.1), or at the end (OpenID Connect Discovery §4; some
    providers put ``oauth-authorization-server`` there, too). A query is for the provider and not part of the issuer.
    """
    try:
        egress_url.parse(url)
    except EgressRefused:
        return None
    parts = urlsplit(url)
    before, found, after = parts.path.partition(_WELL_KNOWN)
    name, slash, path = after.partition("/")
    if not found or name not in _DOCUMENTS or (before and slash) or _WELL_KNOWN in after:
        return None
    return f"{parts.scheme}://{parts.netloc}{before}{slash}{path}".rstrip("/")


def is_outside(issuer: str, url: str) -> bool:
    """Return whether ``issuer`` may be the outside name of the provider whose document was fetched from ``url``.

    An issuer is an https URL (RFC 8414 §2), so a document that comes by http was fetched from another address than its
    issuer's. Only networks that the operator named are called by http. A server that answers there supplies the keys as
    well, so its host name is trusted as much. The path must be that of the URL: one provider of several realms cannot
    name another realm. :class:`Issuers` ensures that no two providers have one issuer.
    """
    inside = issuer_of(url)
    try:
        target = egress_url.parse(issuer)
    except EgressRefused:
        return False
    if inside is None or target.scheme != "https" or not inside.startswith("http://") or "?" in issuer:
        return False
    return urlsplit(issuer).path.removesuffix("/") == urlsplit(inside).path


class Issuers:
    """The provider of each issuer: two with one name could speak for each other's people (mix-up)."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._providers: set[str] = set()

    @property
    def has_several(self) -> bool:
        """Whether more than one provider was added."""
        return len(self._providers) > 1

    def add(self, owner: str) -> None:
        """Add a provider, under the issuer that its settings imply, which no other one can claim any more."""
        self._providers.add(owner.rstrip("/"))
        self.claim(owner, owner)

    def claim(self, issuer: str, owner: str) -> bool:
        """Note that ``issuer`` is the one of ``owner``; False if it is another's. A slash at the end is no other."""
        return self._owners.setdefault(issuer.rstrip("/"), owner.rstrip("/")) == owner.rstrip("/")


def published(document: Mapping[str, Any], metadata: Metadata, wanted: MetadataRequest) -> bytes:
    """Return the document for clients: as the provider publishes it, but without inside addresses and in bounded size.

    Addresses on the host of the fetched URL are left out as inside ones if the issuer is at another address.
    """
    inside = egress_url.parse(wanted.url).host
    is_apart = egress_url.parse(metadata.issuer).host != inside
    told = {name: value for name, value in document.items() if not (is_apart and _is_inside(value, inside))}
    body = spell(told)
    if len(body) <= _LONGEST_PUBLISHED:
        return body
    return spell({name: told[name] for name in _NEEDED if name in told and len(spell(told[name])) <= _LONGEST_VALUE})


def _is_inside(value: Any, inside: str) -> bool:
    """Return whether a value is, or has in it, an address for the inside: of the inside host, or by http."""
    if isinstance(value, Mapping):
        return any(_is_inside(one, inside) for one in value.values())
    if isinstance(value, list):
        return any(_is_inside(one, inside) for one in value)
    try:
        url = egress_url.parse(value if isinstance(value, str) else "")
    except EgressRefused:
        return False
    return url.scheme == "http" or url.host == inside


def read(document: Any, wanted: MetadataRequest) -> Metadata:
    """Read ``document``.

    Raises :class:`Misconfigured` with a finding for each member that is missing or wrong.
    """
    if not isinstance(document, Mapping):
        raise Misconfigured([Finding("the metadata is no JSON object", wanted.where, wanted.url)])
    reader = _Reader(document, wanted)
    metadata = Metadata(
        issuer=reader.issuer(),
        jwks_uri=reader.endpoint("jwks_uri", is_needed=wanted.signed),
        authorization_endpoint=reader.endpoint("authorization_endpoint", is_needed=reader.has_logins),
        token_endpoint=reader.endpoint("token_endpoint", is_needed=True),
        introspection_endpoint=reader.endpoint("introspection_endpoint", is_needed=wanted.opaque),
        token_methods=reader.methods("token_endpoint_auth_methods_supported"),
        introspection_methods=reader.methods("introspection_endpoint_auth_methods_supported"),
    )
    reader.require_pkce()
    if reader.findings:
        raise Misconfigured(reader.findings)
    return metadata


class _Reader:
    """Reads one document and collects what is wrong with it."""

    def __init__(self, document: Mapping[str, Any], wanted: MetadataRequest) -> None:
        self._document = document
        self._wanted = wanted
        self.findings: list[Finding] = []
        grants = document.get("grant_types_supported")
        # Absent means authorization_code and implicit (RFC 8414 §2). Machine clients need no login page.
        self.has_logins = not isinstance(grants, Sequence) or "authorization_code" in grants

    def issuer(self) -> str:
        """The issuer must be that of the URL; a slash at its end is the one freedom that both specifications leave."""
        issuer, named, expected = self._document.get("issuer"), self._wanted.issuer, issuer_of(self._wanted.url)
        if isinstance(issuer, str):
            allowed = {named} if named else {expected, f"{expected}/"}
            if issuer in allowed or (not named and is_outside(issuer, self._wanted.url)):
                return issuer
        said = repr(issuer[:_LONGEST]) if isinstance(issuer, str) else "missing"
        hint = f"the metadata at this URL must be of the issuer {named or expected!r}"
        if not named and isinstance(issuer, str):
            hint += '; if this provider has an outside address, write that as issuer = "…" beside the URL'
        self._complain(f"issuer is {said}", hint)
        return ""

    def endpoint(self, name: str, *, is_needed: bool) -> str | None:
        """Return the URL of an endpoint: https, or http if the operator has the metadata itself from there."""
        value = self._document.get(name)
        if value is None:
            if is_needed:
                self._complain(f"{name} is missing", "the provider must announce it")
            return None
        try:
            target = egress_url.parse(value if isinstance(value, str) else "")
        except EgressRefused as refused:
            self._complain(f"{name} is not usable: {refused.why.value}", "the provider must announce an https URL")
            return None
        own = egress_url.parse(self._wanted.url)
        if target.scheme == "http" and (own.scheme, own.host) != ("http", target.host):
            self._complain(f"{name} is not https", "http is for a provider on a network that [egress] allow names")
        return str(value)

    def methods(self, name: str) -> tuple[str, ...]:
        """Return methods of client authentication; client_secret_basic if none are announced (RFC 8414 §2)."""
        value = self._document.get(name)
        if not isinstance(value, list):
            return ("client_secret_basic",)
        return tuple(method for method in value[:_MOST_METHODS] if isinstance(method, str))

    def require_pkce(self) -> None:
        """MCP clients must not begin if S256 is not announced; a lax provider may be silent, not contrary."""
        announced = self._document.get("code_challenge_methods_supported")
        if not self.has_logins or (announced is None and self._wanted.is_lax):
            return
        if not isinstance(announced, list) or "S256" not in announced:
            self._complain(
                "code_challenge_methods_supported does not have S256", "clients need PKCE: switch it on at the provider"
            )

    def _complain(self, what: str, hint: str) -> None:
        self.findings.append(Finding(f"{self._wanted.url}: {what}", self._wanted.where, hint))
