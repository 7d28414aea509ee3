"""``FromCaller``: what is read at the declaration, and what a caller's value becomes."""

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from mcpward import FromCaller, Server
from mcpward.core.caller_path import read_caller_path
from mcpward.core.values import AuthMethod, Principal
from mcpward.sdk.errors import AuthoringError


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    tenant: Annotated[str, FromCaller("tags.tenant")]


@dataclass
class Plain:
    tenants: list[Annotated[str, FromCaller("tags.tenant")]]


def declared(annotation: Any, default: Any = ...) -> Any:
    def act(value: Any) -> str:
        """Act."""
        return ""

    server = Server("shop")
    act.__annotations__["value"] = annotation
    if default is not ...:
        act.__defaults__ = (default,)
    server.tool(act)
    return server.tools[0]


def who(way: AuthMethod = AuthMethod.API_KEY, **more: Any) -> Principal:
    return Principal(key="k", way=way, server="shop", subject="root", **more)


def test_a_bound_parameter_is_in_no_schema():
    tool = declared(Annotated[str, FromCaller("subject")])
    assert tool.arguments.schema()["properties"] == {}
    assert [(one.name, str(one.path)) for one in tool.bound] == [("value", "subject")]


@pytest.mark.parametrize(
    "annotation,default,said",
    [
        (Annotated[str, FromCaller("subject")], "x", "FromCaller and a default exclude each other"),
        (str, FromCaller("subject"), "FromCaller is not a default"),
        (Annotated[str, FromCaller], ..., "FromCaller needs a path"),
        (Annotated[str, FromCaller("subject")] | None, ..., "FromCaller inside another type binds nothing"),
        (list[Annotated[str, FromCaller("subject")]], ..., "FromCaller inside another type binds nothing"),
        (Inner, ..., "FromCaller inside another type binds nothing"),
        (list[Inner], ..., "FromCaller inside another type binds nothing"),
        (Plain, ..., "FromCaller inside another type binds nothing"),
        (Annotated[str, FromCaller("subject"), FromCaller("tags.a")], ..., "has FromCaller twice"),
        (Annotated[bool, FromCaller("tags.a")], ..., "tags.a is a text, and"),
        (Annotated[list[str], FromCaller("tags.a")], ..., "tags.a is a text, and"),
        (Annotated[dict, FromCaller("subject")], ..., "subject is a text, and"),
    ],
)
def test_a_binding_that_would_bind_nothing_is_an_authors_mistake(annotation: Any, default: Any, said: str):
    with pytest.raises(AuthoringError) as wrong:
        declared(annotation, default)
    assert said in str(wrong.value)
    assert wrong.value.hint
    assert "test_from_caller.py" in wrong.value.where


@pytest.mark.parametrize(
    "path,hint",
    [
        ("caller.subject", 'write FromCaller("subject")'),
        ("email", 'write FromCaller("claims.email") or FromCaller("tags.email")'),
        ("claim.email", 'write FromCaller("claims.email")'),
        ("name", 'write FromCaller("claims.name") or FromCaller("tags.name")'),
        ("tags.", "see its docstring"),
        ("", "see its docstring"),
    ],
)
def test_a_path_that_names_nothing_is_told_with_the_right_one(path: str, hint: str):
    with pytest.raises(AuthoringError) as wrong:
        FromCaller(path)
    assert wrong.value.hint == hint


def test_resources_and_prompts_take_the_caller_instead():
    server = Server("shop")
    with pytest.raises(AuthoringError, match="FromCaller is for the parameters of tools"):

        @server.prompt
        def greet(user: Annotated[str, FromCaller("subject")]) -> str:
            """Greet."""
            return user


@pytest.mark.parametrize(
    "annotation,path,given,made",
    [
        (str, "subject", "a", "a"),
        (Annotated[str, Field(max_length=3)], "subject", "abc", "abc"),
        (int, "tags.n", "42", 42),
        (int, "tags.n", "-1", -1),
        (UUID, "tags.n", "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        (date, "tags.n", "2026-03-01", date(2026, 3, 1)),
        (Colour, "tags.n", "red", Colour.RED),
        (list[str], "claims.groups", ("a", "b"), ["a", "b"]),
        (bool, "claims.admin", True, True),
    ],
)
def test_a_value_becomes_the_parameters_type(annotation: Any, path: str, given: Any, made: Any):
    [bound] = declared(Annotated[annotation, FromCaller(path)]).bound
    assert bound.convert(given) == made


@pytest.mark.parametrize(
    "annotation,path,given",
    [
        (str, "claims.a", 1),
        (Annotated[str, Field(max_length=3)], "subject", "abcd"),
        *((int, "tags.n", text) for text in ("042", "4_2", " 42", "42.0", "1e3", "+1", "-0", "99999999999999999999")),
        (int, "claims.n", "42"),
        (int, "claims.n", True),
        (bool, "claims.n", 1),
        (bool, "claims.n", "true"),
        (Colour, "tags.n", "RED"),
        (list[str], "claims.groups", ("a", 1)),
    ],
)
def test_a_value_of_another_type_is_refused_and_not_quoted(annotation: Any, path: str, given: Any):
    [bound] = declared(Annotated[annotation, FromCaller(path)]).bound
    with pytest.raises(ValueError, match=r"^is not ") as wrong:
        bound.convert(given)
    assert str(given) not in str(wrong.value)


@pytest.mark.parametrize(
    "path,found",
    [
        ("claims.a.b", 1), ("claims.a.c", None), ("claims.x.y", 2), ("claims.x.y.z", None),
        ("claims.realm.access.n", 3),
        ("claims.empty", None), ("tags.tenant", "acme"), ("tags.vip", None), ("tags.none", None), ("subject", "root"),
        ("issuer", "mcpward"), ("client", None),
    ],
)  # fmt: skip
def test_a_path_leads_to_the_value_or_to_none(path: str, found: Any):
    claims = {"a": {"b": 1}, "x.y": 2, "realm.access": {"n": 3}, "empty": ""}
    principal = who(claims=claims, tags={"tenant": "acme", "vip": ""}, client="a name")
    assert read_caller_path(path).find(principal) == found


@pytest.mark.parametrize("way", [AuthMethod.ANONYMOUS, AuthMethod.UNLISTED])
def test_the_nameless_have_no_subject_that_rows_could_belong_to(way: AuthMethod):
    assert read_caller_path("subject").find(who(way)) is None
    assert read_caller_path("client").find(who(AuthMethod.OAUTH, client="app")) == "app"
