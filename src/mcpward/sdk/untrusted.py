"""The option ``untrusted``: what a tool or a resource returns was written by strangers."""

from typing import Any

from mcpward.core.origin_name import ANYWHERE, RULE, is_origin
from mcpward.sdk.errors import AuthoringError


def read_untrusted(untrusted: Any, what: str, place: str) -> str | None:
    """Return the name of the origin, None for results that are trusted. Raises :class:`AuthoringError`."""
    if isinstance(untrusted, bool):
        return ANYWHERE if untrusted else None
    if isinstance(untrusted, str) and is_origin(untrusted):
        return untrusted.strip()
    problem = f"{what}: untrusted is True, False or the name of an origin, {RULE}"
    raise AuthoringError(problem, place, 'write untrusted="mail"')
