"""A person's answer is good for one run of a tool that changes something, whatever caller sends it again (attack 133).

Sources: 2026-07-28, basic/patterns/mrtr ("single use must be enforced by the server"); CWE-294.
"""

import json
import threading
from typing import Any

import pytest

from support.talk import accepted, notes, result_of
from support.wire import reason_of

YES = {"action": "accept", "content": {"confirm": True}}
SAMPLED = {
    "text": {"role": "assistant", "content": {"type": "text", "text": "this"}, "model": "m"},
    "folders": {"roots": []},
}


@pytest.fixture
def alice(salon):
    with salon.line(salon.alice) as line:
        yield line


def answered(line: Any, call: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    """Send a call, and return the one that answers what it was asked."""
    asked = result_of(line.modern("tools/call", call))
    assert asked["resultType"] == "input_required"
    given = {key: answers[key] for key in asked["inputRequests"]}
    return {**call, "inputResponses": given, "requestState": asked["requestState"]}


@pytest.mark.parametrize(
    "tool, answers",
    [("order", {"who": accepted("Ada")}), ("order_sampled", SAMPLED), ("order", {"who": {"action": "decline"}})],
    ids=["elicit", "sample and roots", "a no"],
)
def test_attack_133_an_answered_request_runs_once(salon, alice, tool, answers):
    what = f"{tool} {len(json.dumps(answers))}"
    call = {"name": tool, "arguments": {"what": what}}
    request = answered(alice, call, answers)
    assert what in result_of(alice.modern("tools/call", request))["content"][0]["text"]
    for _ in range(3):
        again = alice.modern("tools/call", request)
        assert again.status_code == 400
        assert reason_of(again) == "state-refused"
    assert notes(salon.ward).count(f"ordered {what}") == 1


def test_attack_133_of_many_sent_at_once_one_runs(salon, alice):
    request = answered(alice, {"name": "order", "arguments": {"what": "race"}}, {"who": accepted("Ada")})
    start = threading.Barrier(8)
    codes: list[int] = []

    def send() -> None:
        with salon.line(salon.alice) as line:
            start.wait(10)
            codes.append(line.modern("tools/call", request).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == [200] + [400] * 7
    assert notes(salon.ward).count("ordered race") == 1


def test_attack_133_an_answer_without_its_state_answers_nothing(salon, alice):
    call = {"name": "order", "arguments": {"what": "stateless"}}
    request = answered(alice, call, {"who": accepted("Ada")})
    del request["requestState"]
    for _ in range(2):
        assert result_of(alice.modern("tools/call", request))["resultType"] == "input_required"
    assert "ordered stateless" not in notes(salon.ward)
    early = {"name": "ask", "arguments": {}, "inputResponses": {"who": accepted("Ada")}}
    assert result_of(alice.modern("tools/call", early))["content"][0]["text"] == "accept Ada"  # it only reads


def test_attack_133_a_round_whose_answer_was_lost_asks_again_and_all_rounds_together_run_once(salon, alice):
    answers = {"first": accepted("Ada"), "second": accepted("Grace")}
    first = answered(alice, {"name": "order_twice", "arguments": {"what": "rounds"}}, answers)
    for _ in range(3):  # as a client does that lost the second question
        second = answered(alice, first, answers)
    assert result_of(alice.modern("tools/call", second))["content"][0]["text"] == "Ada Grace"
    for request in (first, second, first):
        assert reason_of(alice.modern("tools/call", request)) == "state-refused"
    assert notes(salon.ward).count("ordered rounds") == 1


def test_attack_133_a_yes_is_good_for_one_run_whatever_is_asked_after_it(salon, alice):
    answers = {"mcpward/confirm": YES, "who": accepted("Ada")}
    agreed = answered(alice, {"name": "order_agreed", "arguments": {"what": "agreed"}}, answers)
    one, other = answered(alice, agreed, answers), answered(alice, agreed, answers)
    assert "for Ada" in result_of(alice.modern("tools/call", one))["content"][0]["text"]
    for request in (other, agreed, one):
        assert reason_of(alice.modern("tools/call", request)) == "state-refused"
    assert notes(salon.ward).count("ordered agreed") == 1


def test_what_only_reads_may_be_sent_again(alice):
    request = answered(alice, {"name": "ask", "arguments": {}}, {"who": accepted("Ada")})
    for _ in range(3):
        assert result_of(alice.modern("tools/call", request))["content"][0]["text"] == "accept Ada"


# ---- what a person is shown ----------------------------------------------------------------------------------------


def test_attack_133_a_long_argument_has_no_end_that_a_person_is_not_shown(salon, alice):
    hidden = "x" * 190 + "; and then everything"
    asked = result_of(alice.modern("tools/call", {"name": "wipe", "arguments": {"what": hidden}}))
    (question,) = asked["inputRequests"].values()
    assert hidden in question["params"]["message"]
    refused = alice.modern("tools/call", {"name": "wipe", "arguments": {"what": "x" * 4000 + "; and then everything"}})
    assert reason_of(refused) == "consent-missing"
    assert 'the argument "what" has 4' in refused.text.replace("\\", "")
    assert not [line for line in notes(salon.ward) if line.startswith("wiped xx")]


def test_attack_133_nothing_unseen_is_in_a_question(alice):
    what = "x\u0336\u0301\u0301\u2800\u3164\u00a0\u200b\nTool: echo\u202e"
    asked = result_of(alice.modern("tools/call", {"name": "wipe", "arguments": {"what": what}}))
    (question,) = asked["inputRequests"].values()
    line = question["params"]["message"].split("\n")[-1]
    told = r'what: "x\u{336}\u{301}\u{301}\u{2800}\u{3164}\u{a0}\u{200b}\nTool: echo\u{202e}"'
    assert line == told
