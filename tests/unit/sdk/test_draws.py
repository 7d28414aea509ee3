"""An author's declarations of budgets, pools and slots: read at import, and refused there if they cannot hold."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from mcpward import Database, Limit, Server
from mcpward.sdk.errors import AuthoringError

COUNTED = {
    "type": "object",
    "properties": {"tokens": {"type": "integer", "minimum": 0}, "more": {"type": "integer", "minimum": 0}},
    "required": ["tokens"],
    "additionalProperties": False,
}


def declared(**options):
    server = Server("shop")

    @server.tool("pay", **options)
    def pay(
        tokens: Annotated[int, Limit(max=9000)] = 5,
        free: int = 0,
        more: Annotated[int, Field(gt=-1)] = 1,
        word: str = "",
        maybe: Annotated[int, Field(ge=0)] | None = None,
    ) -> None:
        """Pay."""

    return server.tools[0]


def refused(**options):
    with pytest.raises(AuthoringError) as wrong:
        declared(**options)
    return str(wrong.value)


def costs(draws, arguments):
    return {draw.budget: draw.cost if draw.cost_of is None else draw.cost_of(arguments) for draw in draws}


def test_a_list_of_budgets_costs_one_of_each():
    assert costs(declared(budgets=["stripe", "open-ai"]).draws, {}) == {"stripe": 1, "open-ai": 1}


def test_a_cost_is_a_number_an_argument_or_a_function_of_the_arguments():
    draws = declared(budgets={"a": 2, "b": "tokens", "c": "more", "d": lambda given: given["tokens"] * 3}).draws
    assert costs(draws, {"tokens": 7, "more": 0}) == {"a": 2, "b": 7, "c": 0, "d": 21}
    assert [draw.argument for draw in draws] == ["", "tokens", "more", ""]


def test_the_argument_of_a_cost_is_bound_as_the_function_is_called():
    tool = declared(budgets={"a": "tokens"})
    assert costs(tool.draws, tool.arguments.bind(b"{}")) == {"a": 5}
    assert costs(tool.draws, tool.arguments.bind(b'{"tokens": 8}')) == {"a": 8}


def written(**options):
    server = Server("shop")

    @server.tool("pay", input_schema=COUNTED, **options)
    def pay(arguments: dict[str, Any]) -> None:
        """Pay."""

    return server.tools[0]


def test_the_argument_of_a_schema_of_the_authors_own_can_be_a_cost_if_it_is_always_there():
    tool = written(budgets={"a": "tokens"})
    assert costs(tool.draws, tool.arguments.bind(b'{"tokens": 8}')) == {"a": 8}
    with pytest.raises(AuthoringError, match="which a call may leave out"):
        written(budgets={"a": "more"})


@pytest.mark.parametrize("name", ["", "Stripe", "a b", "-a", "a" * 42, "ä", 5, None, "a\0"])
def test_a_budget_has_a_plain_name(name):
    assert "a name is 1 to 41 of" in refused(budgets=[name])


async def later(_given):
    return 1


@pytest.mark.parametrize("cost", [0, -1, True, 1.5, None, 10**9, later])
def test_a_cost_is_one_at_the_least_and_known_at_once(cost):
    assert "the cost of budget 'a' is" in refused(budgets={"a": cost})


@pytest.mark.parametrize("name", ["nothing", "word", "maybe", ""])
def test_the_argument_of_a_cost_is_a_whole_number(name):
    assert "which is not an int argument" in refused(budgets={"a": name})


def test_the_argument_of_a_cost_never_goes_below_nothing():
    """A caller could else choose that the call ends in a fault."""
    assert "which may be below 0" in refused(budgets={"a": "free"})


@pytest.mark.parametrize("budgets", ["stripe", 5, None])
def test_budgets_are_a_list_or_a_mapping(budgets):
    assert "budgets is a list or a mapping" in refused(budgets=budgets)


def test_pools_are_databases_and_names():
    db = Database("sqlite:////tmp/a.db", name="orders", max_concurrency=3)
    assert declared(pools=[db, "gpu", db, "gpu"], concurrency=2).pools == (db, "gpu")
    assert (db.name, db.max_concurrency) == ("orders", 3)
    assert declared(concurrency=2).concurrency == 2


@pytest.mark.parametrize(
    "pools,told", [("gpu", "a list"), (5, "a list"), (["GPU"], "1 to 41"), ([5], "not int"), ([Database], "not type")]
)
def test_nothing_else_is_a_pool(pools, told):
    assert told in refused(pools=pools)


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, "2"])
def test_concurrency_is_a_number_of_calls(concurrency):
    assert "at least 1" in refused(concurrency=concurrency)


@pytest.mark.parametrize("name", ["", "Orders", "a b"])
def test_a_database_has_a_name_fit_for_a_pool(name):
    with pytest.raises(ValueError, match="1 to 41"):
        Database("sqlite:////tmp/a.db", name=name)


@pytest.mark.parametrize("cost", ["n", "count"])
def test_an_argument_with_an_alias_is_meant_by_either_name(cost):
    server = Server("shop")

    @server.tool("pay", budgets={"stripe": cost})
    def pay(n: Annotated[int, Field(ge=0, alias="count")] = 1, schema: Annotated[int, Field(ge=0)] = 2) -> None:
        """Pay."""

    tool = server.tools[0]
    assert tool.draws[0].argument == "count"  # a problem's place is reported as callers write it
    assert costs(tool.draws, tool.arguments.bind(b'{"count": 7}')) == {"stripe": 7}
    assert costs(tool.draws, tool.arguments.bind(b"{}")) == {"stripe": 1}


def test_an_argument_whose_name_is_taken_on_a_model_can_be_a_cost():
    server = Server("shop")

    @server.tool("pay", budgets={"stripe": "schema"})
    def pay(schema: Annotated[int, Field(ge=0)] = 2) -> None:
        """Pay."""

    tool = server.tools[0]
    assert costs(tool.draws, tool.arguments.bind(b'{"schema": 7}')) == {"stripe": 7}
