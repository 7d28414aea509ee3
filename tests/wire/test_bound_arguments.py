"""Arguments that come from the caller and not from the model, on the shipped process: keys with tags, people with
tokens, tools of others bound by the configuration.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.guarded import guarded, issuers
from support.issuer import Issuer, listening
from support.ward import LAVISH, Ward, serving, text_of
from support.wire import until

TOOLS = '''
from typing import Annotated, Any
from uuid import UUID
from mcpward import Caller, FromCaller, Owned, Server

server = Server("shop")
ORDERS = {
    "acme": ["anvil", "rocket"],
    "beta": ["bread"],
    "ada": ["atlas"],
    "ben": ["bicycle"],
}


@server.tool(read_only=True)
async def own_orders(tenant: Annotated[str, FromCaller("tags.tenant")], contains: str = "") -> list[str]:
    """Orders of the caller's tenant."""
    return [one for one in ORDERS[tenant] if contains in one]


@server.tool(read_only=True)
async def seat(number: Annotated[int, FromCaller("tags.seat")]) -> int:
    """The caller's seat."""
    return number + 1


@server.tool(read_only=True)
async def my_tags(caller: Caller) -> dict[str, str]:
    """The tags of the caller's key."""
    return dict(caller.tags)


ROWS = [{"id": 1, "tenant": "acme", "what": "anvil"}, {"id": 2, "tenant": "beta", "what": "canary-bread"}]


@server.tool(read_only=True, guards=[Owned(by="tenant", caller="tags.tenant")])
async def careless(ids: list[int]) -> list[dict[str, Any]]:
    """Looks rows up by id alone."""
    return [row for row in ROWS if row["id"] in ids]


@server.tool(read_only=True, guards=[Owned(by="tenant", caller="tags.tenant", foreign="drop", within="items")])
async def page() -> dict[str, list[dict[str, Any]]]:
    """A page of all rows."""
    return {"items": ROWS}


@server.tool(destructive=True, confirm=True)
async def cancel_all(tenant: Annotated[str, FromCaller("tags.tenant")]) -> str:
    """Cancel every order of the tenant."""
    return f"cancelled {len(ORDERS[tenant])}"
'''
FOREIGN = '''
from typing import Any
from mcpward import Server

server = Server("foreign")


@server.tool(read_only=True)
async def orders_of(user_id: str, region: str, limit: int = 10) -> str:
    """Orders of a user."""
    return f"{user_id} {region} {limit}"


@server.tool(read_only=True, input_schema={
    "type": "object",
    "properties": {"user_id": {"type": "string"}, "seat": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["user_id", "seat"],
})
async def written(arguments: dict[str, Any]) -> str:
    """Takes a schema of its author's, open to further names."""
    return repr(sorted(arguments.items()))
'''
SERVERS = f"""
[servers.shop]
source = "shop.py"
[servers.shop.limits]
{LAVISH}
[servers.lenient]
source = "shop.py"
unknown_arguments = "drop"
[servers.lenient.limits]
{LAVISH}
[servers.foreign]
source = "foreign.py"
[servers.foreign.limits]
{LAVISH}
[servers.foreign.tools.orders_of]
bind = {{ user_id = "caller.tags.tenant" }}
fixed = {{ region = "eu" }}
[servers.foreign.tools.written]
bind = {{ user_id = "caller.tags.tenant", seat = "caller.tags.seat" }}
"""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("bound")
    (folder / "shop.py").write_text(TOOLS)
    (folder / "foreign.py").write_text(FOREIGN)
    with serving(folder, servers=SERVERS, start=False) as running:
        for name, tags in {"acme": ["tenant=acme", "seat=7"], "beta": ["tenant=beta", "vip"], "bare": []}.items():
            words = [word for tag in tags for word in ("--tag", tag)]
            made = running.cli("key", "create", "--server", "*", "--name", name, "--class", "destructive", *words)
            running.credentials[name] = made.stdout.strip()
        running.start()
        yield running


def call(ward: Ward, who: str, tool: str, arguments: Any = None, server: str = "shop") -> dict[str, Any]:
    return ward.call(tool, arguments, key=ward.credentials[who], path=f"/{server}/mcp").json()


def result(ward: Ward, who: str, tool: str, arguments: Any = None, server: str = "shop") -> Any:
    answer = call(ward, who, tool, arguments, server)["result"]
    assert not answer.get("isError"), answer
    return answer.get("structuredContent", {}).get("result", answer["content"][0].get("text"))


def schemas(ward: Ward, who: str, server: str) -> dict[str, Any]:
    tools = ward.modern("tools/list", key=ward.credentials[who], path=f"/{server}/mcp").json()["result"]["tools"]
    return {tool["name"]: tool["inputSchema"] for tool in tools}


def test_each_key_gets_the_rows_of_its_own_tag(ward: Ward):
    assert result(ward, "acme", "own_orders") == ["anvil", "rocket"]
    assert result(ward, "acme", "own_orders", {"contains": "rock"}) == ["rocket"]
    assert result(ward, "beta", "own_orders") == ["bread"]


def test_a_bound_parameter_is_in_no_schema(ward: Ward):
    listed = schemas(ward, "acme", "shop")
    assert list(listed["own_orders"]["properties"]) == ["contains"]
    assert "tenant" not in json.dumps(listed)
    foreign = schemas(ward, "acme", "foreign")
    assert list(foreign["orders_of"]["properties"]) == ["limit"]
    assert "required" not in foreign["orders_of"]
    assert list(foreign["written"]["properties"]) == ["note"]
    assert "required" not in foreign["written"]


@pytest.mark.parametrize("tool,name,server", [
    ("own_orders", "tenant", "shop"), ("orders_of", "user_id", "foreign"), ("orders_of", "region", "foreign"),
    ("written", "user_id", "foreign"), ("written", "seat", "foreign"),
])  # fmt: skip
def test_a_bound_argument_that_the_model_sends_is_refused_like_any_unknown_one(
    ward: Ward, tool: str, name: str, server: str
):
    answer = call(ward, "beta" if tool != "written" else "acme", tool, {name: "acme"}, server)["result"]
    assert answer["isError"]
    assert f"{name}: not an argument of this tool" in answer["content"][0]["text"]


def test_a_bound_argument_that_is_dropped_does_not_win_either(ward: Ward):
    assert result(ward, "beta", "own_orders", {"tenant": "acme"}, "lenient") == ["bread"]


def test_a_caller_without_the_value_neither_sees_nor_calls_the_tool(ward: Ward):
    assert sorted(schemas(ward, "bare", "shop")) == ["my_tags"]
    answer = call(ward, "bare", "own_orders")
    unknown = call(ward, "bare", "no_such_tool")
    assert answer["error"] == unknown["error"]
    assert call(ward, "bare", "own_orders", {"tenant": "acme"})["error"] == unknown["error"]
    details = [record.get("detail") for record in ward.records("--outcome", "refused")]
    assert "the caller has no tags.tenant, which fills tenant" in details


def test_a_value_of_another_type_is_as_none(ward: Ward):
    assert result(ward, "acme", "seat") == 8
    made = ward.cli("key", "create", "--server", "*", "--name", "odd", "--tag", "seat=07").stdout.strip()
    ward.credentials["odd"] = made
    until(lambda: "result" in call(ward, "odd", "my_tags"), pause_s=0.1)
    assert "error" in call(ward, "odd", "seat")
    assert "seat" not in schemas(ward, "odd", "shop")


def test_a_tool_sees_the_tags_of_the_key(ward: Ward):
    answer = call(ward, "beta", "my_tags")["result"]
    assert answer["structuredContent"] == {"tenant": "beta", "vip": ""}


def test_a_tag_that_is_changed_counts_within_a_second(ward: Ward):
    made = json.loads(
        ward.cli("key", "create", "--server", "*", "--name", "moves", "--tag", "tenant=acme", "--json").stdout
    )
    ward.credentials["moves"] = made["key"]
    until(lambda: "result" in call(ward, "moves", "own_orders"), pause_s=0.1)
    assert made["tags"] == ["tenant=acme"]
    ward.cli("key", "edit", made["id"], "--tag", "tenant=beta")
    until(lambda: result(ward, "moves", "own_orders") == ["bread"], pause_s=0.1)
    assert json.loads(ward.cli("key", "show", made["id"], "--json").stdout)["tags"] == ["tenant=beta"]


def test_a_tool_of_others_is_bound_by_the_configuration(ward: Ward):
    assert result(ward, "beta", "orders_of", {"limit": 3}, "foreign") == "beta eu 3"
    assert result(ward, "acme", "written", {"note": "x"}, "foreign") == (
        "[('note', 'x'), ('seat', 7), ('user_id', 'acme')]"
    )
    assert "error" in call(ward, "beta", "written", {}, "foreign")  # it has no seat


def test_the_record_shows_what_was_bound_and_from_where(ward: Ward):
    result(ward, "acme", "own_orders", {"contains": "of the record"})
    [record] = [one for one in ward.records("--tool", "own_orders") if "of the record" in (one["arguments"] or "")]
    assert record["detail"] == 'from the caller: tenant="acme"'
    assert "acme" not in record["arguments"]


def test_the_command_lists_what_is_bound(ward: Ward):
    shapes = {one["tool"]: one for one in json.loads(ward.cli("tools", "foreign", "--json").stdout)}
    assert shapes["orders_of"]["filled"] == {"user_id": "caller.tags.tenant", "region": ""}
    assert "user_id from caller.tags.tenant, region fixed" in ward.cli("tools", "foreign").stdout
    rights = ward.cli("tools", "foreign", "--tool", "orders_of", "--json").stdout
    assert "user_id" not in json.dumps(json.loads(rights)[0]["input_schema"])


def test_rows_of_others_never_leave_a_tool_that_owns_its_rows(ward: Ward):
    assert [row["what"] for row in result(ward, "acme", "careless", {"ids": [1]})] == ["anvil"]
    for ids in ([2], [1, 2]):
        answer = call(ward, "acme", "careless", {"ids": ids})
        assert answer["result"]["isError"]
        assert "canary" not in json.dumps(answer)
        assert "it holds data of someone else" in answer["result"]["content"][0]["text"]
    [record] = [one for one in ward.records("--tool", "careless") if one["arguments"] == '{"ids": [1, 2]}']
    assert record["reason"] == "output-refused"
    assert "1 of 2 rows have another tenant than the caller's tags.tenant" in record["detail"]
    assert "1 of 2 rows have another tenant" in ward.log()


def test_rows_of_others_are_dropped_where_the_author_says_so(ward: Ward):
    for who, what in (("acme", "anvil"), ("beta", "canary-bread")):
        answer = call(ward, who, "page")["result"]
        assert [row["what"] for row in answer["structuredContent"]["items"]] == [what]
        assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"]


def test_a_caller_without_the_value_by_which_rows_are_owned_does_not_see_the_tool(ward: Ward):
    assert {"careless", "page"} & schemas(ward, "bare", "shop").keys() == set()
    assert "error" in call(ward, "bare", "careless", {"ids": []})


# ---- tokens ----

PEOPLE = '''
from typing import Annotated
from mcpward import FromCaller, Server

server = Server("demo")
ORDERS = {"ada": "atlas", "ben": "bicycle"}


@server.tool(read_only=True)
async def orders(user: Annotated[str, FromCaller("subject")]) -> str:
    """Orders of the person."""
    return ORDERS[user]


@server.tool(read_only=True)
async def desk(floor: Annotated[int, FromCaller("claims.office.floor")]) -> str:
    """The desk of the person."""
    return f"floor {floor}"
'''


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ward, Issuer]]:
    folder = tmp_path_factory.mktemp("people") / "site"
    folder.mkdir()
    (folder / "people.py").write_text(PEOPLE)
    issuer = Issuer()
    server = f"""
[servers.demo]
source = "people.py"
mode = "oauth"
[servers.demo.oauth]
issuers = ["main"]
claims = ["office"]
[servers.demo.limits]
{LAVISH}
"""
    with listening(issuer), guarded(folder, server, issuers(main=issuer.metadata)) as ward:
        yield ward, issuer


def test_each_person_gets_their_own_rows(people: tuple[Ward, Issuer]):
    ward, issuer = people
    mint = issuer.mint(f"{ward.base}/mcp")
    ada, ben = (mint.token(sub=name, office={"floor": 3, "city": "Ulm"}) for name in ("ada", "ben"))
    assert [text_of(ward.call("orders", key=token)) for token in (ada, ben)] == ["atlas", "bicycle"]
    refused = ward.call("orders", {"user": "ada"}, key=ben).json()["result"]
    assert refused["isError"]
    assert "user: not an argument of this tool" in refused["content"][0]["text"]
    assert text_of(ward.call("desk", key=ada)) == "floor 3"


@pytest.mark.parametrize("office", [None, {"floor": "3"}, {"floor": True}, {"floor": None}, "3", {"level": 3}])
def test_a_claim_that_is_missing_or_of_another_type_closes_the_tool(people: tuple[Ward, Issuer], office: Any):
    ward, issuer = people
    claims = {} if office is None else {"office": office}
    token = issuer.mint(f"{ward.base}/mcp").token(sub="ada", **claims)
    assert "error" in ward.call("desk", key=token).json()
    assert text_of(ward.call("orders", key=token)) == "atlas"
