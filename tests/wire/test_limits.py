"""Limits as callers meet them, in memory and in Redis: every axis, loops, budgets, shadows, what the answers say."""

import json
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from typing import Any

import pytest

from support.limited import PRICES, PROXIED, Said, Voice, limited, number
from support.redis import RedisServer
from support.volley import answers, call_bytes, create_keys, lines
from support.ward import Ward
from support.wire import metric, rows, until

_TIGHT = ("class", "quota", "total", "caller", "budget", "repeat")
_SERVERS = dict.fromkeys((*_TIGHT, "plain", "shadow", "left", "right", "loops"), "api-key")
#: Few in an hour and many at once: nothing comes back while a test looks at what remains.
_WIDE = "10/hour burst 300"
_SETTINGS: dict[str, Any] = (
    {f"servers.{name}.limits.read": _WIDE for name in _SERVERS}
    | dict(PRICES)
    | {
        "limits.caller": "40/hour",
        "budgets.tight.rate": "3/hour",
        "budgets.wide.rate": _WIDE,
        "budgets.month.quota": "1000/month",
        "budgets.both.quota": "10/day",
        "budgets.spare.rate": "20/hour",
        "budgets.dark.rate": "1/hour",
        "budgets.dark.enforce": False,
        "servers.class.limits.read": "3/hour",
        "servers.quota.limits.quota": "3/month",
        "servers.total.limits.total": "3/hour",
        "servers.repeat.limits.repeat_read": "3/hour",
        "servers.budget.tools.echo.budgets": {"tight": 1, "wide": 1, "month": 1},
        "servers.left.tools.echo.budgets": {"both": 2, "spare": 1},
        "servers.right.tools.other.budgets": {"both": 1},
        "servers.loops.limits.repeat_read": "6/hour",
        "servers.shadow.limits.read": {"rate": "2/hour", "enforce": False},
        "servers.shadow.limits.repeat_read": {"rate": "3/hour", "enforce": False},
        "servers.shadow.tools.echo.budgets": {"dark": 1, "wide": 1},
    }
)
for _name in set(_TIGHT) - {"budget"}:
    _SETTINGS[f"servers.{_name}.tools.echo.budgets"] = {"wide": 1, "month": 1}


@pytest.fixture(scope="module", params=["memory", "redis"])
def ward(request, tmp_path_factory):
    """Many servers behind one address, each with one limit that is soon met; callers see no difference between
    stores.
    """
    folder = tmp_path_factory.mktemp("limits")
    with ExitStack() as stack:
        settings = dict(_SETTINGS)
        if request.param == "redis":
            store = RedisServer(folder)
            stack.callback(store.kill)
            settings |= {"limits.counters": store.start().url, "limits.counters_timeout_s": 5.0}
        ward = stack.enter_context(limited(folder / "site", settings, _SERVERS, start=False))
        made = create_keys(ward, 60, "*", "--class", "destructive")
        ward.credentials = {f"fresh {at}": key for at, key in enumerate(made)}
        (ward.credentials["slow"],) = create_keys(ward, 1, "*", "--rate", "3/hour")
        ward.start()
        yield ward


def fresh(ward: Ward) -> str:
    """Take a key that no call has used."""
    return ward.credentials.pop(next(name for name in ward.credentials if name.startswith("fresh")))


@pytest.fixture
def voice(ward):
    """Return a caller that no worker has seen yet."""
    opened = []

    def open_(server: str, key: str = "") -> Voice:
        opened.append(Voice(ward, key or fresh(ward), f"/{server}/mcp"))
        return opened[-1]

    yield open_
    for each in opened:
        each.__exit__()


def ask_until_refused(voice: Voice, tool: str = "echo", **arguments: object) -> tuple[list[Said], Said]:
    """Call until a call is refused; returns what passed, and the refusal."""
    passed: list[Said] = []
    while (said := voice(tool, **arguments)).passed:
        passed.append(said)
        assert len(passed) <= 100, "never refused"
    return passed, said


# ---- a refusal by one limit charges no other ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "server, tool, name, most",
    [
        ("class", "echo", "read", 3),
        ("quota", "echo", "quota-month", 3),
        ("total", "echo", "total", 3),
        ("caller", "echo", "caller", 40),
        ("budget", "echo", "budget-tight", 3),
        ("plain", "echo", "key", 3),
        ("plain", "rare", "tool", 2),
    ],
)
def test_a_refusal_names_its_limit_and_charges_no_other(ward, voice, server: str, tool: str, name: str, most: int):
    caller = voice(server, ward.credentials["slow"] if name == "key" else "")
    passed, refused = ask_until_refused(caller, tool)
    assert len(passed) == most
    assert (refused.status, refused.reason) == (429, "rate-exceeded")
    assert refused.body["error"]["data"]["policy"] == name
    assert refused.remaining[name] == 0
    assert len(refused.remaining) >= 2, "nothing else was there to be charged"
    for _ in range(5):
        again = caller(tool)
        assert again.remaining == refused.remaining == {**passed[-1].remaining, name: 0}


def used(ward, limit: str) -> int:
    """The usage of a budget by all callers together: no caller learns it."""
    return sum(use["used"] for use in json.loads(ward.cli("limits", "--limit", limit, "--json", check=False).stdout))


def test_a_refusal_by_any_other_limit_costs_no_budget(ward, voice):
    before = [used(ward, name) for name in ("budget-wide", "budget-month-month")]
    passed = 0
    for server in ("class", "quota", "total", "caller", "budget", "repeat"):
        caller = voice(server)
        said = [caller(text="the same") for _ in range(6)]
        assert not said[-1].passed or server == "caller"
        passed += sum(one.passed for one in said)
    after = [used(ward, name) for name in ("budget-wide", "budget-month-month")]
    assert [late - early for early, late in zip(before, after, strict=True)] == [passed, passed]


def test_a_refused_repetition_charges_no_other_limit(voice):
    caller = voice("repeat")
    passed, refused = ask_until_refused(caller, text="again")
    assert len(passed) == 3
    assert (refused.status, refused.reason) == (200, "repeated-call")
    for _ in range(5):
        assert caller(text="again").reason == "repeated-call"
    left = passed[-1].remaining
    assert {"read", "caller"} <= set(left)
    assert caller(text="another").remaining == {name: number - 1 for name, number in left.items()}


# ---- loops ----------------------------------------------------------------------------------------------------------


def test_a_model_in_a_loop_is_stopped_after_the_number_of_its_tool_s_class(tmp_path):
    """The default numbers: a model that repeats its call until it is refused, reads, and does something else."""
    shipped = {f"servers.demo.limits.repeat_{name}": None for name in ("read", "write", "destructive")}
    with limited(tmp_path / "site", shipped, start=False) as ward:
        key = create_keys(ward, 1, "demo", "--class", "destructive")[0]
        ward.start()
        with Voice(ward, key) as caller:
            for tool, most in (("echo", 30), ("store", 10), ("wipe", 3)):
                passed, told = ask_until_refused(caller, tool, text="the same")
                assert len(passed) == most
                assert (told.status, told.reason) == (200, "repeated-call")
                assert told.body["result"]["isError"] is True
                assert "again" in told.text
                assert "change" in told.text
                assert caller("other", text=f"after {tool}").passed
                assert caller(tool, text="the same").reason == "repeated-call"
        # Five of a minute are whole rows, the sixth is counted.
        found = until(lambda: found if len(found := rows(ward, "reason = 'repeated-call'")) == 5 else [])
        assert {row["limit_name"] for row in found} == {"repeat"}
        until(lambda: metric(ward, "mcpward_limit_refusals_total", limit="repeat") == 6)


@pytest.mark.parametrize("period", [2, 3, 4, 5])
def test_a_circle_of_calls_is_a_loop_too_and_a_way_out_of_it_is_open(voice, period: int):
    """Twice around shows the circle; from then on each call of it counts as one repetition."""
    caller = voice("loops")
    said = [caller(text=f"step {at}") for at in islice(cycle(range(period)), 2 * period + 6)]
    assert [one.passed for one in said] == [True] * (2 * period - 1 + 6) + [False]
    assert said[-1].reason == "repeated-call"
    assert caller(text="a way out").passed


def test_each_conversation_of_a_key_has_its_own_repetitions_and_all_together_have_a_few_times_as_many(ward, voice):
    """Many agents share one key. A client that makes up a conversation for each call is stopped as a caller."""
    key = fresh(ward)
    agents = [voice("repeat", key) for _ in range(5)]
    said = [[agent(text="the same").passed for _ in range(4)] for agent in agents]
    assert said == [[True, True, True, False]] * 4 + [[False] * 4]
    assert agents[4](text="another").passed


@pytest.mark.parametrize("tool", ["echo", "other"])
def test_calls_that_did_not_run_are_no_repetitions(voice, tool: str):
    """One tool draws on budgets, so its arguments are looked at before it is charged."""
    caller = voice("repeat")
    for _ in range(8):
        assert caller(tool, words="the same").reason == "arguments-invalid"
    assert [caller(tool, text="the same").passed for _ in range(4)] == [True, True, True, False]


def test_a_model_in_a_loop_is_told_that_it_has_its_answer_only_where_there_was_one(voice):
    for tool, words in (("echo", "You already have its answer"), ("fail", "It had no answer")):
        passed, told = ask_until_refused_of(voice("repeat"), tool)
        assert (passed, told.reason) == (3, "repeated-call")
        assert words in told.text


def ask_until_refused_of(voice: Voice, tool: str) -> tuple[int, Said]:
    """Make one call until it is refused as a repetition; returns how often it ran."""
    for count in range(50):
        said = voice(tool, text="the same")
        if said.reason == "repeated-call":
            return count, said
    pytest.fail("never refused")


def test_work_that_never_repeats_itself_is_no_loop(voice):
    caller = voice("loops")
    assert all(caller(text=f"page {at}").passed for at in range(39))


# ---- budgets --------------------------------------------------------------------------------------------------------


def test_two_tools_of_two_servers_share_a_budget_whoever_calls(ward, voice):
    left, right = voice("left"), voice("right")
    assert left("echo").passed
    assert right("other").passed
    assert [left("echo").passed for _ in range(4)] == [True, True, True, False]  # 7, 5, 3, 1: two do not fit in one
    refused = left("echo")
    assert refused.remaining["budget-both-day"] == 1
    assert used(ward, "budget-spare") == 4  # what was refused cost nothing elsewhere
    assert right("other").passed
    last = right("other")
    assert last.body["error"]["data"]["policy"] == "budget-both-day"
    assert voice("right")("other").status == 429  # for another caller, too
    assert right("echo").passed  # a tool without a budget


def test_a_call_costs_what_its_arguments_say(ward, voice):
    caller = voice("plain")
    assert caller("generate", max_tokens=60).passed
    refused = caller("generate", max_tokens=41)
    assert refused.body["error"]["data"]["policy"] == "budget-tokens"
    assert refused.remaining["budget-tokens"] == 40
    assert 1 <= refused.retry_after_s <= 37  # one more token, at 100 in an hour
    assert caller("generate", max_tokens=40).passed
    never = caller("generate", max_tokens=101)
    assert never.reason == "arguments-invalid"
    assert "at most 100 at once" in str(never.body)
    assert caller("generate", max_tokens=1).status == 429
    assert caller("translate", text="three plain words").passed
    assert caller("translate", text="").passed  # costs nothing
    assert caller("translate", text=7).reason == "arguments-invalid"  # nor does what cannot run
    assert used(ward, "budget-words-month") == 3


# ---- shadows --------------------------------------------------------------------------------------------------------


def test_a_limit_that_is_not_enforced_lets_pass_and_is_recorded(ward, voice):
    caller = voice("shadow")
    assert all(caller(text="the same").passed for _ in range(6))
    found = until(lambda: found if len(found := rows(ward, "server = 'shadow'")) == 6 else [])
    meant = [set(filter(None, (row["would_refuse"] or "").split(","))) for row in found]
    assert ["read" in one for one in meant] == [False] * 2 + [True] * 4
    assert ["budget-dark" in one for one in meant] == [False] + [True] * 5
    assert ["repeat" in one for one in meant] == [False] * 3 + [True] * 3
    assert {row["outcome"] for row in found} == {"ok"}
    assert {row["limit_name"] for row in found} == {None}
    would = {"read": 4, "budget-dark": 5, "repeat": 3}
    refusals = partial(metric, ward, "mcpward_limit_would_refuse_total", server="shadow")
    until(lambda: {name: refusals(limit=name) for name in would} == would)


# ---- what the answers say -------------------------------------------------------------------------------------------


def test_the_fields_of_a_refusal_parse_as_structured_fields(ward, voice):
    """draft-ietf-httpapi-ratelimit-headers-10, RFC 9651. Voices read every answer of this file so."""
    for server in ("class", "quota"):
        _, refused = ask_until_refused(voice(server))
        assert refused.status == 429
        assert set(refused.policies) == set(refused.standings) > {"read"}
        for policy in refused.policies.values():
            assert {"q", "w"} <= set(policy.parameters)
            assert all(number(policy, name) >= 1 for name in "qw")
        for standing in refused.standings.values():
            assert number(standing, "r") >= 0
            assert number(standing, "t") >= 0
        assert refused.retry_after_s is not None
        assert refused.retry_after_s >= 1
        assert refused.body["id"] == 4


def test_the_record_names_the_limit_that_refused(ward, voice):
    _, refused = ask_until_refused(voice("class"))
    assert refused.reason == "rate-exceeded"
    until(lambda: rows(ward, "server = 'class' AND limit_name = 'read'"))
    assert metric(ward, "mcpward_limit_refusals_total", server="class", limit="read") >= 1


# ---- many at once ---------------------------------------------------------------------------------------------------


def test_of_parallel_calls_that_draw_on_several_limits_the_tightest_says_how_many(ward):
    """200 at once, and no other limit has paid for those that were refused."""
    key = fresh(ward)
    with lines([ward.port], 200) as wires:
        datas = [call_bytes(ward.port, key, at, path="/quota/mcp") for at in range(200)]
        found = answers(wires, datas)
    assert sorted(answer.status for answer in found) == [200] * 3 + [429] * 197
    with Voice(ward, key, "/plain/mcp") as caller:
        assert caller().remaining["caller"] == 36


def test_strangers_are_counted_by_address_and_by_64_bits_of_ipv6_even_while_they_guess(tmp_path):
    """Three wrong keys from one /64 lock it out, whichever of its addresses they come from; its neighbour is in."""
    settings = PROXIED | {"limits.auth_failures": "3/hour", "servers.open.limits.read": "2/hour"}
    with limited(tmp_path / "site", settings, {"open": "public", "shut": "api-key"}) as ward:

        def guess(address: str) -> int:
            with Voice(ward, "sk-mcpward-wrong", "/shut/mcp", address) as voice:
                return voice().status

        assert [guess(f"2001:db8:0:1:{at}::{at}") for at in range(1, 5)] == [401, 401, 401, 429]
        assert guess("2001:db8:0:2::1") == 401
        assert [guess("198.51.100.9") for _ in range(4)] == [401, 401, 401, 429]
        assert guess("::ffff:198.51.100.9") == 429
        with Voice(ward, path="/open/mcp", address="2001:db8:0:3::1") as one:
            assert [one().status for _ in range(3)] == [200, 200, 429]
        with Voice(ward, path="/open/mcp", address="2001:db8:0:3:ffff::2") as two:
            assert two().status == 429


# ---- neighbours -----------------------------------------------------------------------------------------------------


def test_a_good_key_is_served_whatever_others_at_its_address_do(tmp_path):
    """Behind one address a client with a wrong key tries again and again, and a stranger asks more than it may."""
    settings = PROXIED | {"limits.auth_failures": "10/minute", "limits.requests": "30/hour"}
    with limited(tmp_path / "site", settings, {"demo": "api-key", "open": "public"}, start=False) as ward:
        good = create_keys(ward, 1)[0]
        ward.start()
        address = "198.51.100.5"
        with Voice(ward, good, "/demo/mcp", address) as caller:
            assert caller().passed
            with Voice(ward, "sk-mcpward-wrong", "/demo/mcp", address) as neighbour:
                assert [neighbour().status for _ in range(14)] == [401] * 10 + [429] * 4
            assert caller().passed
            with Voice(ward, "", "/open/mcp", address) as stranger:
                told = [stranger() for _ in range(30)]
            assert [one.status for one in told] == [200] * 16 + [429] * 14  # what failed was a request, too
            assert told[-1].reason == "address-rate-exceeded"
            assert all(caller().passed for _ in range(20))
        with Voice(ward, "", "/open/mcp", "198.51.100.6") as another:
            assert another().passed
        assert {row["reason"] for row in ward.records("--limit", "requests")} == {"address-rate-exceeded"}


def test_a_caller_that_floods_is_told_so_wherever_it_asks_and_no_other_is(tmp_path):
    """Messages that no class is charged for, because they are none."""
    with limited(tmp_path / "site", {"limits.requests": "20/hour"}, start=False) as ward:
        one, other = create_keys(ward, 2)
        ward.start()
        headers = {"authorization": f"Bearer {one}"}
        assert [ward.post(b"[]", headers=headers).status_code for _ in range(25)] == [400] * 20 + [429] * 5
        assert ward.call("echo", {"text": "a"}, key=other).status_code == 200
