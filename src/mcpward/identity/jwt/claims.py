"""The claims of a token, judged by the rules of its issuer. Signatures are not checked here."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from mcpward.identity.jwt import claim_forms, lifetime
from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules


class Claims(Struct, frozen=True, kw_only=True, eq=False):
    """A caller as its claims describe it. ``key`` is the thumbprint of the signing key; empty if there was none."""

    issuer: str
    subject: str
    audience: tuple[str, ...]
    client: str
    scopes: frozenset[str]
    groups: frozenset[str]
    expires_at: float
    raw: Mapping[str, Any]
    key: str = ""

    def __repr__(self) -> str:
        return f"Claims(issuer={self.issuer!r}, subject={self.subject!r})"  # the rest may be anything about a person


def judge(raw: Mapping[str, Any], rules: IssuerRules, now: float, key: str = "") -> Claims:
    """Read the claims of a token that is known to be genuine. Also for the answer of introspection (RFC 7662).

    Raises :class:`TokenRefused`: another issuer (exact, attack 19), another audience (exact, attack 20), not valid at
    ``now`` (attacks 17, 18), or without a subject.
    """
    if raw.get("iss") != rules.issuer:
        raise TokenRefused("the token is of another issuer")
    audience = claim_forms.audience(raw)
    if rules.audience not in audience and rules.others.isdisjoint(audience):
        raise TokenRefused("the token is for another audience")
    return Claims(
        issuer=rules.issuer,
        subject=claim_forms.subject(raw, rules.subject),
        audience=audience,
        client=claim_forms.client(raw),
        scopes=claim_forms.scopes(raw, rules.scope),
        groups=claim_forms.groups(raw, rules.groups),
        expires_at=lifetime.expiry(raw, rules, now),
        raw=raw,
        key=key,
    )
