"""Handles that a caller is given - sessions, states, tasks, events, subscriptions - are worth nothing to any other
caller.

Sources: CVE-2026-52869 (a session served to another principal), CVE-2026-52870 (tasks seen and cancelled by others);
2026-07-28, basic/patterns/mrtr (requestState is attacker input).
"""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.talk import accepted, modern, notes, request, result_of
from support.wire import reason_of, until

CANARY = "canary-of-alice"
ASK = {"name": "ask", "arguments": {"about": CANARY}}


@pytest.fixture
def alice(salon):
    with salon.line(salon.alice) as line:
        yield line


@pytest.fixture
def bob(salon):
    with salon.line(salon.bob) as line:
        yield line


@pytest.fixture
def task(alice):
    """Return a task of alice's that waits for an answer."""
    started = result_of(alice.modern("tools/call", {"name": "asking_job", "arguments": {"secret": CANARY}}))
    handle = {"taskId": started["taskId"]}
    until(lambda: result_of(alice.modern("tasks/get", handle))["status"] == "input_required")
    yield handle
    assert result_of(alice.modern("tasks/get", handle))["status"] == "input_required"
    alice.modern("tasks/cancel", handle)


# ---- 60, 61, 64: tasks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_attack_60_a_task_of_another_is_the_same_as_no_task(salon, task, bob, method):
    more = {"inputResponses": {"input-1": accepted("Mallory")}} if method == "tasks/update" else {}
    stolen = bob.modern(method, task | more)
    invented = bob.modern(method, {"taskId": f"{task['taskId'][:-1]}~"} | more)
    assert stolen.status_code == invented.status_code == 400
    assert stolen.json()["error"] == invented.json()["error"]
    assert reason_of(stolen) == "task-unknown"
    assert CANARY not in stolen.text
    with salon.line(salon.eve, "/other/mcp") as elsewhere:
        assert elsewhere.modern(method, task | more).json()["error"] == stolen.json()["error"]


def test_attack_60_nobody_hears_of_the_task_of_another(salon, alice, bob):
    job = {"name": "asking_job", "arguments": {"secret": CANARY}}
    handle = {"taskId": result_of(alice.modern("tools/call", job))["taskId"]}
    until(lambda: result_of(alice.modern("tasks/get", handle))["status"] == "input_required")
    wanted = {"taskIds": [handle["taskId"]], "toolsListChanged": True}
    body, headers = modern("subscriptions/listen", {"notifications": wanted})
    with bob.stream(body, headers) as (_, events):
        assert next(events).data["method"] == "notifications/subscriptions/acknowledged"
        (key,) = result_of(alice.modern("tasks/get", handle))["inputRequests"]
        alice.modern("tasks/update", handle | {"inputResponses": {key: accepted("Ada")}})
        until(lambda: result_of(alice.modern("tasks/get", handle))["status"] == "completed")
        alice.modern("tools/call", {"name": "switch", "arguments": {}})
        told = next(event.data for event in events if event.data)
    assert told["method"] == "notifications/tools/list_changed"


def test_attack_61_a_task_id_is_not_guessed(bob, task):
    name = task["taskId"]
    assert len(name) >= 22  # 128 bits, in 64 characters
    near = [name[:at] + ("A" if name[at] != "A" else "B") + name[at + 1 :] for at in range(len(name))]
    for guess in (*near, name.swapcase(), name + "A", name[:-1], "", "0", "*", "%", "' OR 1=1--", "../" + name):
        answer = bob.modern("tasks/get", {"taskId": guess})
        assert answer.status_code in {200, 400}
        assert CANARY not in answer.text
        assert "result" not in answer.json()


# ---- 60, 62: the state of a request --------------------------------------------------------------------------------


@pytest.fixture
def state(alice):
    return result_of(alice.modern("tools/call", ASK))["requestState"]


def test_attack_60_a_state_is_good_for_its_caller_alone(salon, alice, bob, state):
    answered = ASK | {"inputResponses": {"who": accepted("Mallory")}, "requestState": state}
    assert reason_of(bob.modern("tools/call", answered)) == "state-refused"
    with salon.line(salon.grace) as grace:
        assert reason_of(grace.modern("tools/call", answered)) == "state-refused"
    assert result_of(alice.modern("tools/call", answered))["content"][0]["text"] == "accept Mallory"


@pytest.mark.parametrize(
    "name, arguments",
    [("ask", {"about": "somebody else"}), ("ask", {}), ("ask_twice", {}), ("asking_job", {"secret": CANARY})],
)
def test_attack_60_a_state_is_good_for_its_request_alone(alice, state, name, arguments):
    params = {"name": name, "arguments": arguments, "inputResponses": {"who": accepted("x")}, "requestState": state}
    answer = alice.modern("tools/call", params)
    assert answer.status_code == 400
    assert reason_of(answer) == "state-refused"


def test_attack_88_a_state_with_any_bit_changed_is_refused(alice, state):
    raw = bytearray(base64.urlsafe_b64decode(state + "=" * (-len(state) % 4)))
    for at in range(0, len(raw), max(1, len(raw) // 24)):
        changed = bytearray(raw)
        changed[at] ^= 1
        text = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        params = ASK | {"inputResponses": {"who": accepted("x")}, "requestState": text}
        assert reason_of(alice.modern("tools/call", params)) == "state-refused", at


@pytest.mark.parametrize("state", ["", "x", "é", "\0", "A" * 100_000, None, 1, [], {}], ids=lambda one: repr(one)[:12])
def test_attack_60_a_state_that_is_none_is_refused(alice, state):
    answer = alice.modern("tools/call", ASK | {"inputResponses": {"who": accepted("x")}, "requestState": state})
    assert answer.status_code == 400
    assert reason_of(answer) in {"state-refused", "params-invalid"}


def test_attack_62_a_persons_yes_is_not_used_twice(salon, alice):
    call = {"name": "wipe", "arguments": {"what": "attack-62"}}
    asked = result_of(alice.modern("tools/call", call))
    (key,) = asked["inputRequests"]
    fields = asked["inputRequests"][key]["params"]["requestedSchema"]["properties"]
    content = {name: True for name, field in fields.items() if field["type"] == "boolean"}
    answers = {"inputResponses": {key: {"action": "accept", "content": content}}, "requestState": asked["requestState"]}
    assert result_of(alice.modern("tools/call", call | answers))["content"][0]["text"] == "wiped attack-62"
    assert [reason_of(alice.modern("tools/call", call | answers)) for _ in range(3)] == ["state-refused"] * 3
    assert notes(salon.ward).count("wiped attack-62") == 1


def test_attack_62_a_persons_yes_cannot_be_sent_before_the_question(salon, alice):
    call = {"name": "wipe", "arguments": {"what": "unasked"}}
    (key,) = result_of(alice.modern("tools/call", call))["inputRequests"]
    content = {"confirm": True, "confirmed": True, "yes": True, "ok": True}
    early = alice.modern("tools/call", call | {"inputResponses": {key: {"action": "accept", "content": content}}})
    assert early.status_code == 400 or result_of(early)["resultType"] == "input_required"
    assert "wiped unasked" not in notes(salon.ward)


# ---- 60, 61, 63: sessions and what was said in them ----------------------------------------------------------------


@pytest.fixture
def left(salon, alice):
    """Return a legacy session of alice's, the event before its answer, and the session's other talker."""
    talker = salon.talker(salon.alice)
    with talker.call(alice, "leave", {"secret": CANARY, "seconds": 0.2}, id="left") as (_, events):
        event = next(event.id for event in events if event.id)
    return talker, event


def resumed(talker, line, event):
    with talker.listen(line, event) as (response, events):
        if response.status_code != 200:
            response.read()
            return response, []
        return response, [event.data for event in [next(events, None)] if event]


def test_attack_63_events_of_another_session_are_not_given(salon, alice, bob, left):
    talker, event = left
    for thief, line in ((salon.talker(salon.bob), bob), (salon.talker(salon.alice), alice)):
        response, told = resumed(thief, line, event)
        assert response.status_code == 400
        assert reason_of(response) == "event-unknown"
        assert told == []
        assert CANARY not in response.text
    _, (mine, *_) = resumed(talker, alice, event)
    assert mine["result"]["content"][0]["text"] == f"left {CANARY}"


def test_attack_63_events_with_the_session_of_another_are_not_given(bob, left):
    talker, event = left
    response, told = resumed(talker, bob, event)
    assert response.status_code == 404
    assert reason_of(response) == "session-unknown"
    assert told == []


def test_attack_61_an_event_id_is_not_guessed(alice, left):
    talker, event = left
    near = [event[:at] + ("A" if event[at] != "A" else "B") + event[at + 1 :] for at in range(0, len(event), 3)]
    for guess in (*near, event + "0", event[:-1], "0", "-1", "*", "x" * 5000, "' OR 1=1--"):
        response, told = resumed(talker, alice, guess)
        if response.status_code == 200:  # another place in the same session's own stream
            assert guess in near
        else:
            assert response.status_code in {400, 431}
            assert told == []


# ---- 64: cancellations ---------------------------------------------------------------------------------------------


def test_attack_64_a_call_of_another_is_not_cancelled(salon, alice, bob):
    talker, thief, sibling = salon.talker(salon.alice), salon.talker(salon.bob), salon.talker(salon.alice)
    message = request("tools/call", {"name": "work", "arguments": {"name": "mine", "seconds": 1.5}}, id="same")
    with talker.line() as line, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(line.post, message, talker.headers)
        until(lambda: "began mine" in notes(salon.ward))
        assert thief.tell(bob, "notifications/cancelled", {"requestId": "same"}).status_code == 202
        assert sibling.tell(alice, "notifications/cancelled", {"requestId": "same"}).status_code == 202
        stolen = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "same"}}
        assert bob.post(stolen, talker.headers).status_code == 404
        for odd in (["same"], {"same": 1}, None, True, "sam", "same ", 1):
            assert talker.tell(alice, "notifications/cancelled", {"requestId": odd}).status_code in {202, 400}
        assert result_of(answer.result(10))["content"][0]["text"] == "worked mine"
    assert "cancelled mine" not in notes(salon.ward)


def test_attack_64_a_number_and_its_text_are_two_requests(salon, alice):
    """Trap of ids that are compared as text: 1 and "1" are two requests of one session."""
    talker = salon.talker(salon.alice)
    message = request("tools/call", {"name": "work", "arguments": {"name": "one", "seconds": 1.0}}, id=1)
    with talker.line() as line, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(line.post, message, talker.headers)
        until(lambda: "began one" in notes(salon.ward))
        talker.tell(alice, "notifications/cancelled", {"requestId": "1"})
        assert answer.result(10).json()["id"] == 1
    assert "cancelled one" not in notes(salon.ward)
