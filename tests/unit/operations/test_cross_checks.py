"""Every budget and pool that is named is defined, and every one that is defined is named."""

from typing import Annotated

import pytest

from mcpward import Database, Limit, Server
from mcpward.config.load import load
from mcpward.core.errors import Misconfigured
from mcpward.core.values import Pool
from mcpward.operations.cross_checks import pools_of
from mcpward.operations.tool_sources import tool_sources_of


def served(options, more=None, names=("shop",)):
    """Return settings and registries of a site whose servers have one tool each."""
    sources = {}
    for name, given in zip(names, options if isinstance(options, list) else [options], strict=True):
        sources[name] = server = Server(name)

        @server.tool("pay", **given)
        def pay(tokens: Annotated[int, Limit(max=99)] = 1) -> None:
            """Pay."""

    settings = load(None, {}, {f"servers.{name}.source": "m:a" for name in names} | (more or {}))
    return settings, tool_sources_of(settings, sources)


def told(options, more=None, names=("shop",)):
    with pytest.raises(Misconfigured) as wrong:
        served(options, more, names)
    return [(finding.what, finding.hint) for finding in wrong.value.findings]


def database(name=None, size=5):
    return Database("sqlite:////tmp/a.db", name=name, max_concurrency=size)


def test_a_budget_that_nobody_defines_is_told_with_the_lines_to_write():
    [(what, hint)] = told({"budgets": ["stripe"]})
    assert what == "tool 'pay' of server shop draws on budget 'stripe', which is not defined"
    assert hint == 'write [budgets.stripe] with rate = "25/second" or quota = "10000/day"'


def test_the_nearest_spelling_is_told_from_both_sides():
    findings = told(
        {"budgets": ["stripe"], "pools": ["orders"]}, {"budgets.strip.rate": "9/day", "pools.oders.concurrency": 1}
    )
    assert [hint.partition("?")[0] for _, hint in findings] == [
        "did you mean 'strip'",
        "did you mean 'oders'",
        "did you mean 'stripe'",
        "did you mean 'orders'",
    ]


def test_a_pool_that_nobody_defines_is_told():
    [(what, hint)] = told({"pools": ["gpu"]})
    assert what == "tool 'pay' of server shop needs a slot in pool 'gpu', which is not defined"
    assert hint == "write [pools.gpu] with concurrency = 5"


def test_a_pool_has_a_size():
    [(what, hint)] = told({"pools": ["gpu"]}, {"pools.gpu.queue": 3})
    assert what.endswith("which has no size")
    assert hint == "write [pools.gpu] with concurrency = 5"


def test_a_database_brings_its_own_size_and_the_operator_goes_before_it():
    settings, registries = served({"pools": [database("orders", 4), "gpu"]}, {"pools.gpu.concurrency": 1})
    assert pools_of(settings, registries) == {
        "orders": Pool(name="orders", slots=4),
        "gpu": Pool(name="gpu", slots=1),
    }
    settings, registries = served({"pools": [database("orders", 4)]}, {"pools.orders": {"concurrency": 2, "queue": 7}})
    assert pools_of(settings, registries) == {"orders": Pool(name="orders", slots=2, queue=7)}
    settings, registries = served({"pools": [database("orders", 4)]}, {"pools.orders.queue_timeout_s": 1.0})
    assert pools_of(settings, registries) == {"orders": Pool(name="orders", slots=4, queue_timeout_s=1.0)}


def test_the_pool_of_a_database_fails_as_the_site_says():
    settings, registries = served({"pools": [database("orders")]}, {"limits.on_store_failure": "closed"})
    assert pools_of(settings, registries)["orders"].on_store_failure == "closed"


def test_two_servers_share_a_pool_by_its_name_and_not_by_accident():
    names = ("a", "b")
    settings, registries = served([{"pools": [database("orders", 4)]}] * 2, None, names)
    assert pools_of(settings, registries) == {"orders": Pool(name="orders", slots=4)}
    [(what, hint)] = told([{"pools": [database()]}, {"pools": [database()]}], None, names)
    assert what == "servers a and b each have an unnamed Database as pool 'database', which would be one pool for both"
    assert hint == 'name them: Database(…, name="orders")'
    sizes = [{"pools": [database("orders", 4)]}, {"pools": [database("orders", 5)]}]
    [(what, hint)] = told(sizes, None, names)
    assert what == "servers a and b bring pool 'orders' with 4 and 5 slots"
    assert served(sizes, {"pools.orders.concurrency": 3}, names)


@pytest.mark.parametrize(
    "budget,cost,passes",
    [
        ({"rate": "5/second"}, 5, True),
        ({"rate": "5/second"}, 6, False),
        ({"rate": "5/second burst 9"}, 9, True),
        ({"rate": "50/second", "quota": "5/day"}, 6, False),
        ({"rate": "5/second"}, "tokens", True),
    ],
)
def test_a_call_that_could_never_be_made_is_told(budget, cost, passes):
    if passes:
        assert served({"budgets": {"stripe": cost}}, {"budgets.stripe": budget})
        return
    [(what, _)] = told({"budgets": {"stripe": cost}}, {"budgets.stripe": budget})
    assert what.endswith(f"draws on budget 'stripe' for {cost} a call, and it holds at most 5 at once")


def test_a_worker_has_a_part_of_a_budget_in_memory_and_all_of_it_in_redis():
    given = {"budgets.stripe.rate": "8/second", "site.workers": 4}
    [(what, _)] = told({"budgets": {"stripe": 3}}, given)
    assert what.endswith("it holds at most 2 at once")
    assert served({"budgets": {"stripe": 3}}, given | {"limits.counters": "redis://127.0.0.1"})


def test_the_places_of_a_tool_can_be_divided_between_workers_or_are_counted_in_redis():
    [(what, hint)] = told({"concurrency": 1}, {"site.workers": 2})
    assert what == "tool 'pay' of server shop runs 1 at once, and 2 workers cannot divide that between them"
    assert "count in Redis" in hint
    assert served({"concurrency": 1}, {"site.workers": 2, "limits.counters": "redis://127.0.0.1"})
    assert served({"concurrency": 2}, {"site.workers": 2})


def test_what_nobody_names_is_told():
    assert told({}, {"budgets.stripe.rate": "9/day", "pools.gpu.concurrency": 1}) == [
        ("budgets.stripe: no tool draws on it", _OFFER),
        ("pools.gpu: no tool needs a slot in it", _OFFER),
    ]


_OFFER = "name it in [servers.<name>.tools.<name>] or in @server.tool(…), or remove the table"


def test_the_operator_names_what_the_author_did_not():
    given = {
        "budgets.stripe.rate": "9/day",
        "pools.gpu.concurrency": 1,
        "servers.shop.tools.pay": {"pools": ["gpu"], "budgets": {"stripe": 2}},
    }
    _, registries = served({}, given)
    tool = registries["shop"].tools[0]
    assert (tool.pools, [draw.budget for draw in tool.draws]) == (("gpu",), ["stripe"])


def test_a_draw_that_the_operator_took_away_leaves_no_slip():
    given = {"budgets.stripe.rate": "9/day", "servers.shop.tools.pay.budgets": {"stripe": 0}}
    assert served({"budgets": ["stripe"]}, given)


def test_what_other_servers_name_is_no_slip_of_one_that_is_served_alone():
    settings = load(None, {}, {"servers.shop.source": "m:a", "budgets.stripe.rate": "9/day"}).as_part()
    assert tool_sources_of(settings, {"shop": Server("shop")})


def test_the_findings_of_all_servers_come_at_once():
    given = {"servers.a.tools.x.concurrency": 1, "servers.b.tools.y.concurrency": 1}
    findings = told([{}, {}], given, ("a", "b"))
    assert [what.partition(":")[0] for what, _ in findings] == ["servers.a.tools.x", "servers.b.tools.y"]
