"""The lifetime of a token (RFC 7519 §4.1.4-6)."""

from collections.abc import Mapping
from typing import Any

from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules


def expiry(raw: Mapping[str, Any], rules: IssuerRules, now: float) -> float:
    """Return when the token ends. Raises :class:`TokenRefused` unless it is valid ``now``, in seconds."""
    ends_at = _moment(raw, "exp")
    if ends_at is None:
        raise TokenRefused("the token has no expiry")
    if now >= ends_at + rules.leeway_s:
        raise TokenRefused("the token has expired")
    if ends_at > now + rules.longest_life_s + rules.leeway_s:
        raise TokenRefused("the token's lifetime is longer than allowed")
    for name in ("nbf", "iat"):
        begins_at = _moment(raw, name)
        if begins_at is not None and begins_at > now + rules.leeway_s:
            raise TokenRefused("the token is from the future")
    return ends_at


def _moment(raw: Mapping[str, Any], name: str) -> float | None:
    if name not in raw:
        return None
    value = raw[name]
    # True is an int to Python, and a number in a string is none.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused("a time is not a number")
    try:
        return float(value)
    except OverflowError:  # JSON's whole numbers have no end, and any issuer may write one
        raise TokenRefused("a time is too large a number") from None
