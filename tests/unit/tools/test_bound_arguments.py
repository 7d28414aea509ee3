"""``bind`` and ``fixed`` of the configuration: what is taken out, what is put in, what is told at the start."""

from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import Field

from mcpward import DateRange, FromCaller, Server
from mcpward.config.limits import ToolSettings
from mcpward.config.model import Settings
from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.values import AuthMethod, Principal, Tool
from mcpward.operations.cross_checks import require_defined
from mcpward.tools.consent import question_of
from mcpward.tools.registry import Defaults, Registry
from mcpward.validation.accept import accept
from support.calls import call_of

OWN = Principal(key="k", way=AuthMethod.API_KEY, server="orders", subject="root", tags={"tenant": "acme", "n": "5"})


def tool_of(server: Server, **given: Any) -> Tool:
    settings = ToolSettings.model_validate(given)
    return Registry("orders", server, Defaults(tools={server.tools[0].name: settings})).tools[0]


@pytest.fixture
def server() -> Server:
    own = Server("shop")

    @own.tool
    def search(user_id: str, limit: int = 10, sort: Annotated[str, Field(alias="orderBy")] = "id") -> str:
        """Search."""
        return ""

    return own


@pytest.mark.parametrize(
    "given,what,key,hint",
    [
        ({"bind": {"user": "caller.subject"}}, "bind: 'user' is no argument", "bind.user", "did you mean user_id?"),
        ({"fixed": {"zzz": 1}}, "is no argument", "fixed.zzz", "its arguments: user_id, limit, orderBy"),
        ({"fixed": {"limit": "many"}}, "cannot be filled so: is not int", "fixed.limit", "see mcpward tools --schema"),
        (
            {"bind": {"user_id": "caller.subject"}, "fixed": {"user_id": "x"}},
            "is in bind too", "fixed.user_id", "keep one of them",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_bound_is_told_with_its_key(server: Server, given: Any, what: str, key: str, hint: str):
    with pytest.raises(Misconfigured) as wrong:
        tool_of(server, **given)
    [finding] = wrong.value.findings
    assert what in finding.what
    assert (finding.where, finding.hint) == (f"servers.orders.tools.search.{key}", hint)


@pytest.mark.parametrize("path", ["subject", "caller", "caller.", "caller.email", "Caller.subject", "caller.tags."])
def test_a_path_that_is_none_is_an_error_of_the_file(path: str):
    with pytest.raises(ValueError, match=r"caller\.subject|write subject"):
        ToolSettings.model_validate({"bind": {"user_id": path}})


def test_an_alias_is_bound_by_the_name_that_clients_see(server: Server):
    tool = tool_of(server, fixed={"orderBy": "date"}, bind={"user_id": "caller.tags.tenant"})
    accepted = accept(call_of("search", b'{"limit": 3}', principal=OWN), tool)
    assert accepted.arguments == {"user_id": "acme", "limit": 3, "sort": "date"}
    assert list(tool.listing["inputSchema"]["properties"]) == ["limit"]


def test_a_guard_sees_the_filled_arguments():
    server = Server("shop")

    @server.tool(guards=[DateRange("start", "end", max_days=9)])
    def search(start: date, end: date) -> str:
        """Search."""
        return ""

    tool = tool_of(server, fixed={"start": "2026-01-01"})
    assert accept(call_of("search", b'{"end": "2026-01-05"}', principal=OWN), tool).arguments["start"].year == 2026
    with pytest.raises(Refusal) as no:
        accept(call_of("search", b'{"end": "2026-03-01"}', principal=OWN), tool)
    assert no.value.reason.value == "argument-dangerous"


def test_a_person_is_shown_what_runs_and_not_what_was_dropped():
    server = Server("shop")

    @server.tool(destructive=True, unknown_arguments="drop")
    def cancel(tenant: Annotated[str, FromCaller("tags.tenant")], order: int, region: str) -> str:
        """Cancel."""
        return ""

    tool = tool_of(server, fixed={"region": "eu"})
    raw = b'{"tenant": "evil", "region": "us", "order": 1}'
    accepted = accept(call_of("cancel", raw, principal=OWN), tool)
    lines = question_of(tool, accepted.arguments, raw).params["message"].splitlines()
    assert lines[1:] == ["order: 1", 'tenant: "acme" (from the caller)', 'region: "eu" (fixed by the operator)']


@pytest.mark.parametrize(
    "more", [{"allOf": [{"required": ["user_id"]}]}, {"minProperties": 1}, {"patternProperties": {"^u": True}}]
)
def test_a_written_schema_that_says_more_of_its_members_is_not_taken_apart(more: dict[str, Any]):
    server = Server("shop")

    @server.tool(input_schema={"type": "object", "properties": {"user_id": {"type": "string"}}} | more)
    def search(arguments: dict[str, Any]) -> str:
        """Search."""
        return ""

    with pytest.raises(Misconfigured, match=f"cannot be taken out of a schema with '{next(iter(more))}'"):
        tool_of(server, bind={"user_id": "caller.subject"})


@pytest.mark.parametrize(
    "path,given,hint",
    [
        ("subject", {"mode": "public"}, 'set [servers.orders] mode = "api-key" or "oauth"'),
        ("tags.tenant", {"mode": "oauth"}, "tags belong to API keys"),
        ("claims.tenant", {}, "it comes with tokens"),
        ("claims.tenant", {"mode": ["oauth", "api-key"]}, 'write claims = ["tenant"] in [servers.orders.oauth]'),
    ],
)
def test_a_tool_that_no_caller_could_use_is_told_at_the_start(path: str, given: dict[str, Any], hint: str):
    server = Server("shop")

    @server.tool
    def search(own: Annotated[str, FromCaller(path)]) -> str:
        """Search."""
        return ""

    if "oauth" in given.get("mode", ""):
        given = given | {"oauth": {"metadata": "https://id.example/.well-known/oauth-authorization-server"}}
    settings = Settings.model_validate({"servers": {"orders": {"source": "a.py"} | given}})
    with pytest.raises(Misconfigured) as wrong:
        require_defined(settings, {"orders": Registry("orders", server)})
    [finding] = wrong.value.findings
    assert f"no caller has caller.{path}, which fills 'own'" in finding.what
    assert hint in finding.hint
