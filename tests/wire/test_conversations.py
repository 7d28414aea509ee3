"""A conversation may begin at one worker and go on at the other: both behave as one."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from support.talk import TASKS, Line, Talker, accepted, modern, notes, prepare, request, result_of
from support.ward import Ward, serving
from support.wire import until

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with serving(tmp_path_factory.mktemp("talk"), servers="", start=False) as ward:
        config = ward.folder / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]\n", "[site]\nworkers = 2\n"))
        prepare(ward, "talk")
        ward.key = ward.create_key("talk", **{"class": "destructive"})
        ward.start()
        yield ward


@pytest.fixture
def lines(ward: Ward) -> Iterator[tuple[Line, Line]]:
    """Return one connection to each worker."""
    with ExitStack() as stack:
        first = stack.enter_context(Line(ward, ward.key))
        home = first.worker()

        def elsewhere() -> Line | None:
            line = stack.enter_context(Line(ward, ward.key))
            return line if line.worker() != home else None

        yield first, until(elsewhere, 10.0)


@pytest.fixture
def talker(ward: Ward) -> Talker:
    return Talker(ward, ward.key)


def test_an_answer_that_arrives_at_the_other_worker_reaches_the_tool_that_asked(talker, lines):
    here, there = lines
    with talker.call(here, "ask", {"about": "Ada"}) as (response, events):
        assert response.headers["content-type"] == "text/event-stream"
        question = next(event.data for event in events if event.data)
        assert question["method"] == "elicitation/create"
        assert question["params"]["message"] == "Who is Ada?"
        assert talker.answer(there, question, result=accepted("the countess")).status_code == 202
        (result,) = [event.data["result"] for event in events if event.data]
    assert result["content"][0]["text"] == "accept the countess"


def test_a_refusal_to_answer_that_arrives_at_the_other_worker_ends_the_question(talker, lines):
    here, there = lines
    with talker.call(here, "ask") as (_, events):
        question = next(event.data for event in events if event.data)
        talker.answer(there, question, error={"code": -1, "message": "the person has left"})
        (result,) = [event.data["result"] for event in events if event.data]
    assert result["isError"] is True
    assert result["content"][0]["_meta"]["mcpward/reason"] == "consent-missing"
    assert "the person has left" not in json.dumps(result)


def test_a_log_level_set_at_one_worker_holds_at_the_other(talker, lines):
    here, there = lines

    def heard() -> list[str]:
        with talker.call(there, "say", {"text": "hark"}) as (response, events):
            if response.headers["content-type"] == "application/json":
                return []
            return [event.data["params"]["data"] for event in events if event.data and "params" in event.data]

    assert talker.send(here, "logging/setLevel", {"level": "error"}).json()["result"] == {}
    until(lambda: heard() == [], 3.0)
    assert talker.send(here, "logging/setLevel", {"level": "info"}).status_code == 200
    assert until(heard, 3.0) == ["hark"]


def test_a_subscription_made_at_one_worker_is_told_by_the_other(talker, lines):
    here, there = lines
    assert talker.send(here, "resources/subscribe", {"uri": "talk://news"}).json()["result"] == {}
    with talker.listen(there) as (response, events), talker.line() as third:
        assert response.status_code == 200
        updated = told_of(events, third, "update", {"uri": "talk://news"}, "notifications/resources/updated")
        assert updated["params"]["uri"] == "talk://news"


def test_a_subscription_holds_for_every_spelling_of_its_uri(talker, lines):
    here, there = lines
    updated = "notifications/resources/updated"
    assert talker.send(here, "resources/subscribe", {"uri": "talk://shelf/é"}).json()["result"] == {}
    with talker.listen(there) as (_, events), talker.line() as third:
        heard = told_of(events, third, "update", {"uri": "talk://shelf/%c3%a9"}, updated)
        assert heard["params"]["uri"] == "talk://shelf/%C3%A9"
    asked = ["talk://n%65ws", "talk://shelf/a b"]
    body, headers = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": asked}}, id="spelt")
    with here.stream(body, headers) as (_, events), talker.line() as third:
        assert next(events).data["params"]["notifications"] == {"resourceSubscriptions": asked}
        heard = told_of(events, third, "update", {"uri": "talk://news"}, updated)
        assert heard["params"]["uri"] == "talk://news"


def test_a_subscription_taken_back_at_one_worker_is_told_no_more(talker, lines):
    here, there = lines
    talker.send(here, "resources/subscribe", {"uri": "talk://news"})
    talker.send(there, "resources/unsubscribe", {"uri": "talk://news"})
    time.sleep(1.2)  # the stated second within which every worker knows
    with talker.listen(here) as (_, events), talker.line() as third:
        result_of(third.modern("tools/call", {"name": "update", "arguments": {"uri": "talk://news"}}))
        changed = told_of(events, third, "switch", {}, "notifications/tools/list_changed")
    assert changed["method"] == "notifications/tools/list_changed"


def told_of(events, line: Line, tool: str, arguments: dict, method: str) -> dict:
    """Call a tool that changes something until the stream reports it; any other message of the stream is an error."""
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(lambda: next(event.data for event in events if event.data))
        end = time.monotonic() + 5
        while not heard.done() and time.monotonic() < end:
            result_of(line.modern("tools/call", {"name": tool, "arguments": arguments}))
            time.sleep(0.1)
        message = heard.result(5)
    assert message["method"] == method
    return message


@pytest.mark.parametrize("swapped", [False, True])
def test_a_change_at_either_worker_is_told_to_a_modern_listener(lines, swapped):
    here, there = reversed(lines) if swapped else lines
    body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen-1")
    with here.stream(body, headers) as (_, events):
        acknowledged = next(events).data
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["_meta"][SUBSCRIPTION] == "listen-1"
        changed = told_of(events, there, "switch", {}, "notifications/tools/list_changed")
        assert changed["params"]["_meta"][SUBSCRIPTION] == "listen-1"


def test_a_cancellation_that_arrives_at_the_other_worker_ends_the_call(ward, talker, lines):
    here, there = lines
    with ThreadPoolExecutor(1) as pool:
        message = request("tools/call", {"name": "work", "arguments": {"name": "far", "seconds": 30.0}}, id="far")
        pool.submit(here.post, message, talker.headers)
        until(lambda: "began far" in notes(ward))
        assert talker.tell(there, "notifications/cancelled", {"requestId": "far"}).status_code == 202
        until(lambda: "cancelled far" in notes(ward), 3.0)
        here.http.close()


def test_what_one_worker_said_is_resumed_at_the_other(talker, lines):
    here, there = lines
    with talker.call(here, "leave", {"secret": "plum", "seconds": 0.5}, id="plum") as (_, events):
        before = list(events)
    assert before[0].id
    assert before[0].data is None
    assert not [event for event in before if event.data]
    with talker.listen(there, before[-1].id or before[0].id) as (response, events):
        assert response.status_code == 200
        message = next(event.data for event in events if event.data)
    assert message["id"] == "plum"
    assert message["result"]["content"][0]["text"] == "left plum"


def test_a_request_state_of_one_worker_is_good_at_the_other(lines):
    here, there = lines
    call = {"name": "ask", "arguments": {}}
    asked = result_of(here.modern("tools/call", call))
    assert asked["resultType"] == "input_required"
    answers = {"inputResponses": {"who": accepted("Ada")}, "requestState": asked["requestState"]}
    assert result_of(there.modern("tools/call", call | answers))["content"][0]["text"] == "accept Ada"


def test_a_yes_of_a_person_is_good_once_whichever_worker_it_comes_to(ward, lines):
    here, there = lines
    call = {"name": "wipe", "arguments": {"what": "once"}}
    asked = result_of(here.modern("tools/call", call))
    (key,) = asked["inputRequests"]
    schema = asked["inputRequests"][key]["params"]["requestedSchema"]
    yes = {name: True for name, field in schema["properties"].items() if field["type"] == "boolean"}
    answers = {"inputResponses": {key: {"action": "accept", "content": yes}}, "requestState": asked["requestState"]}
    assert result_of(there.modern("tools/call", call | answers))["content"][0]["text"] == "wiped once"
    for line in (here, there):
        again = line.modern("tools/call", call | answers)
        assert again.status_code == 400
        assert again.json()["error"]["data"]["reason"] == "state-refused"
    assert notes(ward).count("wiped once") == 1


def test_attack_133_an_answer_to_a_tool_is_good_for_one_run_whichever_worker_it_comes_to(ward, lines):
    here, there = lines
    call = {"name": "order", "arguments": {"what": "once"}}
    asked = result_of(here.modern("tools/call", call))
    answers = {"inputResponses": {"who": accepted("Ada")}, "requestState": asked["requestState"]}
    assert result_of(there.modern("tools/call", call | answers))["content"][0]["text"] == "once for Ada"
    for line in (here, there):
        assert line.modern("tools/call", call | answers).json()["error"]["data"]["reason"] == "state-refused"
    assert notes(ward).count("ordered once") == 1


def test_a_task_of_one_worker_is_seen_answered_and_cancelled_at_the_other(ward, lines):
    here, there = lines
    started = result_of(here.modern("tools/call", {"name": "asking_job", "arguments": {"secret": "plum"}}))
    task = {"taskId": started["taskId"]}
    asked = until(lambda: (seen := result_of(there.modern("tasks/get", task)))["status"] == "input_required" and seen)
    (key,) = asked["inputRequests"]
    assert result_of(there.modern("tasks/update", task | {"inputResponses": {key: accepted("Ada")}}))
    done = until(lambda: (seen := result_of(there.modern("tasks/get", task)))["status"] == "completed" and seen)
    assert done["result"]["content"][0]["text"] == "Ada knows plum"

    started = result_of(here.modern("tools/call", {"name": "job", "arguments": {"name": "long", "seconds": 60.0}}))
    task = {"taskId": started["taskId"]}
    until(lambda: "began long" in notes(ward))
    assert result_of(there.modern("tasks/cancel", task))["resultType"] == "complete"
    until(lambda: "cancelled long" in notes(ward), 3.0)
    until(lambda: all(result_of(line.modern("tasks/get", task))["status"] == "cancelled" for line in (here, there)))


def test_a_listener_to_a_task_hears_of_it_from_the_other_worker(lines):
    here, there = lines
    started = result_of(here.modern("tools/call", {"name": "job", "arguments": {"name": "heard", "seconds": 1.0}}))
    wanted = {"notifications": {"taskIds": [started["taskId"]]}}
    body, headers = modern("subscriptions/listen", wanted, capabilities=TASKS, id=7)
    with there.stream(body, headers) as (_, events):
        assert next(events).data["params"]["_meta"][SUBSCRIPTION] == 7
        told = next(event.data for event in events if event.data and event.data["params"]["status"] == "completed")
    assert told["method"] == "notifications/tasks"
    assert told["params"]["taskId"] == started["taskId"]
