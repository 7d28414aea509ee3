"""Lists, reads, prompts and completions: only for those who may, and by their own spelling (attacks 66, 67, 78)."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from msgspec import json
from pydantic import Field

from mcpward import Caller, Context, Server
from mcpward.core.errors import Fault, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.core.values import AuthMethod, Kind, Principal
from mcpward.pipeline.catalogue import Catalogue, Listed
from mcpward.policy.decide import Policy
from mcpward.sanitize.clean import Sanitizer
from mcpward.sanitize.redact import Redactor
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from support.back import Letterbox
from support.calls import call_of
from support.clock import ManualClock
from support.facts import facts_of

SECRET = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
server = Server("shop")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@server.resource("orders://schema", ttl_s=60)
def schema() -> str:
    return "the schema"


@server.resource("orders://secret", scopes=["secret:read"])
def secret() -> str:
    return SECRET


@server.resource("orders://leak")
def leak() -> str:
    return f"key {SECRET}"


@server.resource("orders://{number}/lines", mime_type="text/plain", ttl_s=1)
async def lines(number: Annotated[int, Field(ge=1)], caller: Caller) -> str:
    return f"{caller.subject}: {number + 1}"


@server.resource("orders://{number}/{colour}/secrets", scopes=["secret:read"])
def secrets(number: int, colour: Colour) -> str:
    return f"{number} {colour.value}"


@server.resource("broken://{what}")
def broken(what: str) -> str:
    raise RuntimeError(SECRET + what)


@server.prompt(scopes=["secret:read"])
def whisper(mode: Literal["low", "Lower", "high"], loud: bool = False) -> str:
    return "psst"


@server.prompt
def greet(name: str, mode: Literal["formal", "friendly"] = "formal", loud: bool = False) -> str:
    return f"hello {name}"


@server.completion(prompt="greet", argument="name")
async def names(value: str, context: dict[str, str], ctx: Context) -> list[str]:
    await ctx.info("completing")
    if value == "fail":
        raise RuntimeError(SECRET)
    if value == "number":
        return [1]  # type: ignore[list-item]  # that is the mistake
    if value == "ask":
        await ctx.elicit_url("?", "https://x.example")
    return [f"{value}-{context.get('mode', '')}-{n}" for n in range(250)]


@server.completion(resource="orders://{number}/{colour}/secrets", argument="number")
def numbers(value: str) -> list[str]:
    return ["17", "18"]


def principal(**changes: Any) -> Principal:
    fields: dict[str, Any] = {"key": "api-key:k", "way": AuthMethod.API_KEY, "server": "orders", "subject": "k"}
    return Principal(**fields | changes)


PLAIN = principal()
CLEARED = principal(scopes=frozenset({"secret:read"}))
EVERYTHING = principal(scopes=frozenset({"*"}))
TOOLS_ONLY = principal(tools=frozenset({"act"}), scopes=frozenset({"*"}))
ELSEWHERE = principal(server="other", scopes=frozenset({"*"}))


@pytest.fixture
async def catalogue():
    registry = Registry("orders", server)
    runner = Runner(2, ManualClock())
    redactor = Redactor([Secret(SECRET, "STRIPE")])
    yield Catalogue({"orders": registry}, Policy({"orders": registry}), runner, Sanitizer(lambda: redactor, 100_000))
    await runner.close()


async def ask(
    catalogue: Catalogue,
    method: str,
    who: Principal = PLAIN,
    target: str = "",
    params: dict[str, Any] | None = None,
    arguments: dict[str, str] | None = None,
) -> Listed:
    raw = None if arguments is None else json.encode(arguments)
    call = call_of(target, raw, kind=Kind.CATALOGUE, method=method, principal=who, params=params or {})
    return await catalogue.answer(call, Letterbox())


async def names_of(catalogue: Catalogue, method: str, member: str, name: str, who: Principal) -> list[str]:
    return [entry[name] for entry in json.decode((await ask(catalogue, method, who)).body)[member]]


async def refusal(catalogue: Catalogue, *what: Any, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as no:
        await ask(catalogue, *what, **more)
    return no.value


# ---- lists ---------------------------------------------------------------------------------------------------------


OPEN = ["orders://schema", "orders://leak"]


@pytest.mark.parametrize(
    "who,fixed,templates,prompts",
    [
        (PLAIN, OPEN, ["orders://{number}/lines", "broken://{what}"], ["greet"]),
        (CLEARED, 3, 3, 2),
        (EVERYTHING, 3, 3, 2),
        (TOOLS_ONLY, [], [], []),
        (ELSEWHERE, [], [], []),
    ],
)
async def test_67_a_list_shows_what_its_caller_may_use(catalogue, who, fixed, templates, prompts):
    for method, member, name, wanted in [
        ("resources/list", "resources", "uri", fixed),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", templates),
        ("prompts/list", "prompts", "name", prompts),
    ]:
        listed = await names_of(catalogue, method, member, name, who)
        assert (listed if isinstance(wanted, list) else len(listed)) == wanted


async def test_lists_leave_the_time_they_keep_to_protocol(catalogue):
    assert (await ask(catalogue, "resources/list")).ttl_ms is None


async def test_what_is_switched_off_is_in_no_list(catalogue):
    server.disable(resource="orders://{number}/lines")
    server.disable(prompt="greet")
    try:
        assert "orders://{number}/lines" not in await names_of(
            catalogue, "resources/templates/list", "resourceTemplates", "uriTemplate", PLAIN
        )
        assert await names_of(catalogue, "prompts/list", "prompts", "name", PLAIN) == []
        no = await refusal(catalogue, "resources/read", target="orders://1/lines")
        assert no.reason is Reason.RESOURCE_UNKNOWN
        assert (await refusal(catalogue, "prompts/get", target="greet")).reason is Reason.PROMPT_UNKNOWN
        no = await refusal(catalogue, "completion/complete", params=completing("greet", "name"))
        assert no.reason is Reason.PROMPT_UNKNOWN
    finally:
        server.enable(resource="orders://{number}/lines")
        server.enable(prompt="greet")


# ---- reads ---------------------------------------------------------------------------------------------------------


async def test_a_fixed_resource_is_read_and_may_be_kept(catalogue):
    listed = await ask(catalogue, "resources/read", target="orders://schema")
    assert json.decode(listed.body)["contents"][0]["text"] == "the schema"
    assert listed.ttl_ms == 60_000


async def test_a_templates_variables_arrive_as_their_types(catalogue):
    listed = await ask(catalogue, "resources/read", target="orders://41/lines")
    assert json.decode(listed.body) == {
        "contents": [{"uri": "orders://41/lines", "mimeType": "text/plain", "text": "k: 42"}]
    }
    assert listed.ttl_ms == 1000


@pytest.mark.parametrize(
    "uri,problem",
    [
        ("orders://x/lines", {"path": "number", "rule": "an integer of at least 1"}),
        ("orders://0/lines", {"path": "number", "rule": "an integer of at least 1"}),
    ],
)
async def test_a_variable_of_another_type_is_told_by_rule(catalogue, uri, problem):
    no = await refusal(catalogue, "resources/read", target=uri)
    assert no.reason is Reason.PARAMS_INVALID
    assert facts_of(no)["problems"] == [problem]


@pytest.mark.parametrize("who", [PLAIN, TOOLS_ONLY, ELSEWHERE])
@pytest.mark.parametrize("uri", ["orders://secret", "orders://x/red/secrets", "orders://1/red/secrets"])
async def test_66_what_a_caller_may_not_read_looks_like_what_is_not_there(catalogue, who, uri):
    hidden = await refusal(catalogue, "resources/read", who, uri)
    missing = await refusal(catalogue, "resources/read", who, "orders://nothing")
    assert hidden.reason is missing.reason is Reason.RESOURCE_UNKNOWN
    assert facts_of(hidden) == facts_of(missing) == {}


async def test_the_cleared_caller_reads_it(catalogue):
    listed = await ask(catalogue, "resources/read", CLEARED, "orders://7/blue/secrets")
    assert json.decode(listed.body)["contents"][0]["text"] == "7 blue"


@pytest.mark.parametrize(
    "uri", ["orders://../lines", "orders://%2e%2e/lines", "orders://1%2F2/lines", "orders:///lines"]
)
async def test_78_a_climbing_uri_reads_nothing(catalogue, uri):
    assert (await refusal(catalogue, "resources/read", target=uri)).reason is Reason.RESOURCE_UNKNOWN


async def test_what_is_read_is_redacted(catalogue):
    listed = await ask(catalogue, "resources/read", target="orders://leak")
    assert SECRET.encode() not in listed.body


async def test_a_failure_tells_nothing(catalogue):
    with pytest.raises(Fault):
        await ask(catalogue, "resources/read", target="broken://x")


async def test_a_prompt_is_made_from_its_strings(catalogue):
    listed = await ask(catalogue, "prompts/get", target="greet", arguments={"name": "Ann", "loud": "yes"})
    assert json.decode(listed.body)["messages"][0]["content"]["text"] == "hello Ann"
    assert (await refusal(catalogue, "prompts/get", target="whisper")).reason is Reason.PROMPT_UNKNOWN


# ---- completion ----------------------------------------------------------------------------------------------------


def completing(of: str, argument: str, value: str = "", **known: str) -> dict[str, Any]:
    ref = {"type": "ref/resource", "uri": of} if ":" in of else {"type": "ref/prompt", "name": of}
    params: dict[str, Any] = {"ref": ref, "argument": {"name": argument, "value": value}}
    return {**params, "context": {"arguments": known}} if known else params


async def complete(catalogue: Catalogue, who: Principal, *what: str, **known: str) -> dict[str, Any]:
    listed = await ask(catalogue, "completion/complete", who, params=completing(*what, **known))
    assert listed.ttl_ms is None
    return json.decode(listed.body)["completion"]


async def test_an_authors_completion_gets_value_and_context_and_is_cut_at_100(catalogue):
    completion = await complete(catalogue, PLAIN, "greet", "name", "zz", mode="formal")
    assert completion["values"][:2] == ["zz-formal-0", "zz-formal-1"]
    assert (len(completion["values"]), completion["total"], completion["hasMore"]) == (100, 250, True)


@pytest.mark.parametrize(
    "of,argument,value,values",
    [
        ("greet", "mode", "", ["formal", "friendly"]),
        ("greet", "mode", "fr", ["friendly"]),
        ("greet", "mode", "x", []),
        ("greet", "loud", "t", ["true"]),
        ("whisper", "mode", "LOW", ["low", "Lower"]),
        ("orders://{number}/{colour}/secrets", "colour", "b", ["blue"]),
        ("orders://{number}/{colour}/secrets", "number", "nothing", ["17", "18"]),
        ("orders://{number}/lines", "number", "", []),
    ],
)
async def test_closed_types_complete_by_themselves_and_by_prefix(catalogue, of, argument, value, values):
    completion = await complete(catalogue, CLEARED, of, argument, value)
    assert completion == {"values": values, "total": len(values), "hasMore": False}


@pytest.mark.parametrize("who", [PLAIN, TOOLS_ONLY, ELSEWHERE])
@pytest.mark.parametrize(
    "hidden,missing,reason",
    [
        ("whisper", "nobody", Reason.PROMPT_UNKNOWN),
        ("orders://{number}/{colour}/secrets", "orders://{nothing}", Reason.RESOURCE_UNKNOWN),
        ("orders://secret", "orders://nothing", Reason.RESOURCE_UNKNOWN),
    ],
)
@pytest.mark.parametrize("argument", ["mode", "none"])
async def test_66_nothing_is_completed_of_what_a_caller_may_not_use(catalogue, who, hidden, missing, reason, argument):
    for of in (hidden, missing):
        no = await refusal(catalogue, "completion/complete", who, params=completing(of, argument))
        assert (no.reason, facts_of(no)) == (reason, {})


@pytest.mark.parametrize(
    "of,argument", [("greet", "age"), ("greet", "__class__"), ("orders://schema", "x"), ("greet", "")]
)
async def test_an_argument_that_is_none_is_refused(catalogue, of, argument):
    no = await refusal(catalogue, "completion/complete", params=completing(of, argument))
    assert no.reason is Reason.PARAMS_INVALID


async def test_a_prompts_name_is_no_resources_uri(catalogue):
    params = {"ref": {"type": "ref/resource", "uri": "greet"}, "argument": {"name": "name", "value": ""}}
    no = await refusal(catalogue, "completion/complete", params=params)
    assert no.reason is Reason.RESOURCE_UNKNOWN


async def test_a_completion_that_gives_no_list_of_texts_is_withheld(catalogue):
    with pytest.raises(Refusal) as no:
        await complete(catalogue, PLAIN, "greet", "name", "number")
    assert no.value.reason is Reason.OUTPUT_REFUSED
    assert "a list with int, not a list of texts" in no.value.detail


@pytest.mark.parametrize("value", ["fail", "ask"])
async def test_a_completion_that_fails_is_a_fault_and_asks_nobody(catalogue, value):
    with pytest.raises(Fault):
        await complete(catalogue, PLAIN, "greet", "name", value)


async def test_what_completes_is_redacted(catalogue):
    completion = await complete(catalogue, PLAIN, "greet", "name", SECRET)
    assert SECRET not in str(completion)


async def test_no_other_list_is_known(catalogue):
    assert (await refusal(catalogue, "roots/list")).reason is Reason.METHOD_UNKNOWN
