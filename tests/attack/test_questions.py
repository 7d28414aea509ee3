"""Questions to a caller in a session: whose answer counts, what a hostile one does, and what a question may hold.

Sources: CVE-2025-6515 (answers put into another session's queue), 2025-11-25 client/elicitation (bound to the client
that was asked), HTML standard §9.2 (line breaks frame an event).
"""

import json
from contextlib import contextmanager

import pytest

from support.talk import Event, Line, Talker, accepted, modern, result_of
from support.wire import reason_of

CANARY = "canary-of-alice"


@contextmanager
def asked(talker: Talker, line: Line, about: str = CANARY):
    """Call a tool that asks, and give its question with a way to its answer."""
    with talker.call(line, "ask", {"about": about}) as (_, events):
        question = next(event.data for event in events if event.data)
        yield question, lambda: next(event.data for event in events if event.data)["result"]


@pytest.fixture
def lines(salon):
    with salon.line(salon.alice) as calling, salon.line(salon.alice) as answering, salon.line(salon.bob) as bob:
        yield calling, answering, bob


def test_attack_60_the_answer_of_another_counts_for_nothing(salon, lines):
    calling, answering, bob = lines
    alice, thief, sibling = salon.talker(salon.alice), salon.talker(salon.bob), salon.talker(salon.alice)
    with asked(alice, calling) as (question, answer):
        said = {"result": accepted("Mallory")}
        assert thief.answer(bob, question, **said).status_code == 202
        assert sibling.answer(answering, question, **said).status_code == 202
        stolen = bob.post({"jsonrpc": "2.0", "id": question["id"], **said}, alice.headers)
        assert stolen.status_code == 404
        alice.answer(answering, question, result=accepted("Ada"))
        assert answer()["content"][0]["text"] == "accept Ada"


def test_attack_62_the_first_answer_counts_and_no_other(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    with alice.call(calling, "ask_twice") as (_, events):
        first = next(event.data for event in events if event.data)
        for name in ("Ada", "Mallory", "Mallory"):
            assert alice.answer(answering, first, result=accepted(name)).status_code == 202
        second = next(event.data for event in events if event.data)
        assert second["id"] != first["id"]
        alice.answer(answering, second, result=accepted("Grace"))
        result = next(event.data for event in events if event.data)["result"]
    assert result["content"][0]["text"] == "Ada Grace"


def test_attack_61_the_ids_of_questions_are_not_guessed(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    ids = []
    for _ in range(3):
        with asked(alice, calling) as (question, answer):
            ids.append(question["id"])
            alice.answer(answering, question, result=accepted("Ada"))
            answer()
    assert all(type(one) is str and len(one) >= 16 for one in ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    "odd",
    [
        {"result": None}, {"result": []}, {"result": 1}, {"result": "accept"}, {"result": {}},
        {"result": {"action": "maybe"}}, {"result": {"action": "accept"}},
        {"result": {"action": "accept", "content": []}}, {"result": {"action": "accept", "content": {"name": 1}}},
        {"result": {"action": "accept", "content": {"name": "a" * 2_000_000}}},
        {"error": None}, {"error": []}, {"error": {"code": "x"}}, {"error": {"code": -1, "message": CANARY * 9999}},
        {"result": accepted("a"), "error": {"code": 1, "message": "both"}}, {},
    ],
    ids=lambda odd: json.dumps(odd)[:48],
)  # fmt: skip
def test_attacks_54_and_55_an_odd_answer_ends_the_question_or_is_refused(salon, lines, odd):
    """It is never taken for consent, breaks nothing, and leaves the tool an honest ending."""
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    with asked(alice, calling, "you") as (question, answer):
        response = alice.answer(answering, question, **odd)
        assert response.status_code in {202, 400, 413}
        alice.answer(answering, question, result=accepted("Ada"))  # counts where the odd one did not
        result = answer()
    text = json.dumps(result)
    assert result["isError"] is True or "accept Ada" in text
    assert CANARY not in text
    assert "aaaaaaaa" not in text


@pytest.mark.parametrize("number", [None, 1.5, {}, [], True, "x" * 5000, 1])
def test_attack_58_an_answer_to_nothing_is_accepted_or_refused_and_no_more(salon, lines, number):
    _, answering, _ = lines
    response = salon.talker(salon.alice).answer(answering, {"id": number}, result=accepted("x"))
    assert response.status_code in {202, 400}
    assert response.status_code == 202 or reason_of(response) == "message-malformed"


def test_attack_57_answers_are_taken_one_by_one(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    with asked(alice, calling) as (question, answer):
        batch = [{"jsonrpc": "2.0", "id": question["id"], "result": accepted("Mallory")}] * 100
        assert answering.post(batch, alice.headers).status_code == 400
        alice.answer(answering, question, result=accepted("Ada"))
        assert answer()["content"][0]["text"] == "accept Ada"


def test_attack_56_an_answer_that_says_a_thing_twice_is_refused(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    with asked(alice, calling) as (question, answer):
        said = json.dumps(accepted("Mallory"))
        twice = f'{{"jsonrpc":"2.0","id":"{question["id"]}","id":"x","result":{said},"result":{said}}}'
        response = answering.http.post(answering.path, content=twice.encode(), headers=alice.headers)
        assert response.status_code == 400
        alice.answer(answering, question, result=accepted("Ada"))
        assert answer()["content"][0]["text"] == "accept Ada"


def test_attack_60_modern_callers_answer_nothing_by_post(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    with asked(alice, calling) as (question, answer):
        _, headers = modern("tools/list")
        response = answering.post({"jsonrpc": "2.0", "id": question["id"], "result": accepted("Mallory")}, headers)
        assert response.status_code == 400
        assert reason_of(response) == "message-malformed"
        alice.answer(answering, question, result=accepted("Ada"))
        assert answer()["content"][0]["text"] == "accept Ada"


def test_a_client_that_cannot_be_asked_is_not_asked(salon, lines):
    """Source: 2025-11-25, lifecycle: only capabilities that were negotiated are used."""
    calling, _, _ = lines
    mute = Talker(salon.ward, salon.alice, path="/talk/mcp", capabilities={})
    response = mute.send(calling, "tools/call", {"name": "ask", "arguments": {}})
    assert response.headers["content-type"] == "application/json"
    assert response.json()["result"]["isError"] is True
    assert reason_of(response) == "capability-missing"
    refused = calling.modern("tools/call", {"name": "ask", "arguments": {}}, capabilities={})
    assert refused.status_code == 400
    assert refused.json()["error"]["data"]["requiredCapabilities"] == {"elicitation": {"form": {}}}


def test_attack_48_one_caller_has_no_more_than_its_share_of_open_questions(salon):
    talker = salon.talker(salon.bob)
    streams = []
    refused = None
    try:
        for _ in range(80):
            line = talker.line()
            stream = talker.call(line, "ask")
            response, events = stream.__enter__()
            streams.append((line, stream, events))
            if response.headers["content-type"] == "application/json":
                refused = response.read().decode()
                break
            first = next(event.data for event in events if event.data)
            if "result" in first:
                refused = json.dumps(first)
                break
        assert refused is not None
        alice = salon.talker(salon.alice)
        with alice.line() as line, asked(alice, line) as (question, answer), alice.line() as answering:
            alice.answer(answering, question, result=accepted("Ada"))  # no other caller is the worse for it
            assert answer()["content"][0]["text"] == "accept Ada"
    finally:
        for line, stream, _ in streams:
            stream.__exit__(None, None, None)
            line.http.close()


# ---- 83, 84: what a question holds ---------------------------------------------------------------------------------

BREAKS = "a\r\nevent: forged\r\ndata: {}\r\n\r\nid: 1\u2028b\u0085c"
INVISIBLE = "\x1b[31mred\x1b[0m \u202egnp.exe\u200b \U000e0041\U000e0042"


def test_attack_83_line_breaks_in_a_question_make_no_event_of_their_own(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    with alice.call(calling, "ask", {"about": BREAKS}) as (_, events):
        heard: list[Event] = []
        for event in events:
            heard.append(event)
            if event.data and "method" in event.data:
                alice.answer(answering, event.data, result=accepted(BREAKS))
    assert [set(event.data) & {"method", "result"} for event in heard if event.data] == [{"method"}, {"result"}]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_attack_84_what_people_do_not_see_is_taken_out_of_a_question(salon, lines, era):
    calling, answering, _ = lines
    if era == "modern":
        answer = result_of(calling.modern("tools/call", {"name": "ask", "arguments": {"about": INVISIBLE}}))
        shown = json.dumps(answer["inputRequests"], ensure_ascii=False)
    else:
        alice = salon.talker(salon.alice)
        with asked(alice, calling, INVISIBLE) as (question, result):
            shown = json.dumps(question, ensure_ascii=False)
            alice.answer(answering, question, result=accepted("Ada"))
            result()
    assert "red" in shown
    assert not [letter for letter in "\x1b\u202e\u200b\U000e0041" if letter in shown or f"{ord(letter):04x}" in shown]


def test_attack_82_a_template_in_an_answer_stays_text(salon, lines):
    calling, answering, _ = lines
    alice = salon.talker(salon.alice)
    for text in ("{self.__class__}", "{{7*7}}", "${7*7}", "%(x)s", "{0.__init__.__globals__}"):
        with asked(alice, calling, text) as (question, answer):
            assert question["params"]["message"] == f"Who is {text}?"
            alice.answer(answering, question, result=accepted(text))
            assert answer()["content"][0]["text"] == f"accept {text}"
