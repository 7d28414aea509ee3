"""The rights of a server's tokens: scopes as they are, classes of tools by scope, and more by group, role or client.

Permissions only ever add. Nothing here looks at a request.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from mcpward.core.scope import Access
from mcpward.identity.jwt import claim_forms
from mcpward.identity.jwt.claims import Claims

EVERY_SCOPE = "*"
"""mcpward reads it as "all scopes". Keys of our own may have it; a token of a provider may not."""


class Grant(Struct, frozen=True):
    """One permission: its receivers (``kind`` is group, role or client), and its rights. ``issuer`` names the provider
    that must confirm it, "" if a server has only one.
    """

    kind: str
    name: str
    access: Access = Access.READ
    scopes: frozenset[str] = frozenset()
    issuer: str = ""


class Rights(Struct, frozen=True):
    """One server's reading of a token. ``access`` maps scopes to classes; ``claims`` are those that tools may see.

    ``confirm_scope`` lets calls run if a client cannot ask its person for consent.
    """

    access: Mapping[str, Access] = {}
    grants: tuple[Grant, ...] = ()
    claims: tuple[str, ...] = ()
    confirm_scope: str | None = None


class Entitled(Struct, frozen=True):
    """The rights of one caller."""

    scopes: frozenset[str]
    access: Access


def entitle(claims: Claims, rights: Rights, issuer: str = "", roles: str = "roles") -> Entitled:
    """Return what ``claims`` of the provider ``issuer`` open; ``roles`` is the name of that claim there."""
    scopes = claims.scopes - {EVERY_SCOPE}
    access = Access.READ
    if rights.grants:
        held = {"group": claims.groups, "role": claim_forms.groups(claims.raw, roles), "client": {claims.client}}
        for grant in rights.grants:
            if grant.issuer in {"", issuer} and grant.name in held[grant.kind]:
                scopes |= grant.scopes
                access = max(access, grant.access)
    return Entitled(scopes, max((access, *(least for scope, least in rights.access.items() if scope in scopes))))


def chosen(claims: Claims, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the claims of these names, as far as there are any, so that no tool can change them for the next call."""
    found = {name: claim_forms.find(claims.raw, name) for name in names}
    return MappingProxyType({name: _frozen(value) for name, value in found.items() if value is not None})


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(one) for name, one in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
