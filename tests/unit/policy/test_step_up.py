"""Which scopes a token lacks, and when that is said at all."""

from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AuthMethod, Kind, Principal, Tool
from mcpward.policy.decide import Policy
from mcpward.policy.step_up import Demand
from support.calls import call_of
from support.facts import facts_of

PRM = "https://h.example/.well-known/oauth-protected-resource/mcp"
DEMAND = Demand(
    Challenge(PRM, ("o:read",)),
    frozenset({"o:read"}),
    {"o:drop": Access.DESTRUCTIVE, "o:write": Access.WRITE, "o:edit": Access.WRITE},
)
BARE = Demand(Challenge(PRM))


def tool(name: str, access: Access = Access.READ, *scopes: str, server: str = "orders") -> Tool:
    return Tool(
        server=server, name=name, access=access, listing={}, bind=lambda _: {}, run=dict, scopes=frozenset(scopes)
    )


class Shelf:
    """The tools of one server."""

    tools = (
        tool("look"), tool("audit", Access.READ, "o:audit"), tool("store", Access.WRITE),
        tool("move", Access.WRITE, "o:move"), tool("wipe", Access.DESTRUCTIVE), tool("alien", server="other"),
    )  # fmt: skip

    def find(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def is_held(self, name: str) -> bool:
        return False


class Prompt:
    """Something else that is offered."""

    def __init__(self, *scopes: str, server: str = "orders") -> None:
        self.server = server
        self.scopes = frozenset(scopes)


def who(*scopes: str, **more: Any) -> Principal:
    given: dict[str, Any] = {"key": "oauth:i|a", "way": AuthMethod.OAUTH, "server": "orders", "subject": "a"} | more
    return Principal(scopes=frozenset(scopes), **given)


def answer(principal: Principal, name: str, demand: Demand = DEMAND, **more: Any) -> tuple[Reason, str] | str:
    """Return the tool's name, or the reason of the no with the scopes that it names."""
    call = call_of(name, principal=principal, **more)
    try:
        found = Policy({"orders": Shelf()}, {"orders": demand}).require(call)
    except Refusal as no:
        challenge = facts_of(no).get("challenge", Challenge(PRM))
        return no.reason, " ".join(challenge.scopes) if challenge.metadata == PRM else challenge.metadata
    return found.name if found else "-"


@pytest.mark.parametrize(
    "held,name,scopes",
    [
        (("o:read",), "audit", "o:audit o:read"),
        (("o:read",), "store", "o:read o:write"),  # the first of the least scopes that open the class
        (("o:read",), "move", "o:move o:read o:write"),
        (("o:read", "o:edit"), "move", "o:edit o:move o:read"),  # what is held already is named again, and no other
        (("o:read", "o:drop"), "move", "o:drop o:move o:read"),
        (("o:read", "o:write"), "wipe", "o:drop o:read"),
        ((), "look", "o:read"),
        ((), "move", "o:move o:read o:write"),
        (("o:move", "o:write"), "move", "o:move o:read o:write"),
    ],
)
def test_all_scopes_of_the_operation_are_named(held, name, scopes):
    access = max((DEMAND.access[scope] for scope in held if scope in DEMAND.access), default=Access.READ)
    assert answer(who(*held, access=access), name) == (Reason.SCOPE_MISSING, scopes)


def test_who_holds_them_is_let_through():
    assert answer(who("o:read"), "look") == "look"
    assert answer(who("o:read", "o:move", "o:edit", access=Access.WRITE), "move") == "move"
    assert answer(who("o:read", access=Access.DESTRUCTIVE), "wipe") == "wipe"


def test_what_a_group_opens_is_not_asked_for_by_scope():
    assert answer(who("o:read", access=Access.WRITE), "move") == (Reason.SCOPE_MISSING, "o:move o:read")


@pytest.mark.parametrize(
    "principal,name,demand",
    [
        (who("o:read"), "nowhere", DEMAND),
        (who("o:read"), "alien", DEMAND),
        (who(), "store", BARE),  # no scope opens the class
        (who("o:read", tools=frozenset({"look"})), "audit", DEMAND),
        (who("o:read", way=AuthMethod.API_KEY), "audit", DEMAND),
        (who("o:read", way=AuthMethod.API_KEY), "store", DEMAND),
    ],
)
def test_what_scopes_cannot_open_is_unknown(principal, name, demand):
    assert answer(principal, name, demand) == (Reason.TOOL_UNKNOWN, "")


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.TOOL])
def test_what_every_token_must_have_is_asked_of_every_message(kind):
    assert answer(who("o:write"), "", kind=kind) == (Reason.SCOPE_MISSING, "o:read")
    assert answer(who("o:read"), "", kind=kind) == "-"
    assert answer(who(way=AuthMethod.API_KEY), "", kind=kind) == "-"  # a key has what it was made with


def test_an_unknown_tool_tells_who_may_not_come_in_no_more_than_that():
    assert answer(who(), "nowhere") == (Reason.SCOPE_MISSING, "o:read")
    assert answer(who(tools=frozenset()), "audit") == (Reason.SCOPE_MISSING, "o:read")


def test_67_lists_show_what_a_step_up_could_open_where_the_operator_says_so_and_nothing_else():
    shown, hidden = replace(DEMAND, lists=True), DEMAND
    for demand, names in ((hidden, ["look"]), (shown, ["look", "audit", "store", "move", "wipe"])):
        policy = Policy({"orders": Shelf()}, {"orders": demand})
        assert [one.name for one in policy.visible(who("o:read"), Shelf.tools)] == names
        assert policy.listed(who("o:read"), Prompt("p")) is (demand is shown)
        assert not policy.may_use(who("o:read"), Prompt("p"))
    policy = Policy({"orders": Shelf()}, {"orders": replace(BARE, lists=True)})
    assert [one.name for one in policy.visible(who("o:read"), Shelf.tools)] == ["look", "audit"]  # no scope for classes
    policy = Policy({"orders": Shelf()}, {"orders": shown})
    for principal in (who("o:read", tools=frozenset({"look"})), who("o:read", way=AuthMethod.API_KEY)):
        assert [one.name for one in policy.visible(principal, Shelf.tools)] == ["look"]
        assert not policy.listed(principal, Prompt("p"))
    assert not policy.listed(who("o:read"), Prompt("p", server="other"))


def test_every_challenge_can_name_more_scopes_than_it_needs():
    demand = replace(DEMAND, named=frozenset({"o:read", "o:all"}))
    assert answer(who("o:read"), "audit", demand) == (Reason.SCOPE_MISSING, "o:all o:audit o:read")
    assert answer(who(), "", demand, kind=Kind.CATALOGUE) == (Reason.SCOPE_MISSING, "o:all o:read")
    assert answer(who("o:read"), "look", demand) == "look"  # it is asked for, and not required


def test_resources_and_prompts_step_up_too():
    policy = Policy({}, {"orders": DEMAND})
    policy.require_offer(who("o:read", "p"), Prompt("p"), Reason.PROMPT_UNKNOWN)
    for principal, offer, told in (
        (who("o:read"), Prompt("p"), (Reason.SCOPE_MISSING, "o:read p")),
        (who("o:read", way=AuthMethod.API_KEY), Prompt("p"), (Reason.PROMPT_UNKNOWN, "")),
        (who("o:read"), Prompt("p", server="other"), (Reason.PROMPT_UNKNOWN, "")),
        (who("o:read", tools=frozenset()), Prompt("p"), (Reason.PROMPT_UNKNOWN, "")),
    ):
        with pytest.raises(Refusal) as no:
            policy.require_offer(principal, offer, Reason.PROMPT_UNKNOWN)
        assert (no.value.reason, facts_of(no.value).get("scope", "")) == told


def test_a_server_whose_demands_are_not_known_lets_no_token_through():
    with pytest.raises(KeyError):
        Policy({"orders": Shelf()}).require(call_of("look", principal=who("o:read")))
