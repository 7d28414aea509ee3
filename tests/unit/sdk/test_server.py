"""An author's declarations, and those that are refused at import with one clear line."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field, ValidationError

from mcpward import Caller, Context, DateRange, Icon, Limit, Server
from mcpward.core.scope import Access
from mcpward.sdk.errors import AuthoringError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


class Line(BaseModel):
    start: Point
    names: list[str] = []


class Tree(BaseModel):
    children: list["Tree"] = []


@pytest.fixture
def server() -> Server:
    return Server("shop")


def only(server: Server):
    return server.tools[0]


def test_the_decorator_works_bare_and_called_and_gives_the_function_back(server):
    def first() -> str: ...
    def second() -> str: ...

    assert server.tool(first) is first
    assert server.tool("other", read_only=True)(second) is second
    assert [tool.name for tool in server.tools] == ["first", "other"]


def test_injected_parameters_are_no_part_of_the_schema(server):
    @server.tool
    async def ask(caller: Caller, ctx: Annotated[Context | None, "why"], other: int) -> str: ...

    tool = only(server)
    assert list(tool.arguments.schema()["properties"]) == ["other"]
    assert (tool.signature.caller, tool.signature.context) == ("caller", "ctx")
    with pytest.raises(ValidationError):
        tool.arguments.bind(b'{"other": 1, "caller": {"subject": "root"}}')


@pytest.mark.parametrize(
    "options,access",
    [({}, Access.WRITE), ({"read_only": True}, Access.READ), ({"destructive": True}, Access.DESTRUCTIVE)],
)
def test_hints_set_the_access_class(server, options, access):
    @server.tool(**options)
    def act() -> None: ...

    assert only(server).access is access


def test_a_missing_docstring_falls_back_to_the_title_then_the_name(server):
    @server.tool(title="Do it")
    def do_it() -> None: ...

    @server.tool
    def do_that() -> None: ...

    @server.tool
    def said() -> None:
        """What it does."""

    assert [tool.description for tool in server.tools] == ["Do it", "do that", "What it does."]


def test_the_schema_is_closed_at_every_depth_and_says_what_python_says(server):
    @server.tool
    def draw(
        at: datetime,
        line: Line,
        colour: Colour = Colour.RED,
        mode: Literal["a", "b"] = "a",
        limit: Annotated[int, Limit(max=100)] = 20,
        note: Optional[str] = None,  # noqa: UP045  authors write both
        size: Annotated[int, Field(ge=1, description="how large")] = 1,
    ) -> None: ...

    schema = only(server).arguments.schema()
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["at", "line"]
    line = schema["properties"]["line"]
    assert line["additionalProperties"] is False
    assert line["properties"]["start"]["additionalProperties"] is False
    assert "$ref" not in str(schema)
    assert "$defs" not in schema
    assert schema["properties"]["limit"] == {"default": 20, "maximum": 100, "minimum": 1, "type": "integer"}
    assert schema["properties"]["size"]["description"] == "how large"
    assert "title" not in str(schema["properties"])


def test_a_tool_without_arguments_has_an_empty_closed_schema(server):
    @server.tool
    def now() -> None: ...

    assert only(server).arguments.schema() == {"type": "object", "properties": {}, "additionalProperties": False}


def test_names_that_a_model_has_taken_are_fine_arguments(server):
    @server.tool
    def save(json: str, copy: bool, schema: int = 1, model_config: str = "x") -> None: ...

    tool = only(server)
    assert list(tool.arguments.schema()["properties"]) == ["json", "copy", "schema", "model_config"]
    bound = tool.arguments.bind(b'{"json": "j", "copy": true}')
    assert bound == {"json": "j", "copy": True, "schema": 1, "model_config": "x"}


def test_values_arrive_as_their_types(server):
    @server.tool
    def draw(at: datetime, line: Line, colour: Colour = Colour.RED) -> None: ...

    raw = b'{"at": "2026-01-02T03:04:05Z", "line": {"start": {"x": 1}}, "colour": "blue"}'
    bound = only(server).arguments.bind(raw)
    assert bound["at"].year == 2026
    assert bound["line"] == Line(start=Point(1))
    assert bound["colour"] is Colour.BLUE


def mistakes():  # noqa: C901  a list of mistakes
    def starred(*names: str) -> None: ...
    def double_starred(**names: str) -> None: ...
    def bare(number) -> None: ...
    def positional(number: int, /) -> None: ...
    def hidden(_number: int) -> None: ...
    def generator(number: int) -> Any:
        yield number

    async def async_generator() -> Any:
        yield 1

    def two_callers(one: Caller, two: Caller) -> None: ...
    def bad_default(number: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013  that is the mistake
    def over_limit(number: Annotated[int, Limit(max=10)] = 20) -> None: ...
    def no_schema(number: object()) -> None: ...  # type: ignore[valid-type]  # that is the mistake
    def unknown(number: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821  that is the mistake
    def no_return_schema() -> Server: ...

    return [
        (starred, "*names"),
        (double_starred, "**names"),
        (bare, "has no annotation"),
        (positional, "positional-only"),
        (hidden, "underscore"),
        (generator, "generator"),
        (async_generator, "generator"),
        (two_callers, "two parameters ask for Caller"),
        (bad_default, "default of 'number'"),
        (over_limit, "default of 'number'"),
        (no_schema, "not a type that JSON has"),
        (unknown, "Nowhere"),
        (no_return_schema, "no JSON schema"),
    ]


@pytest.mark.parametrize("function,said", mistakes(), ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_is_refused_in_one_line_with_its_place(server, function, said):
    with pytest.raises(AuthoringError) as refused:
        server.tool(function)
    assert said in refused.value.what
    assert "\n" not in refused.value.what
    assert f"tool {function.__name__!r}" in refused.value.what
    assert re.fullmatch(r".*tests/unit/sdk/test_server\.py:\d+", refused.value.where)
    assert refused.value.hint
    assert server.tools == ()


@pytest.mark.parametrize(
    "options,said",
    [
        ({"name": "no spaces"}, "A-Z a-z 0-9"),
        ({"name": "x" * 129}, "128"),
        ({"name": ""}, "128"),
        ({"name": "naïve"}, "A-Z"),
        ({"name": 5}, "a name is a text"),
        ({"read_only": True, "destructive": True}, "exclude"),
        ({"scopes": "orders:read"}, "list"),
        ({"scopes": 5}, "list"),
        ({"scopes": ["orders:read orders:write"]}, "one ASCII word"),
        ({"scopes": ["a\r\nSet-Cookie: b"]}, "one ASCII word"),
        ({"scopes": ['"']}, "one ASCII word"),
        ({"scopes": ["größe"]}, "one ASCII word"),
        ({"deadline_s": 0}, "deadline_s"),
        ({"guards": [DateRange("a", "b", 1)]}, "names 'b'"),
    ],
)
def test_an_option_that_cannot_hold_is_refused(server, options, said):
    def act(a: datetime) -> None: ...

    with pytest.raises(AuthoringError, match=said):
        server.tool(**options)(act)


def test_scopes_that_can_be_read_only_once_still_close_the_tool(server):
    server.tool(scopes=iter(["orders:read"]))(only_text)
    assert server.tools[0].scopes == {"orders:read"}


REMOTE = Field(json_schema_extra={"$ref": "https://example.com/schema.json"})


def test_a_schema_that_refers_elsewhere_is_refused(server):
    """Attack 76: a client that follows such a reference fetches whatever stands there."""

    def takes(number: Annotated[int, REMOTE]) -> None: ...
    def gives() -> list[Annotated[int, REMOTE]]: ...

    for function in (takes, gives):
        with pytest.raises(AuthoringError, match="another document"):
            server.tool(function)


def test_a_recursive_model_refers_only_within_itself(server):
    @server.tool
    def plant(tree: Tree) -> Tree: ...

    tool = only(server)
    assert "'$ref': '#/$defs/Tree'" in str(tool.arguments.schema())
    assert tool.returns.schema is not None
    assert tool.returns.schema["type"] == "object"
    deep = b'{"tree": ' + b'{"children": [' * 30 + b"]}" * 30 + b"}"
    assert tool.arguments.bind(deep)["tree"].children


def test_a_type_without_a_schema_is_refused_at_import(server):
    def call(back: Callable[[], None]) -> None: ...

    with pytest.raises(AuthoringError, match="is a function, which no client can send"):
        server.tool(call)


def test_the_same_name_twice_is_refused_and_says_where_it_was(server):
    @server.tool
    def act() -> None: ...

    with pytest.raises(AuthoringError, match=r"declared twice \(before: .*test_server\.py:\d+\)"):
        server.tool("act")(only_text)


def test_only_functions_are_tools(server):
    class Thing:
        __name__ = "thing"

        def __call__(self) -> None: ...

    with pytest.raises(AuthoringError, match="only functions"):
        server.tool("thing")(Thing())


def test_a_bound_method_is_a_tool_without_self(server):
    class Shop:
        def count(self, shelf: int) -> int: ...

    server.tool(Shop().count)
    assert list(only(server).arguments.schema()["properties"]) == ["shelf"]


@pytest.mark.parametrize("uri", ["nowhere", "/etc/passwd", "a b:c", "", "orders://x\n"])
def test_a_resource_needs_an_absolute_uri(server, uri):
    with pytest.raises(AuthoringError, match="absolute URI"):
        server.resource(uri)


def test_a_resource_at_a_fixed_uri_takes_no_arguments(server):
    def read(number: int) -> str: ...

    with pytest.raises(AuthoringError, match="takes no arguments"):
        server.resource("orders://all")(read)


@pytest.mark.parametrize("uri", ["orders://{id}", "orders://{number}/{more}"])
def test_a_templates_variables_are_the_functions_parameters(server, uri):
    def read(number: int, caller: Caller) -> str: ...

    with pytest.raises(AuthoringError, match="not the same"):
        server.resource(uri)(read)
    server.resource("orders://{number}")(read)
    assert server.resources[0].template.names == ("number",)


@pytest.mark.parametrize(
    "options,said",
    [
        ({"size": -1}, "size"),
        ({"size": True}, "size"),
        ({"ttl_s": -1}, "ttl_s"),
        ({"ttl_s": float("nan")}, "ttl_s"),
        ({"scopes": "orders:read"}, "list"),
        ({"scopes": 5}, "list"),
        ({"scopes": ["orders:read orders:write"]}, "one ASCII word"),
        ({"scopes": ["a\r\nSet-Cookie: b"]}, "one ASCII word"),
        ({"scopes": ['"']}, "one ASCII word"),
        ({"scopes": ["größe"]}, "one ASCII word"),
        ({"annotations": {"colour": 1}}, "colour"),
        ({"meta": {"io.modelcontextprotocol/x": 1}}, "reserved"),
        ({"icons": ["https://x/i.png"]}, "icons"),
    ],
)
def test_an_option_of_a_resource_that_cannot_hold_is_refused(server, options, said):
    with pytest.raises(AuthoringError, match=said):
        server.resource("orders://all", **options)(only_text)
    assert server.resources == ()


def test_resources_and_prompts_are_not_declared_twice(server):
    server.resource("orders://all")(only_text)
    with pytest.raises(AuthoringError, match="twice"):
        server.resource("orders://all")(only_text)
    server.prompt(only_text)
    with pytest.raises(AuthoringError, match="twice"):
        server.prompt(only_text)


def only_text() -> str: ...


@pytest.mark.parametrize(
    "confirm,is_asked,question", [(False, False, ""), (True, True, ""), ("Really wipe?", True, "Really wipe?")]
)
def test_a_person_is_asked_in_the_authors_words_or_the_houses(server, confirm, is_asked, question):
    @server.tool(destructive=True, confirm=confirm)
    def wipe() -> None: ...

    assert (only(server).confirm, only(server).question) == (is_asked, question)


@pytest.mark.parametrize(
    "options,said",
    [
        ({"confirm": ""}, "confirm"),
        ({"confirm": "x" * 501}, "confirm"),
        ({"task": "always"}, "task"),
        ({"task": 1}, "task"),
    ],
)
def test_an_option_of_the_run_that_cannot_hold_is_refused(server, options, said):
    with pytest.raises(AuthoringError, match=said):
        server.tool(**options)(only_text)


@pytest.mark.parametrize("task", [None, "optional", "required"])
def test_a_tool_may_run_as_a_task_or_must(server, task):
    server.tool(task=task)(only_text)
    assert only(server).task == task


def test_a_server_shows_title_website_icons_and_extensions():
    server = Server(
        "shop",
        title="Shop",
        website_url="https://shop.example",
        icons=[Icon("https://shop.example/i.png", sizes=["48x48"])],
        extensions={"com.example/x": {"deep": [1]}},
    )
    assert (server.title, server.website_url) == ("Shop", "https://shop.example")
    assert [icon.block() for icon in server.icons] == [{"src": "https://shop.example/i.png", "sizes": ["48x48"]}]
    assert server.extensions == {"com.example/x": {"deep": [1]}}


@pytest.mark.parametrize(
    "options",
    [
        {"website_url": "javascript:alert(1)"},
        {"website_url": "https://x y"},
        {"extensions": {"unprefixed": {}}},
        {"extensions": {"com.example/x": 1}},
        {"icons": "https://x/i.png"},
        {"icons": [Icon("https://x/i.png")] * 17},
    ],
)
def test_what_a_server_shows_is_checked(options):
    with pytest.raises(AuthoringError):
        Server("shop", **options)


def test_completions_are_of_arguments_that_are_declared(server):
    @server.prompt
    def greet(name: str) -> str: ...

    async def names(value: str, context: dict[str, str], caller: Caller) -> list[str]: ...
    async def other(text: str) -> list[str]: ...

    for wanted, said in [
        ({"prompt": "nobody", "argument": "name"}, "first"),
        ({"prompt": "greet", "argument": "age"}, "no such argument"),
        ({"resource": "orders://{name}", "argument": "name"}, "first"),
    ]:
        with pytest.raises(AuthoringError, match=said):
            server.completion(**wanted)(names)
    with pytest.raises(AuthoringError, match="value: str"):
        server.completion(prompt="greet", argument="name")(other)
    with pytest.raises(AuthoringError, match="exactly one"):
        server.completion(prompt="greet", resource="orders://{name}", argument="name")
    server.completion(prompt="greet", argument="name")(names)
    with pytest.raises(AuthoringError, match="twice"):
        server.completion(prompt="greet", argument="name")(names)
