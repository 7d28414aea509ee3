"""Whether a token is an access token at all, and not another token of the same issuer (attack 21).

If the provider marks access tokens (RFC 9068 §4), the mark decides. If the operator states that it does not, the other
types are recognised by the claims that only they have.
"""

from collections.abc import Mapping
from typing import Any, Final

from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import ACCESS_TOKEN, IssuerRules

_UNMARKED: Final = frozenset({None, "jwt", ACCESS_TOKEN})
# OpenID Connect Core §3.1.3.6 and §3.3.2.11: hashes that bind an ID token. RFC 8417 §2.2: security events, logout.
_FOREIGN: Final = frozenset({"at_hash", "c_hash", "s_hash", "events"})
# Claims in which a provider names the kind itself, with what it calls an access token.
_MARKS: Final = {"typ": ("bearer", ACCESS_TOKEN), "token_use": ("access", "access_token")}


def require_access_token(typ: str | None, raw: Mapping[str, Any], rules: IssuerRules) -> None:
    """Raise :class:`TokenRefused` for ID tokens, refresh tokens, logout tokens and all else that is no access token.

    ``typ`` is the header's, ``raw`` are the claims. A token that is bound to a key (``cnf``, RFC 7800: DPoP, mutual
    TLS) is refused too: sent as a bearer token, it may come from a sender without that key (attack 31).
    """
    if "cnf" in raw:
        raise TokenRefused("the token is bound to a key")
    if rules.token_type == ACCESS_TOKEN:
        if typ != ACCESS_TOKEN:
            raise TokenRefused("the token is not marked as an access token")
        return
    if typ not in _UNMARKED or not _FOREIGN.isdisjoint(raw):
        raise TokenRefused("the token is of another kind")
    for name, words in _MARKS.items():
        word = raw.get(name, words[0])
        if not isinstance(word, str) or word.lower() not in words:
            raise TokenRefused("the token states another kind")


def require_client(client: str, rules: IssuerRules) -> None:
    """Raise :class:`TokenRefused` for a signed token that has no mark and names no ``client``.

    An access token does (RFC 9068 §2.2; every provider known has a name for it). The plain ID token of a client that
    shares its registration with mcpward does not, and has the very audience that mcpward expects (attack 21).
    """
    if rules.token_type != ACCESS_TOKEN and not client:
        raise TokenRefused("the token does not name its client")
