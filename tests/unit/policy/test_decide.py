"""Access to tools: list and call are judged alike, and hidden looks like missing (attacks 37, 66, 67)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, AuthMethod, Call, Era, Kind, Principal, Tool
from mcpward.policy.decide import Policy
from mcpward.policy.step_up import Demand
from support.facts import facts_of


def tool(name: str = "add", **more: Any) -> Tool:
    fields: dict[str, Any] = {"server": "orders", "access": Access.READ} | more
    return Tool(name=name, listing={"name": name}, bind=lambda raw: {}, run=lambda: None, **fields)


def principal(**more: Any) -> Principal:
    fields: dict[str, Any] = {"key": "api-key:a", "way": AuthMethod.API_KEY, "server": "orders", "subject": "a"}
    return Principal(**(fields | {"access": Access.DESTRUCTIVE} | more))


class Shelf:
    """The tools of one server by name."""

    def __init__(self, *tools: Tool) -> None:
        self.tools = tools

    def find(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def is_held(self, name: str) -> bool:
        return False


TOOLS = (
    tool("read"),
    tool("write", access=Access.WRITE),
    tool("drop", access=Access.DESTRUCTIVE),
    tool("scoped", scopes=frozenset({"orders:read", "orders:list"})),
)
POLICY = Policy(
    {"orders": Shelf(*TOOLS), "other": Shelf(tool("read", server="other"))},
    {server: Demand(Challenge(f"https://h.example/{server}")) for server in ("orders", "other")},
)


def call(name: str, who: Principal, kind: Kind = Kind.TOOL) -> Call:
    arrival = Arrival(
        id="r", at=0.0, started=0.0, peer="p", bucket="p", verb="POST", server=who.server, headers={}, body=b""
    )
    return Call(
        arrival=arrival, principal=who, era=Era.MODERN, version="v", kind=kind, method="tools/call", id=1, target=name
    )


def names(who: Principal) -> list[str]:
    return [tool.name for tool in POLICY.visible(who, TOOLS)]


def test_a_key_without_bounds_sees_every_tool_of_its_server_in_order() -> None:
    assert names(principal(scopes=frozenset("*"))) == ["read", "write", "drop", "scoped"]


def test_who_was_given_no_class_may_read_alone() -> None:
    assert names(Principal(key="k", way=AuthMethod.ANONYMOUS, server="orders", subject="a")) == ["read"]


def test_a_key_of_another_server_sees_none() -> None:
    assert names(principal(server="other")) == []


def test_a_key_that_names_tools_is_good_for_those_alone() -> None:
    assert names(principal(tools=frozenset({"write", "nothing"}))) == ["write"]
    assert names(principal(tools=frozenset())) == []


@pytest.mark.parametrize(
    "access, seen",
    [(Access.READ, ["read"]), (Access.WRITE, ["read", "write"]), (Access.DESTRUCTIVE, ["read", "write", "drop"])],
)
def test_a_clearance_covers_what_is_below_it(access, seen) -> None:
    assert [name for name in names(principal(access=access)) if name != "scoped"] == seen


@pytest.mark.parametrize(
    "way, scopes, allowed",
    [
        (AuthMethod.API_KEY, (), False),
        (AuthMethod.API_KEY, ("*",), True),
        (AuthMethod.API_KEY, ("orders:*",), False),  # no pattern: only the lone star is all
        (AuthMethod.API_KEY, ("orders:read",), False),
        (AuthMethod.API_KEY, ("orders:read", "orders:list"), True),
        (AuthMethod.API_KEY, ("orders:read", "orders:list", "x"), True),
        (AuthMethod.API_KEY, ("x",), False),
        (AuthMethod.UNLISTED, (), False),
        (AuthMethod.ANONYMOUS, (), False),
        (AuthMethod.OAUTH, (), False),
        (AuthMethod.OAUTH, ("orders:read",), False),
        (AuthMethod.OAUTH, ("orders:read", "orders:list"), True),
    ],
)
def test_all_scopes_of_a_tool_must_be_held(way, scopes, allowed) -> None:
    who = principal(way=way, scopes=frozenset(scopes))
    assert POLICY.decide(who, TOOLS[3]).allowed is allowed


def test_one_denial_outweighs_everything_that_allows() -> None:
    who = principal(tools=frozenset({"drop"}), access=Access.WRITE)
    decision = POLICY.decide(who, TOOLS[2])
    assert not decision.allowed
    assert decision.reason == "above the cleared access class"


def test_the_tool_that_passes_is_given() -> None:
    assert POLICY.require(call("write", principal())) is TOOLS[1]


@pytest.mark.parametrize("kind", [Kind.CATALOGUE, Kind.LIFECYCLE, Kind.NOTIFICATION])
def test_a_call_that_names_no_tool_passes(kind) -> None:
    assert POLICY.require(call("", principal(), kind)) is None


NAUGHTY = ["nothing", "", "__proto__", "__class__", "a\x00b", "\u202eeteled", "x" * 10_240, "READ", "read ", "../read"]


@pytest.mark.parametrize("name", NAUGHTY)
def test_66_an_unknown_tool_is_unknown(name) -> None:
    with pytest.raises(Refusal) as no:
        POLICY.require(call(name, principal()))
    assert no.value.reason is Reason.TOOL_UNKNOWN


def test_66_a_hidden_tool_answers_like_a_missing_one() -> None:
    answers = set()
    for name in ("drop", "nothing"):
        with pytest.raises(Refusal) as no:
            POLICY.require(call(name, principal(access=Access.READ)))
        answers.add((no.value.reason, tuple(facts_of(no.value))))  # what may reach the wire
    assert answers == {(Reason.TOOL_UNKNOWN, ())}


def test_an_unknown_server_has_no_tools() -> None:
    with pytest.raises(Refusal):
        POLICY.require(call("read", principal(server="nowhere")))


@given(
    st.sampled_from(list(AuthMethod)),
    st.sampled_from(list(Access)),
    st.none() | st.frozensets(st.sampled_from([tool.name for tool in TOOLS])),
    st.frozensets(st.sampled_from(["orders:read", "orders:list", "x"])),
    st.sampled_from(["orders", "other"]),
)
def test_67_what_is_not_listed_cannot_be_called_and_what_is_can(way, access, tools, scopes, server) -> None:
    who = principal(way=way, access=access, tools=tools, scopes=scopes, server=server)
    shelf = TOOLS if server == "orders" else (tool("read", server="other"),)
    listed = {tool.name for tool in POLICY.visible(who, shelf)}
    for candidate in shelf:
        try:
            callable_ = POLICY.require(call(candidate.name, who)) is not None
        except Refusal:
            callable_ = False
        assert callable_ == (candidate.name in listed)


class Prompt:
    """Something that is offered besides tools."""

    def __init__(self, server: str = "orders", scopes: tuple[str, ...] = ()) -> None:
        self.server = server
        self.scopes = frozenset(scopes)


@pytest.mark.parametrize(
    "who,offer,allowed",
    [
        ({}, {}, True),
        ({"access": Access.READ}, {}, True),
        ({"tools": frozenset({"read"})}, {}, False),
        ({"tools": frozenset()}, {}, False),
        ({"server": "other"}, {}, False),
        ({}, {"server": "other"}, False),
        ({}, {"scopes": ("a",)}, False),
        ({"scopes": frozenset({"a"})}, {"scopes": ("a", "b")}, False),
        ({"scopes": frozenset({"a", "b"})}, {"scopes": ("a", "b")}, True),
        ({"scopes": frozenset({"*"})}, {"scopes": ("a", "b")}, True),
        ({"scopes": frozenset({"*"}), "tools": frozenset({"read"})}, {}, False),
    ],
)
def test_what_is_offered_besides_tools_is_for_those_who_hold_its_scopes(who, offer, allowed) -> None:
    assert POLICY.may_use(principal(**who), Prompt(**offer)) is allowed
