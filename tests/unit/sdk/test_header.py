"""Arguments that a client repeats in a header: all clients and proxies find the same ones."""

from enum import Enum
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from mcpward import Header, Server
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.header import mirrored


class Colour(Enum):
    RED = "red"


class Region(BaseModel):
    name: Annotated[str, Header("Region")]


@pytest.fixture
def server() -> Server:
    return Server("shop")


def test_a_parameter_says_its_header_in_the_schema(server):
    @server.tool
    def ask(
        region: Annotated[str, Header("Region")], page: Annotated[int, Header("X-Page"), Field(ge=1)] = 1
    ) -> None: ...

    tool = server.tools[0]
    assert tool.arguments.schema()["properties"]["region"] == {"type": "string", "x-mcp-header": "Region"}
    assert tool.arguments.headers == {b"mcp-param-region": ("region",), b"mcp-param-x-page": ("page",)}
    assert tool.arguments.bind(b'{"region": "eu"}') == {"region": "eu", "page": 1}


def test_enums_and_models_carry_headers_since_their_schemas_stand_where_they_are_used(server):
    @server.tool
    def ask(colour: Annotated[Colour, Header("Colour")], where: Region) -> None: ...

    assert server.tools[0].arguments.headers == {
        b"mcp-param-colour": ("colour",), b"mcp-param-region": ("where", "name"),
    }  # fmt: skip


def test_objects_written_out_carry_headers_at_their_properties():
    inner = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    schema = {"type": "object", "properties": {"where": inner}}
    assert mirrored(schema, "tool 'ask'", "") == {b"mcp-param-region": ("where", "region")}


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[float, Header("N")],
        Annotated[str | None, Header("N")],
        Annotated[list[str], Header("N")],
        Annotated[str, Header("")],
        Annotated[str, Header("two words")],
        Annotated[str, Header("line\r\nX: y")],
        Annotated[str, Header("ü")],
        Annotated[str, Header("x" * 65)],
        Annotated[str, Header(5)],  # type: ignore[arg-type]  # that is the mistake
        list[Region],
        dict[str, Region],
        list[Annotated[str, Header("N")]],
        Annotated[str, Header("N")] | int,
    ],
)
def test_a_header_that_clients_would_not_agree_on_is_refused(server, annotation):
    def ask(region) -> None: ...

    ask.__annotations__ = {"region": annotation, "return": None}
    with pytest.raises(AuthoringError, match=r"'ask': .*x-mcp-header"):
        server.tool(ask)
    assert server.tools == ()


def test_two_headers_that_differ_in_case_alone_are_one(server):
    def ask(a: Annotated[str, Header("Region")], b: Annotated[str, Header("REGION")]) -> None: ...

    with pytest.raises(AuthoringError, match="two arguments have the header"):
        server.tool(ask)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "prefixItems"])
def test_no_header_hides_in_a_list_of_schemas(keyword):
    part = {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}}
    with pytest.raises(AuthoringError, match="place that clients ignore"):
        mirrored({"type": "object", keyword: [part]}, "tool 'ask'", "")


def test_only_tools_have_headers(server):
    def greet(region: Annotated[str, Header("Region")]) -> str: ...

    for declare in (server.prompt, server.resource("orders://{region}")):
        with pytest.raises(AuthoringError, match="only for the parameters of tools"):
            declare(greet)
