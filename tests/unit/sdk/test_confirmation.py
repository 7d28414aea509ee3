"""``confirm=``: a text with places, or a function, checked when the tool is declared."""

from typing import Any

import pytest

from mcpward import Caller, Context, Server
from mcpward.sdk.errors import AuthoringError


def declare(confirm: Any, schema: Any = None) -> Any:
    server = Server("shop")
    if schema is not None:

        @server.tool(confirm=confirm, input_schema=schema)
        def open_tool(arguments: dict[str, Any]) -> None:
            """Cancel."""
    else:

        @server.tool(confirm=confirm)
        def cancel(order_id: str, total: float = 0.0) -> None:
            """Cancel."""

    return server.tools[0]


def test_the_places_of_a_text_are_the_tools_own_parameters():
    assert declare("Cancel {order_id} of {total}?").asked.wording.names == ("order_id", "total")
    assert declare("Cancel {{all}}?").asked.wording.parts == (("Cancel {", ""), ("all}", ""), ("?", ""))
    assert declare("Really?").asked.wording is None


@pytest.mark.parametrize(
    "text,hint",
    [
        ("Cancel {oder_id}?", "did you mean 'order_id'?"),
        ("Cancel {customer}?", "confirm=question"),
        ("Cancel {order_id.__class__}?", "confirm="),
        ("Cancel {order_id!r}?", "confirm="),
        ("Cancel {order_id:>99}?", "confirm="),
        ("Cancel {order_id[0]}?", "confirm="),
        ("Cancel {0}?", "confirm="),
        ("Cancel {}?", "confirm="),
        ("Cancel {order_id?", "confirm="),
        ("Cancel }?", "confirm="),
        ("", "confirm="),
        (3, "confirm="),
    ],
)
def test_attack_82_a_text_that_could_reach_further_than_an_argument_is_refused(text, hint):
    with pytest.raises(AuthoringError) as wrong:
        declare(text)
    assert hint in wrong.value.hint
    assert "tool 'cancel'" in wrong.value.what


def test_the_places_of_an_authors_own_schema_are_its_properties():
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    assert declare("Delete {path}?", schema).asked.wording.names == ("path",)
    with pytest.raises(AuthoringError):
        declare("Delete {arguments}?", schema)


def test_a_function_takes_some_of_the_parameters_and_the_caller():
    async def question(order_id: str, caller: Caller) -> str:
        return order_id

    assert declare(question).asked.function is question

    async def unknown(oder_id: str) -> str:
        return oder_id

    async def asks(order_id: str, context: Context) -> str:
        return order_id

    async def number(order_id: str) -> int:
        return 3

    for function, said in ((unknown, "oder_id"), (asks, "Context"), (number, "something else than a text")):
        with pytest.raises(AuthoringError) as wrong:
            declare(function)
        assert said in wrong.value.what
