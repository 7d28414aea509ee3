"""The operator's rules: who may call what, when and with which arguments; over HTTP, and by ``mcpward policy test``."""

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.orders import FORM, answered, call, key_id, make_key, notes, question_in, reason_of, shop, text_of
from support.wire import rows, until

RULES = """
[servers.orders.rules.no-voids]
do = "deny"
tools = ["void_*"]
not_callers = ["key:{admin}", "tag:team=ops"]

[servers.orders.rules.large-refunds]
do = "confirm"
tools = ["refund"]
when = {{ amount = {{ above = 100 }} }}
reason = "refunds above 100 need a person"

[servers.orders.rules.abroad]
do = "deny"
tools = ["refund"]
when.country.none_of = ["DE", "AT"]
reason = "only home"

[servers.orders.rules.gone-hours]
do = "deny"
tools = ["get_total"]
hours = "{hours} UTC"

[servers.orders.rules.watched]
do = "confirm"
tools = ["get_order"]
when.order_id.like = ["secret*"]
"""
ALWAYS = "00:00-24:00"


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with shop(tmp_path_factory.mktemp("rules"), start=False) as ward:
        ward.key, ward.credentials["admin"] = make_key(ward), make_key(ward, "admin")
        file = ward.folder / "mcpward.toml"
        file.write_text(file.read_text() + RULES.format(admin=key_id(ward.credentials["admin"]), hours=ALWAYS))
        ward.start()
        yield ward


def tools_of(ward, key):
    listed = ward.modern("tools/list", key=key).json()["result"]["tools"]
    return {tool["name"] for tool in listed}


def tried(ward, tool, arguments="{}", *more, caller=None):
    words = ("policy", "test", "--as", caller or key_id(ward.key), "--tool", tool, "--arguments", arguments, "--json")
    done = ward.cli(*words, *more, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["answer"] == "no" else 0)
    return told["answer"], told["by"]


def test_attack_66_a_tool_that_a_rule_closes_is_not_listed_and_answers_like_one_that_is_missing(ward):
    assert "void_order" not in tools_of(ward, ward.key)
    closed = call(ward, "void_order", {"order_id": "7"})
    missing = call(ward, "void_ordr", {"order_id": "7"})
    assert closed == missing
    assert closed["error"]["data"]["reason"] == "tool-unknown"
    assert tried(ward, "void_order", '{"order_id": "7"}') == ("no", "denied by rule no-voids")
    until(lambda: rows(ward, "reason = 'tool-unknown' AND detail = 'denied by rule no-voids'"))


def test_attack_67_another_caller_to_whom_the_rule_does_not_apply_has_it(ward):
    admin = ward.credentials["admin"]
    assert "void_order" in tools_of(ward, admin)
    assert reason_of(call(ward, "void_order", {"order_id": "7"}, key=admin)) == "consent-missing"
    others = make_key(ward, "ops", "--tag", "team=ops"), make_key(ward, "dev", "--tag", "team=dev")
    until(lambda: "get_order" in tools_of(ward, others[1]), 3.0, 0.3)
    assert ["void_order" in tools_of(ward, key) for key in others] == [True, False]
    answer = tried(ward, "void_order", '{"order_id": "7"}', caller=key_id(admin))
    assert answer == ("confirm", "its author's confirm")


def test_a_rule_has_a_person_asked_for_some_arguments_and_only_for_those(ward):
    assert text_of(call(ward, "refund", {"amount": 100.0})) == "refunded 100"
    asked = call(ward, "refund", {"amount": 100.5}, capabilities=FORM)
    assert "Why: refunds above 100 need a person (rule large-refunds)" in question_in(asked).split("\n")
    assert "refunded 100.5" not in notes(ward)
    done = call(ward, "refund", {"amount": 100.5}, capabilities=FORM, **answered(asked))
    assert text_of(done) == "refunded 100.5"
    assert reason_of(call(ward, "refund", {"amount": 100.5})) == "consent-missing"
    assert tried(ward, "refund", '{"amount": 100}') == ("yes", "no rule")
    assert tried(ward, "refund", '{"amount": 100.5}') == ("confirm", "rule large-refunds")


def test_a_yes_to_a_reading_tool_by_a_rule_is_good_for_one_run(ward):
    assert text_of(call(ward, "get_order", {"order_id": "7"})) == "order 7"
    asked = call(ward, "get_order", {"order_id": "secret-1"}, capabilities=FORM)
    once = answered(asked)
    assert text_of(call(ward, "get_order", {"order_id": "secret-1"}, capabilities=FORM, **once)) == "order secret-1"
    again = call(ward, "get_order", {"order_id": "secret-1"}, capabilities=FORM, **once)
    assert reason_of(again) == "state-refused"
    assert notes(ward).count("got secret-1") == 1


def test_deny_wins_over_confirm_and_says_which_argument_and_rule(ward):
    refused = call(ward, "refund", {"amount": 500.0, "country": "FR"}, capabilities=FORM)
    assert reason_of(refused) == "argument-dangerous"
    assert "country: the rule abroad refuses the call with these arguments: only home" in text_of(refused)
    assert tried(ward, "refund", '{"amount": 500, "country": "FR"}') == ("no", "rule abroad")


def test_a_rule_of_hours_refuses_now_and_names_no_argument_and_the_tool_stays_listed(ward):
    assert "get_total" in tools_of(ward, ward.key)
    refused = call(ward, "get_total", {"order_id": "7"})
    assert reason_of(refused) == "argument-dangerous"
    assert "the rule gone-hours refuses the call at this time" in text_of(refused)


def test_rules_are_listed_and_a_wrong_argument_is_told(ward):
    listed = json.loads(ward.cli("policy", "list", "--json").stdout)
    assert [one["name"] for one in listed] == ["no-voids", "large-refunds", "abroad", "gone-hours", "watched"]
    assert listed[1]["when"] == {"amount": {"above": 100}}
    assert "large-refunds" in ward.cli("policy", "list", "--server", "orders").stdout
    assert tried(ward, "refund", '{"amount": "x"}') == ("no", "arguments-invalid")
    said = ward.cli("policy", "test", "--as", "alice", "--tool", "refnd", check=False)
    assert (said.returncode, "did you mean" in said.stderr) == (2, True)
    assert tried(ward, "refund", '{"amount": 5}', "--class", "read", caller="alice") == (
        "no",
        "above the cleared access class",
    )


#: Rules that touch each other: by caller, class, hours, numbers, texts, lists, what is missing, and one for the rest.
TANGLE = """
[servers.orders.rules.some]
do = "allow"
tools = ["refund"]
when = { amount = { at_most = 50 } }
[servers.orders.rules.readers]
do = "allow"
tools = ["get_*"]
not_callers = ["tag:team=ops"]
[servers.orders.rules.negative]
do = "deny"
tools = ["refund"]
when = { amount = { below = 0 } }
[servers.orders.rules.middle]
do = "confirm"
tools = ["refund"]
when = { amount = { above = 10, at_most = 40 }, country = { one_of = ["DE", "FR"] } }
[servers.orders.rules.notes]
do = "deny"
when."note_to.who".like = ["*boss*"]
[servers.orders.rules.no-note]
do = "confirm"
callers = ["tag:team=ops"]
when.note_to.present = false
[servers.orders.rules.ops]
do = "allow"
callers = ["tag:team=ops"]
hours = "00:00-24:00 Europe/Berlin"
[servers.orders.rules.seven]
do = "deny"
classes = ["read"]
when.order_id.longer = 3
[servers.orders.rules.rest]
do = "deny"
"""
#: What ``policy test`` says to what the call gets.
AGREED = {
    "yes": {""},
    "confirm": {"asked", "tool-failed"},  # the function of confirm= knows no such order
    "no": {"tool-unknown", "argument-dangerous", "arguments-invalid"},
}


def drawn_call(draw: random.Random) -> tuple[str, dict]:
    if draw.random() < 0.3:
        tool = draw.choice(["get_order", "get_total", "void_order", "cancel_order"])
        more = {"total": 1.5} if tool == "cancel_order" else {}
        return tool, {"order_id": draw.choice(["7", "8", "12345", "Boss"])} | more
    arguments: dict[str, Any] = {
        "amount": draw.choice([-1, -0.0, 0, 10, 10.0, 10.000001, 40, 45.5, 50, 51, 1e300, "5", True, None])
    }
    if draw.random() < 0.6:
        arguments["country"] = draw.choice(["DE", "FR", "de", "US", ""])
    if draw.random() < 0.6:
        arguments["note_to"] = draw.choice(
            [None, {}, {"who": "the BOSS"}, {"who": "me", "x.y": "boss"}, {"note_to.who": "boss"}]
        )
    return "refund", arguments


def test_policy_test_answers_as_the_site_does_in_fifty_drawn_calls(tmp_path):
    draw = random.Random(20261130)
    with shop(tmp_path, TANGLE) as ward:
        keys = [ward.key, make_key(ward, "ops", "--tag", "team=ops")]
        until(lambda: "refund" in tools_of(ward, keys[1]), 3.0, 0.3)
        cases = [(draw.choice(keys), *drawn_call(draw)) for _ in range(50)]
        with ThreadPoolExecutor(3) as pool:
            said = list(pool.map(lambda one: tried(ward, one[1], json.dumps(one[2]), caller=key_id(one[0])), cases))
        seen = set()
        for (key, tool, arguments), (answer, by) in zip(cases, said, strict=True):
            result = call(ward, tool, arguments, key=key, capabilities=FORM)
            reason = "asked" if "inputRequests" in result else reason_of(result)
            seen.add(answer)
            assert reason in AGREED[answer], (tool, arguments, answer, by, reason)
        assert seen == {"yes", "confirm", "no"}


def test_a_reload_brings_other_rules_without_a_restart(tmp_path):
    with shop(tmp_path) as ward:
        assert text_of(call(ward, "refund", {"amount": 5.0})) == "refunded 5"
        file = ward.folder / "mcpward.toml"
        file.write_text(file.read_text() + '\n[servers.orders.rules.none]\ndo = "deny"\ntools = ["refund"]\n')
        ward.cli("reload")
        until(lambda: reason_of(call(ward, "refund", {"amount": 5.0})) == "tool-unknown", 10.0, 0.2)
        assert text_of(call(ward, "get_order", {"order_id": "7"})) == "order 7"


def test_the_last_rule_closes_what_no_other_rule_lets_in(tmp_path):
    rules = (
        '[servers.orders.rules.readers]\ndo = "allow"\nclasses = ["read"]\nhours = "{hours}"\n'
        '[servers.orders.rules.rest]\ndo = "deny"\nreason = "closed"\n'
    )
    with shop(tmp_path, rules.format(hours=ALWAYS)) as ward:
        assert tools_of(ward, ward.key) == {"get_order", "get_total"}
        assert reason_of(call(ward, "refund", {"amount": 5.0})) == "tool-unknown"
        assert text_of(call(ward, "get_order", {"order_id": "7"})) == "order 7"
        file = ward.folder / "mcpward.toml"
        file.write_text(re.sub(ALWAYS, "Mon 03:00-03:01", file.read_text()))
        moments = ("2026-11-30T03:00:30Z", "yes"), ("2026-11-30T03:01Z", "no"), ("2026-12-01T03:00:30Z", "no")
        for at, answer in moments:
            assert tried(ward, "get_order", '{"order_id": "7"}', "--at", at)[0] == answer


@pytest.mark.parametrize(
    "rule,said",
    [
        ('do = "deny"\ntools = ["refnd"]', "did you mean refund?"),
        ('do = "dney"\ntools = ["refund"]', "rules.it.do"),
        ('do = "deny"\ntools = ["refund"]\nwhen.amuont.above = 3', "did you mean amount?"),
        ('do = "deny"\ntools = ["refund"]\nwhen.amount.abov = 3', "did you mean 'above'?"),
        ('do = "deny"\ntools = ["refund"]\nwhen.amount = {}', "must say something"),
        ('do = "deny"\nhours = "Mon-Fri 9-17"', "is not a span of hours"),
        ('do = "deny"\nhours = "Mon-Fri 09:00-17:00 Europe/Berlinn"', "is not a time zone"),
        ('do = "deny"\ncallers = ["alice"]', "must be key:ID"),
        ('do = "deny"\ncallers = ["mode:apikey"]', "mode:api-key"),
        ('do = "deny"\ntool = ["refund"]', "did you mean 'tools'?"),
        ('do = "deny"\n[servers.orders.rules.other]\ndo = "allow"', "only one rule can be for all other calls"),
    ],
)
def test_a_rule_that_would_protect_nothing_stops_the_start_with_its_line(tmp_path, rule, said):
    with shop(tmp_path, f"[servers.orders.rules.it]\n{rule}\n", start=False) as ward:
        wrong = ward.cli("config", "check", "--load", check=False)
        assert wrong.returncode == 2
        assert said in wrong.stderr
        assert "mcpward.toml:" in wrong.stderr
