"""Limits with their rulings: as a text, as a table, and settled by the word of the site."""

import pickle
import re

import jsonschema_rs
import pytest

from mcpward.config.explain import schema
from mcpward.config.load import load, read
from mcpward.config.show import shown
from mcpward.core.errors import Misconfigured
from mcpward.core.values import Enforcement, Period, Pool, Quota, QuotaLimit, Rate, RateLimit

HERE = {"servers.a.source": "m:a"}
READ = "servers.a.limits.read"


def limits(**given):
    overrides = {f"servers.a.limits.{name}": value for name, value in given.items()}
    return load(None, {}, HERE | overrides).servers["a"].limits


def told(key, value):
    with pytest.raises(Misconfigured) as wrong:
        load(None, {}, HERE | {key: value})
    return [finding.what for finding in wrong.value.findings]


def test_a_text_is_enforced_and_local():
    assert limits(read="5/second").read == RateLimit(
        Rate(5, 1.0, 5), Enforcement(enforce=True, on_store_failure="local")
    )


def test_a_table_says_how_strictly_it_is_meant():
    table = {"rate": "5/second burst 9", "enforce": False, "on_store_failure": "closed"}
    assert limits(total=table).total == RateLimit(
        Rate(5, 1.0, 9), Enforcement(enforce=False, on_store_failure="closed")
    )
    quota = {"quota": "9/hour", "on_store_failure": "open"}
    assert limits(quota=quota).quota == QuotaLimit(Quota(9, Period.HOUR), Enforcement(on_store_failure="open"))


def test_limits_are_off_where_nothing_is_said_and_repetition_is_not():
    given = limits()
    assert (given.total, given.quota) == (None, None)
    assert load(None, {}, HERE).limits.caller is None
    repeats = [given.repeat_read, given.repeat_write, given.repeat_destructive]
    assert [repeat.rate.count for repeat in repeats] == [30, 10, 3]
    off = limits(repeat_read="", repeat_write="", repeat_destructive="")
    assert (off.repeat_read, off.repeat_write, off.repeat_destructive) == (None, None, None)


def test_the_word_of_the_site_holds_for_all_that_say_nothing():
    settings = load(
        None,
        {},
        HERE
        | {
            "limits.on_store_failure": "closed",
            "limits.auth_failures": {"rate": "9/minute", "on_store_failure": "local"},
            "limits.caller": "9/second",
            READ: {"rate": "9/second", "on_store_failure": "local"},
            "servers.a.limits.quota": "9/day",
            "budgets.a.rate": "9/second",
            "budgets.b": {"quota": "9/day", "on_store_failure": "open"},
            "pools.a.concurrency": 2,
            "pools.b": {"concurrency": 2, "on_store_failure": "local"},
        },
    )
    site, own = settings.limits, settings.servers["a"].limits
    words = [
        one and one.ruling.on_store_failure
        for one in (site.auth_failures, site.requests, site.caller, own.read, own.write, own.quota)
    ]
    assert words == ["local", "closed", "closed", "local", "closed", "closed"]
    budgets = [settings.budgets[name].budget(name).ruling.on_store_failure for name in "ab"]
    assert budgets == ["closed", "open"]
    assert [settings.pools[name].pool(name).on_store_failure for name in "ab"] == ["closed", "local"]
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize(
    "value",
    [
        "", 5, None, [], {}, {"rate": 5}, {"enforce": False}, {"rate": "often"}, {"rate": "5/second", "enforce": "no"},
        {"rate": "5/second", "on_store_failure": "shut"}, {"rate": "5/second", "on_store_failure": ["closed"]},
        {"quota": "5/day"}, {"rate": "5/second", "burst": 9},
    ],
)  # fmt: skip
def test_what_is_no_limit_is_told_at_its_key(value):
    assert all(what.startswith(READ) for what in told(READ, value))


@pytest.mark.parametrize("key", [READ, "servers.a.limits.total", "servers.a.limits.quota", "limits.caller"])
@pytest.mark.parametrize("value", [5, True, ["5/second"], 1.5])
def test_what_is_neither_text_nor_table_is_told_in_words_for_people(key, value):
    (what,) = told(key, value)
    assert re.fullmatch(rf'{key}: must be a text, or a table with (rate|quota) = "…"', what)


@pytest.mark.parametrize(
    "limits,is_right",
    [
        ({"read": {"rate": "5/second", "enforce": False, "on_store_failure": "open"}}, True),
        ({"quota": {"quota": "5/day"}, "total": ""}, True),
        ({"read": {"rate": "5/second", "enforced": False}}, False),
        ({"read": {"enforce": False}}, False),
        ({"read": ""}, False),
        ({"quota": {"quota": "5/minute burst 2"}}, False),
        ({"read": {"rate": "5/second", "on_store_failure": "shut"}}, False),
    ],
)
def test_the_schema_for_editors_knows_both_ways_to_write_a_limit(limits, is_right):
    validator = jsonschema_rs.validator_for(schema())
    assert validator.is_valid({"servers": {"a": {"source": "m:a", "limits": limits}}}) is is_right


def test_a_misspelt_word_of_a_table_is_told_with_the_nearest():
    assert told(READ, {"rate": "5/second", "enforced": False}) == [f"{READ}: has an unknown key; did you mean enforce?"]
    assert told("servers.a.limits.quota", {"rate": "5/day", "quota": "5/day"})


def test_a_limit_is_shown_as_it_was_written(tmp_path):
    (tmp_path / "mcpward.toml").write_text(
        '[limits]\non_store_failure = "open"\n[servers.a]\nsource = "m:a"\n[servers.a.limits]\nread = "5/second"\n'
        'write = { rate = "5/second", enforce = false }\nquota = { quota = "9/day", on_store_failure = "open" }\n'
    )
    loaded = read(tmp_path / "mcpward.toml", {}, {})
    values = {row.key: row.value for row in shown(loaded)}
    assert values[READ] == "5/second"
    assert values["servers.a.limits.write"] == {"rate": "5/second", "enforce": False}
    assert values["servers.a.limits.quota"] == {"quota": "9/day", "on_store_failure": "open"}
    assert values["servers.a.limits.total"] == ""


def test_budgets_and_pools_are_given_as_the_house_takes_them():
    settings = load(
        None,
        {},
        HERE | {"budgets.stripe": {"rate": "25/second", "quota": "10/day", "enforce": False}, "pools.db.queue": 3},
    )
    budget = settings.budgets["stripe"].budget("stripe")
    assert (budget.name, budget.rate, budget.quota) == ("stripe", Rate(25, 1.0, 25), Quota(10, Period.DAY))
    assert budget.ruling == Enforcement(enforce=False)
    assert settings.pools["db"].pool("db", 7) == Pool(name="db", slots=7, queue=3)


@pytest.mark.parametrize("key", ["budgets.stripe.rate", "budgets.stripe.quota", "servers.a.tools.t.rate"])
@pytest.mark.parametrize("value", [{"rate": "5/second", "enforce": False}, {"quota": "5/day"}, 5, True])
def test_a_table_where_only_a_text_stands_is_told_where_its_words_belong(key, value):
    said = told(key, value)
    assert [one for one in said if one.startswith(f"{key}: must be a text such as") and "beside it" in one] == said


@pytest.mark.parametrize("name", ["Stripe", "", "-a", "_a", "a b", "a" * 42, "a\0", "a.b", "ä"])
def test_names_of_budgets_and_pools_are_plain(name):
    for table in ("budgets", "pools"):
        with pytest.raises(Misconfigured):
            load(None, {}, {table: {name: {}}})
