"""What an authorization server says about itself (RFC 8414, OpenID Connect Discovery 1.0), read without trust.

The operator named one URL; the document found there must belong to exactly the issuer of that URL, or a document put
in its place could send callers and keys elsewhere (RFC 8414 §3.3 and §6.2). Whatever is missing is named, all at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from mcpward.core.errors import Finding, Misconfigured
from mcpward.egress import url as egress_url
from mcpward.egress.trouble import EgressRefused

_WELL_KNOWN: Final = "/.well-known/"
_DOCUMENTS: Final = ("oauth-authorization-server", "openid-configuration")
_LONGEST: Final = 200
_MOST_METHODS: Final = 64


class Metadata(Struct, frozen=True):
    """What was announced, as far as anybody here needs it. ``methods`` are ways of client authentication."""

    issuer: str
    jwks_uri: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    introspection_endpoint: str | None = None
    token_methods: tuple[str, ...] = ("client_secret_basic",)
    introspection_methods: tuple[str, ...] = ("client_secret_basic",)


class Wanted(Struct, frozen=True):
    """What the operator asked for: where the document is, what it must have, and ``where`` that is configured.

    ``is_lax``: the provider is known not to say all that it does. ``signed`` tokens need ``jwks_uri``, ``opaque``
    ones ``introspection_endpoint``.
    """

    url: str
    where: str
    signed: bool = True
    opaque: bool = False
    is_lax: bool = False


def issuer_of(url: str) -> str | None:
    """Give the issuer whose metadata is at ``url``, without a slash at its end; None where it is no such URL.

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


def read(document: Any, wanted: Wanted) -> Metadata:
    """Take over what ``document`` says.

    Raises :class:`Misconfigured` with a finding for each thing that is missing or wrong.
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

    def __init__(self, document: Mapping[str, Any], wanted: Wanted) -> None:
        self._document = document
        self._wanted = wanted
        self.findings: list[Finding] = []
        grants = document.get("grant_types_supported")
        # Absent means authorization_code and implicit (RFC 8414 §2). Machines alone need no page to log in at.
        self.has_logins = not isinstance(grants, Sequence) or "authorization_code" in grants

    def issuer(self) -> str:
        """The issuer must be that of the URL; a slash at its end is the one freedom that both specifications leave."""
        issuer, expected = self._document.get("issuer"), issuer_of(self._wanted.url)
        if isinstance(issuer, str) and expected is not None and issuer in {expected, expected + "/"}:
            return issuer
        said = repr(issuer[:_LONGEST]) if isinstance(issuer, str) else "missing"
        self._complain(f"issuer is {said}", f"the metadata at this URL must be of the issuer {expected!r}")
        return ""

    def endpoint(self, name: str, *, is_needed: bool) -> str | None:
        """Give the URL of an endpoint: https, or http where the operator has the metadata itself from there."""
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
        """Give ways of client authentication; client_secret_basic where none are announced (RFC 8414 §2)."""
        value = self._document.get(name)
        if not isinstance(value, list):
            return ("client_secret_basic",)
        return tuple(method for method in value[:_MOST_METHODS] if isinstance(method, str))

    def require_pkce(self) -> None:
        """MCP clients must not begin where S256 is not announced; a lax provider may be silent, not contrary."""
        announced = self._document.get("code_challenge_methods_supported")
        if not self.has_logins or (announced is None and self._wanted.is_lax):
            return
        if not isinstance(announced, list) or "S256" not in announced:
            self._complain(
                "code_challenge_methods_supported does not have S256", "clients need PKCE: switch it on at the provider"
            )

    def _complain(self, what: str, hint: str) -> None:
        self.findings.append(Finding(f"{self._wanted.url}: {what}", self._wanted.where, hint))
