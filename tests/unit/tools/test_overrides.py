"""An operator's additions to a tool, and the names of databases as pools."""

import pytest

from mcpward import Database, Server
from mcpward.config.limits import ToolSettings
from mcpward.core.errors import Misconfigured
from mcpward.core.values import Rate
from mcpward.tools.registry import Defaults, Registry


def database(name=None, size=5):
    return Database("sqlite:////tmp/a.db", name=name, max_concurrency=size)


def registry(server, **tools):
    additions = {name: ToolSettings.model_validate(given) for name, given in tools.items()}
    return Registry("orders", server, Defaults(tools=additions))


@pytest.fixture
def server() -> Server:
    return Server("shop")


def test_a_tool_has_what_its_author_said(server):
    server.tool("pay", budgets={"stripe": 2}, pools=[database("orders", 3), "gpu"], concurrency=4)(lambda: None)
    tool = registry(server).tools[0]
    assert [(draw.budget, draw.cost) for draw in tool.draws] == [("stripe", 2)]
    assert (tool.pools, tool.concurrency) == (("orders", "gpu"), 4)


def test_the_operator_adds_to_it_and_goes_before_the_author(server):
    server.tool("pay", rate="9/second", budgets={"stripe": 2, "fax": 1}, pools=["gpu"], concurrency=4)(lambda: None)
    given = {"rate": "1/second", "concurrency": 2, "pools": ["gpu", "orders"], "budgets": {"stripe": 5, "openai": 1}}
    tool = registry(server, pay=given).tools[0]
    assert [(draw.budget, draw.cost) for draw in tool.draws] == [("fax", 1), ("stripe", 5), ("openai", 1)]
    assert (tool.pools, tool.concurrency, tool.rate) == (("gpu", "orders"), 2, Rate(1, 1.0, 1))


def test_a_cost_of_nothing_takes_the_authors_draw_away(server):
    server.tool("pay", budgets=["stripe", "fax"])(lambda: None)
    tool = registry(server, pay={"budgets": {"stripe": 0}}).tools[0]
    assert [draw.budget for draw in tool.draws] == ["fax"]


def test_an_unknown_tool_is_told_with_the_nearest_name(server):
    server.tool("query_orders")(lambda: None)
    with pytest.raises(Misconfigured) as wrong:
        registry(server, query_order={"concurrency": 1}, xyz={})
    told = [(finding.what, finding.where, finding.hint) for finding in wrong.value.findings]
    assert told == [
        (
            "servers.orders.tools.query_order: server orders has no such tool",
            "servers.orders.tools.query_order",
            "did you mean query_orders?",
        ),
        (
            "servers.orders.tools.xyz: server orders has no such tool",
            "servers.orders.tools.xyz",
            "its tools: query_orders",
        ),
    ]


def test_a_tool_that_is_switched_off_is_known_to_the_operator(server):
    server.tool("pay", enabled=False)(lambda: None)
    made = registry(server, pay={"concurrency": 3})
    assert (made.tools, [tool.concurrency for tool in made.declared]) == ((), [3])


def test_databases_without_a_name_are_numbered_in_the_authors_order(server):
    first, second, named = database(size=3), database(size=4), database("orders", 2)
    server.tool("a", pools=[named, first])(lambda: None)
    server.tool("b", pools=[second, first])(lambda: None)
    made = registry(server)
    assert [tool.pools for tool in made.tools] == [("orders", "database"), ("database-2", "database")]
    assert made.pools == {"orders": 2, "database": 3, "database-2": 4}
    assert made.unnamed_pools == {"database", "database-2"}


def test_a_name_that_somebody_chose_is_left_to_them(server):
    server.tool("a", pools=[database(), "database", database("database-2")])(lambda: None)
    assert registry(server).tools[0].pools == ("database-3", "database", "database-2")


def test_one_name_is_one_size(server):
    server.tool("a", pools=[database("orders", 2)])(lambda: None)
    server.tool("b", pools=[database("orders", 2)])(lambda: None)
    assert registry(server).pools == {"orders": 2}
    server.tool("c", pools=[database("orders", 3)])(lambda: None)
    with pytest.raises(Misconfigured, match="two databases are called 'orders', for 2 and 3"):
        registry(server)
