"""What must never leave a server though it is no secret of its own, over HTTP (attack 85).

Credentials of others are masked, members that the operator drops leave neither the results nor the published schema,
and personal numbers are masked, dropped or refused, as the settings say.
"""

import json
import random
import re
from collections.abc import Iterator

import jsonschema_rs
import pytest

from support.credentials import MAKERS, beside, credential, pem
from support.talk import events_of
from support.ward import ACCEPT, LAVISH, Ward, modern_request, serving, text_of
from support.wire import until

TOOLS = '''
from typing import Annotated, Any, Literal
from pydantic import BaseModel, Field
from mcpward import Context, EmbeddedResource, Server, ToolError, ToolResult

server = Server("shop")


class Name(BaseModel):
    name: str


class Address(BaseModel):
    city: str
    internal_id: int


class User(BaseModel):
    name: str
    Password: str = Field(description="never shown")
    home: Address
    api_token: str | None = None
    friends: list["User"] = []
    homes: dict[str, Address] = {}


class Priced(BaseModel):
    card: str
    note: str = ""


class Numbered(BaseModel):
    card: int


ADA = User(
    name="Ada", Password="pw-canary", api_token="tk-canary", home=Address(city="Berlin", internal_id=77),
    friends=[User(name="Bob", Password="pw-canary", home=Address(city="Rome", internal_id=78))],
    homes={"sea": Address(city="Nice", internal_id=79)},
)


@server.tool(read_only=True)
def user() -> User:
    return ADA


@server.tool(read_only=True)
def users() -> list[User]:
    return [ADA, ADA]


@server.tool(read_only=True)
def by_hand() -> ToolResult:
    return ToolResult(ADA.model_dump_json(), structured=ADA, meta={"internal_note": "pw-canary", "kept": 1})


@server.tool(read_only=True)
def say(text: str) -> str:
    """Say it. Questions: help@example.com."""
    return text


@server.tool(read_only=True)
def tree(value: dict[str, Any]) -> dict[str, Any]:
    return value


@server.tool(read_only=True)
def blocks(texts: list[str]) -> ToolResult:
    return ToolResult(texts)


@server.tool(read_only=True)
def plain(text: str):
    return text


@server.tool(read_only=True)
def embedded(text: str) -> ToolResult:
    return ToolResult([EmbeddedResource("shop://x", text=text)])


@server.tool(read_only=True)
def scold(text: str) -> str:
    raise ToolError(text)


@server.tool(read_only=True)
async def report(text: str, ctx: Context) -> str:
    await ctx.report_progress(1, 2, text)
    await ctx.info(text)
    return "done"


@server.tool(read_only=True)
async def ask(text: str, ctx: Context) -> str:
    await ctx.elicit(text, Name)
    return "asked"


@server.tool(read_only=True)
def priced(card: str) -> Priced:
    return Priced(card=card, note="of a card")


@server.tool(read_only=True)
def numbered(card: int) -> Numbered:
    return Numbered(card=card)


@server.resource("shop://{text}")
def shelf(text: str) -> str:
    return open(text).read()


@server.prompt()
def greet(text: str) -> str:
    return text
'''
OFF = "loose"
DROP = 'drop = ["password", "*_token", "internal_*"]'
NUMBERS = {"masked": "mask", "without": "drop", "refused": "refuse"}
SETTINGS = {
    "shop": f'{DROP}\n[servers.shop.tools.say.output]\ncredentials = "allow"\ndrop = ["note"]',
    OFF: 'credentials = "allow"\n[servers.loose.tools.say.output]\ncredentials = "mask"\ncards = "mask"',
    "keyed": "",
    **{name: f'cards = "{do}"\nibans = "{do}"\nemails = "{do}"' for name, do in NUMBERS.items()},
}
SERVERS = "".join(
    f"""
[servers.{name}]
source = "shop.py"
mode = "{"api-key" if name == "keyed" else "public"}"
[servers.{name}.limits]
{LAVISH}
[servers.{name}.output]
{settings}
"""
    for name, settings in SETTINGS.items()
)
SECRET = "pw-canary", "tk-canary"
NAMES = ("Password", "password", "api_token", "internal_id", "internal_note")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "shop.py").write_text(TOOLS)
    with serving(folder, servers=SERVERS, start=False) as ward:
        ward.key = ward.create_key("keyed")
        yield ward.start()


def result(ward: Ward, tool: str, server: str = "shop", **arguments):
    return ward.call(tool, arguments, path=f"/{server}/mcp").json()["result"]


def greeted(ward: Ward, text: str, server: str = "shop"):
    asked = {"name": "greet", "arguments": {"text": text}}
    return ward.modern("prompts/get", asked, name="greet", path=f"/{server}/mcp").json()


def schemas(ward: Ward, server: str = "shop"):
    listed = ward.modern("tools/list", path=f"/{server}/mcp").json()["result"]["tools"]
    return {tool["name"]: tool.get("outputSchema") for tool in listed}


def frames(ward: Ward, tool: str, text: str, server: str = "shop") -> list[dict]:
    body, headers = modern_request("tools/call", {"name": tool, "arguments": {"text": text}}, name=tool)
    meta = {"progressToken": 1, "io.modelcontextprotocol/logLevel": "debug"}
    meta["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {}}
    body["params"]["_meta"] |= meta
    headers |= {"accept": ACCEPT, "content-type": "application/json"}
    answer = ward.post(body, path=f"/{server}/mcp", headers=headers)
    if answer.headers["content-type"].startswith("application/json"):
        return [answer.json()]
    return [event.data for event in events_of(iter(answer.text.split("\n"))) if event.data]


def same(structured, text: str) -> bool:
    """Whether the text is the structured content once more."""
    whole = structured["result"] if set(structured) == {"result"} else structured
    return text == whole if isinstance(whole, str) else json.loads(text) == whole


# ---- credentials of others --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_a_credential_of_others_leaves_no_way(ward: Ward, kind: str):
    value = credential(kind)
    text = f"see {beside(kind, value)}"
    (ward.folder / "text").write_text(text)
    answers = [
        result(ward, "tree", value={"a": [{"b": text}], text: 1, "c": json.dumps({"d": text})}),
        result(ward, "blocks", texts=["one", text]),
        result(ward, "embedded", text=text),
        result(ward, "scold", text=text),
        *frames(ward, "report", text),
        *frames(ward, "ask", text),
        ward.modern("resources/read", {"uri": "shop://text"}, name="shop://text", path="/shop/mcp").json(),
        greeted(ward, text),
    ]
    for answer in answers:
        said = json.dumps(answer, ensure_ascii=False)
        assert value.split("\n")[-2 if "\n" in value else 0] not in said
        assert "[redacted]" in said or "done" in said, said
    assert same(answers[0]["structuredContent"], answers[0]["content"][0]["text"])


def test_the_record_names_the_kind_and_number_of_what_was_taken_out(ward: Ward):
    text = f"{credential('npm-token')} {credential('npm-token', 1)} {credential('stripe-key')}"
    assert text_of(ward.call("plain", {"text": text}, path="/keyed/mcp")) == "[redacted] [redacted] [redacted]"
    rows = until(lambda: ward.records("--tool", "plain"))  # the record keeps not every call of strangers
    assert rows[-1]["detail"] == "taken out of the result: npm-token (2), stripe-key (1)"


def test_a_server_or_a_tool_may_let_them_leave(ward: Ward):
    value = credential("github-token")
    (ward.folder / "text").write_text(value)
    assert result(ward, "say", text=value)["content"][0]["text"] == value
    assert result(ward, "say", OFF, text=value)["content"][0]["text"] == "[redacted]"
    assert result(ward, "tree", OFF, value={value: value})["structuredContent"] == {value: value}
    assert value in json.dumps(frames(ward, "report", value, OFF))
    read = ward.modern("resources/read", {"uri": "shop://text"}, name="shop://text", path=f"/{OFF}/mcp").json()
    assert read["result"]["contents"][0]["text"] == value


def test_a_private_key_line_by_line_is_withheld(ward: Ward):
    lines = pem(random.Random(1)).split("\n")
    for answer in (result(ward, "blocks", texts=lines), result(ward, "tree", value={"lines": lines})):
        assert answer["isError"]
        assert answer["content"][0]["text"].startswith("the tool's answer was withheld: it contains a secret")
        assert lines[3] not in json.dumps(answer)


def test_what_is_harmless_is_the_same(ward: Ward):
    text = "postgres://user:password@localhost and AKIAIOSFODNN7EXAMPLE, 4111 1111 1111 1111, a@example.com"
    assert result(ward, "tree", value={"a": text})["structuredContent"] == {"a": text}
    wrong = credential("github-token")[:-1] + "~"
    assert result(ward, "tree", value={"a": wrong})["structuredContent"] == {"a": wrong}


# ---- members that never leave -----------------------------------------------------------------------------------


def names_in(schema) -> set[str]:
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= {*schema.get("properties", {}), *schema.get("required", ())}
        for part in schema.values():
            found |= names_in(part)
    if isinstance(schema, list):
        for part in schema:
            found |= names_in(part)
    return found


@pytest.mark.parametrize("tool", ["user", "users", "by_hand"])
def test_dropped_members_are_in_no_result_and_the_rest_is_whole(ward: Ward, tool: str):
    answer = result(ward, tool)
    said = json.dumps(answer)
    assert not answer["isError"], said
    assert not [word for word in (*SECRET, *NAMES) if word in said]
    structured = answer["structuredContent"]
    assert same(structured, answer["content"][0]["text"])
    ada = structured["result"][1] if tool == "users" else structured
    assert (ada["name"], ada["home"], ada["friends"][0]["home"]) == ("Ada", {"city": "Berlin"}, {"city": "Rome"})
    assert ada["homes"] == {"sea": {"city": "Nice"}}


@pytest.mark.parametrize("tool", ["user", "users"])
def test_the_published_schema_has_none_of_them_and_takes_the_result(ward: Ward, tool: str):
    schema = schemas(ward)[tool]
    whole = schemas(ward, OFF)[tool]
    assert {"Password", "api_token", "internal_id"} < names_in(whole)
    assert names_in(schema) == names_in(whole) - {"Password", "api_token", "internal_id"}
    assert "never shown" not in json.dumps(schema)
    jsonschema_rs.validate(schema, result(ward, tool)["structuredContent"])
    jsonschema_rs.validate(whole, result(ward, tool, OFF)["structuredContent"])


@pytest.mark.parametrize(
    "text,left",
    [
        ('{"PASSWORD":"x","a":{"api_TOKEN":1,"b":[{"internal_x":2,"c":3}]}}', '{"a":{"b":[{"c":3}]}}'),
        ('[{"password":1}, {"b":1.0}]', '[{},{"b":1.0}]'),
        ('{"a":1}\n{"password":2,"b":3}\n', '{"a":1}\n{"b":3}\n'),
        ('{"a":NaN,"password":1}', '{"a":NaN}'),
        ('{"pass\\u200bword":1,"ｐassword":2,"c":"{\\"password\\":1}"}', '{"c":"{}"}'),
        ('  {"a" : 1}', '  {"a" : 1}'),
        ("{password: 1}", "{password: 1}"),
        ('{"note":1,"a":2}', '{"a":2}'),
    ],
)
def test_text_that_is_json_loses_them_too(ward: Ward, text: str, left: str):
    answer = result(ward, "say", text=text)
    assert answer["content"][0]["text"] == left
    assert answer["structuredContent"] == {"result": left}


def test_they_leave_no_resource_prompt_or_message_either(ward: Ward):
    text = '{"password":"pw-canary","a":1}'
    (ward.folder / "text").write_text(text)
    said = json.dumps(
        [
            ward.modern("resources/read", {"uri": "shop://text"}, name="shop://text", path="/shop/mcp").json(),
            greeted(ward, text),
            result(ward, "embedded", text=text),
            result(ward, "scold", text=text),
            result(ward, "blocks", texts=["x", text]),
            *frames(ward, "report", text),
        ]
    )
    assert "pw-canary" not in said
    assert said.count('{\\"a\\":1}') == 7, said


def test_the_protocols_own_members_stay(ward: Ward):
    assert set(result(ward, "blocks", texts=["a"])["content"][0]) == {"type", "text"}


KINDS = """
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from mcpward import Server

server = Server("kinds")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Secret(BaseModel):
    password: str


@server.tool(read_only=True)
def pet() -> Annotated[Cat | Dog, Field(discriminator="kind")]:
    return Cat(kind="cat", lives=9)


@server.tool(read_only=True)
def secret() -> Secret:
    return Secret(password="x")
"""


def test_a_tool_that_cannot_be_served_without_them_is_told_at_the_start(tmp_path):
    (tmp_path / "kinds.py").write_text(KINDS)
    served = '[servers.kinds]\nsource = "kinds.py"\n[servers.kinds.output]\ndrop = ["KIND", "pass*"]\n'
    with serving(tmp_path, servers=served, start=False) as ward:
        refused = ward.cli("serve", check=False)
    assert refused.returncode == 2
    said = " ".join(refused.stderr.split())
    assert "tool 'pet' of server kinds cannot be served without KIND, pass*: it tells its kinds apart by 'kind'" in said
    assert "tool 'secret' of server kinds cannot be served without KIND, pass*: nothing that it returns is left" in said
    assert "mcpward.toml:" in said


# ---- personal numbers -------------------------------------------------------------------------------------------

CARD, IBAN, MAIL = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "ada.l@example.org"
MASKS = {CARD: "[card ending 1111]", IBAN: "[iban]", MAIL: "redacted@email.invalid"}


@pytest.mark.parametrize("number", MASKS)
def test_a_number_is_masked_dropped_or_refused(ward: Ward, number: str):
    value = {"a": number, "b": [f"x {number} y", number], "c": {number: 1}}
    assert result(ward, "tree", value=value)["structuredContent"] == value  # off by default
    mask = MASKS[number]
    masked = result(ward, "tree", "masked", value=value)
    assert masked["structuredContent"] == {"a": mask, "b": [f"x {mask} y", mask], "c": {mask: 1}}
    without = result(ward, "tree", "without", value=value)
    assert without["structuredContent"] == {"b": ["x  y"], "c": {}}
    for answer in (masked, without):
        assert same(answer["structuredContent"], answer["content"][0]["text"])
    refused = result(ward, "tree", "refused", value=value)
    assert refused["isError"]
    assert refused["content"][0]["text"].startswith("the tool's answer was withheld: it contains personal data")
    rows = until(lambda: [row for row in ward.records("--tool", "tree") if row["reason"] == "output-refused"])
    assert re.fullmatch(r"the result has personal data \(.+\), which output\.\w+ refuses", rows[-1]["detail"])
    assert number not in rows[-1]["detail"]


@pytest.mark.parametrize("card", ["4111111111111111", "4111-1111-1111-1111", "378282246310005", "3782 822463 10005"])
def test_cards_are_known_however_they_are_grouped(ward: Ward, card: str):
    said = text_of(ward.call("say", {"text": f"1 {card} and 12"}, path="/masked/mcp"))
    assert said == f"1 [card ending {card[-4:]}] and 12"


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112", "1234567812345670", "4111.1111", "tel. +49 30 1234567890123",
        "550e8400-e29b-41d4-a716-446655440000",
        "DE89 3704 0044 0532 0130 01", "AA89370400440532013000", "logo@2x.png", "user@host", "0000000000000000",
        "41111111111111110000000", "4111111111111111.5",
    ],
)  # fmt: skip
def test_other_numbers_stay(ward: Ward, text: str):
    assert text_of(ward.call("say", {"text": text}, path="/masked/mcp")) == text


def test_a_card_that_is_a_number_of_json_is_one_too(ward: Ward):
    masked = result(ward, "tree", "masked", value={"a": 4111111111111111, "b": 12345678901234})
    assert masked["structuredContent"] == {"a": "[card ending 1111]", "b": 12345678901234}
    assert json.loads(masked["content"][0]["text"]) == masked["structuredContent"]


def test_a_member_that_must_be_there_stays_empty(ward: Ward):
    answer = result(ward, "priced", "without", card=CARD)
    assert answer["structuredContent"] == {"card": "", "note": "of a card"}
    assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"]
    assert result(ward, "say", "without", text=CARD)["structuredContent"] == {"result": ""}


@pytest.mark.parametrize("server", ["masked", "without"])
def test_a_result_that_would_break_its_schema_is_withheld(ward: Ward, server: str):
    answer = result(ward, "numbered", server, card=4111111111111111)
    assert answer["isError"]
    assert "4111" not in json.dumps(answer)
    rows = until(lambda: ward.records("--tool", "numbered"))
    assert rows[-1]["detail"].startswith("without card number the result breaks its output schema: card: ")


def test_a_tool_of_its_own_settings_is_screened_by_them(ward: Ward):
    assert text_of(ward.call("say", {"text": CARD}, path=f"/{OFF}/mcp")) == "[card ending 1111]"
    assert result(ward, "tree", OFF, value={"a": CARD})["structuredContent"] == {"a": CARD}


def test_messages_and_prompts_are_screened_alike_and_lists_are_not(ward: Ward):
    said = json.dumps(frames(ward, "report", f"to {MAIL}", "masked"))
    assert said.count("redacted@email.invalid") == 2
    assert MAIL not in said
    assert greeted(ward, MAIL, "refused")["error"]["data"]["reason"] == "output-refused"
    assert len(frames(ward, "report", MAIL, "refused")) == 1  # the answer: no message leaves
    listed = ward.modern("tools/list", path="/refused/mcp").json()["result"]["tools"]
    assert {tool["name"]: tool["description"] for tool in listed}["say"] == "Say it. Questions: help@example.com."
