"""The requirements of one server for the tokens of one issuer."""

from typing import Final

from msgspec import Struct

from mcpward.identity.jwt.algorithm import ALGORITHMS, DEFAULT

ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105 - a media type (RFC 9068 §2.1), no secret
ANY: Final = "any"
MAX_LEEWAY_S: Final = 60.0
LONGEST_LIFE_S: Final = 30 * 86_400.0
"""The longest that known providers let an access token live. A longer one was made by mistake or by hand."""


class IssuerRules(Struct, frozen=True, kw_only=True):
    """``audience`` is this issuer's name for this server: one exact text. ``others`` are further names of the same
    server, as exact: a server has them if it has several URLs.

    ``token_type`` is ``at+jwt`` (RFC 9068), or ``any`` if the operator states that the provider does not mark its
    access tokens. ``subject``, ``scope`` and ``groups`` are names of claims, as
    :func:`mcpward.identity.jwt.claim_forms.find` reads them.

    Raises:
        ValueError: the rules would admit tokens that no rule means.
    """

    issuer: str
    audience: str
    others: frozenset[str] = frozenset()
    algorithms: frozenset[str] = DEFAULT
    token_type: str = ACCESS_TOKEN
    leeway_s: float = 30.0
    longest_life_s: float = LONGEST_LIFE_S
    subject: str = "sub"
    scope: str = "scope"
    groups: str = "groups"

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ValueError("rules name an issuer and an audience")
        if not self.algorithms or not self.algorithms <= ALGORITHMS.keys():
            raise ValueError("rules name asymmetric signature algorithms")
        if self.token_type not in {ACCESS_TOKEN, ANY}:
            raise ValueError("the token type is at+jwt or any")
        if not 0 <= self.leeway_s <= MAX_LEEWAY_S:
            raise ValueError("the leeway is at most 60 seconds")
