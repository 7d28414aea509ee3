from types import MappingProxyType
from typing import Any

import pytest

from mcpward.core.scope import Access
from mcpward.identity.jwt.claims import Claims
from mcpward.identity.oauth.permissions import Grant, Rights, chosen, entitle


def claims(*scopes: str, groups: tuple[str, ...] = (), client: str = "desk", **raw: Any) -> Claims:
    return Claims(
        issuer="https://id.example.com", subject="ann", audience=("x",), client=client, scopes=frozenset(scopes),
        groups=frozenset(groups), expires_at=1.0, raw=raw,
    )  # fmt: skip


ACCESS = {"o:write": Access.WRITE, "o:drop": Access.DESTRUCTIVE}


@pytest.mark.parametrize(
    "scopes,access",
    [
        ((), Access.READ), (("o:read",), Access.READ), (("o:write",), Access.WRITE), (("o:drop",), Access.DESTRUCTIVE),
        (("o:drop", "o:write"), Access.DESTRUCTIVE), (("o:writ", "O:WRITE", "o:write2"), Access.READ),
        (("*",), Access.READ),
    ],
)  # fmt: skip
def test_the_highest_scope_held_gives_the_class(scopes, access):
    assert entitle(claims(*scopes), Rights(ACCESS)).access is access


def test_a_star_from_a_provider_is_not_every_scope():
    assert entitle(claims("*", "a"), Rights()).scopes == {"a"}


GRANTS = Rights(
    ACCESS,
    (
        Grant("group", "admins", Access.DESTRUCTIVE, frozenset({"o:audit"})),
        Grant("role", "writer", scopes=frozenset({"o:write"})),
        Grant("client", "batch", Access.WRITE),
        Grant("group", "staff", Access.WRITE, issuer="main"),
    ),
)


@pytest.mark.parametrize(
    "who,scopes,access",
    [
        (claims(groups=("admins",)), {"o:audit"}, Access.DESTRUCTIVE),
        (claims(roles=["writer"]), {"o:write"}, Access.WRITE),  # a granted scope counts as one held
        (claims(roles="writer"), {"o:write"}, Access.WRITE),
        (claims(client="batch"), set(), Access.WRITE),
        (claims("a", groups=("admins", "staff")), {"a", "o:audit"}, Access.DESTRUCTIVE),
        (claims(groups=("writer", "batch", "Admins", "")), set(), Access.READ),
        (claims(groups=("staff",)), set(), Access.READ),  # another provider's staff
        (claims(roles={"writer": True}), set(), Access.READ),
        (claims(client=""), set(), Access.READ),
    ],
)
def test_groups_roles_and_clients_add_what_the_operator_wrote(who, scopes, access):
    found = entitle(who, GRANTS, "other")
    assert (found.scopes, found.access) == (scopes, access)


def test_a_permission_of_one_provider_is_for_its_own_people():
    assert entitle(claims(groups=("staff",)), GRANTS, "main").access is Access.WRITE


def test_roles_may_stand_deeper():
    nested = claims(realm_access={"roles": ["writer"]})
    assert entitle(nested, GRANTS, roles="realm_access.roles").access is Access.WRITE
    assert entitle(nested, GRANTS).access is Access.READ


def test_chosen_claims_are_those_and_cannot_be_changed():
    raw: dict[str, Any] = {
        "email": "a@b.example",
        "name": "Ann",
        "address": {"lines": ["x"]},
        "sub": "ann",
        "empty": None,
    }
    found = chosen(claims(**raw), ("email", "address", "nowhere", "empty", "address.lines"))
    assert found == {"email": "a@b.example", "address": {"lines": ("x",)}, "address.lines": ("x",)}
    assert isinstance(found, MappingProxyType)
    with pytest.raises(TypeError):
        found["address"]["lines"] = ()
