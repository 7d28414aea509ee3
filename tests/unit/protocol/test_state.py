"""``requestState`` comes back from a stranger: sealed, bound to its caller and request, and not for long."""

import json
from typing import Any

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.protocol import reply
from mcpward.protocol.state import States
from support.rpc import modern, modern_headers, request

YES = {"action": "accept", "content": {"name": "Anna"}}
NO = {"action": "decline"}


def read(house, *, inputs=None, state=None, arguments=None, name="add", method="tools/call", **more):
    params = {"uri": name} if method == "resources/read" else {"name": name}
    if arguments is not None:
        params["arguments"] = arguments
    if inputs is not None:
        params["inputResponses"] = inputs
    if state is not None:
        params["requestState"] = state
    return house.read(modern(method, params, number=more.pop("number", 1)), modern_headers(method, name), **more)


def refused(house, call) -> Reason:
    with pytest.raises(Refusal) as no:
        house.protocol.states.open(call)
    return no.value.reason


def sealed(house, answers=None, asked=("user_name",), **request_):
    return house.protocol.states.seal(read(house, **request_), answers or {}, asked)


def test_a_call_that_brings_nothing_has_no_state(house) -> None:
    call = read(house)
    assert (call.inputs, call.state) == ({}, None)
    state = house.protocol.states.open(call)
    assert (state.id, state.answers) == ("", {})


def test_answers_may_come_before_they_are_asked_for(house) -> None:
    state = house.protocol.states.open(read(house, inputs={"user_name": YES, "extra": NO}))
    assert (state.id, state.answers) == ("", {"user_name": YES, "extra": NO})


def test_the_answers_of_all_rounds_come_together(house) -> None:
    first = sealed(house, asked=("step1",))
    state = house.protocol.states.open(read(house, inputs={"step1": YES}, state=first, number=2))
    assert state.answers == {"step1": YES}
    second = sealed(house, state.answers, asked=("step2",))
    assert second != first
    last = house.protocol.states.open(read(house, inputs={"step2": NO}, state=second, number="3"))
    assert last.answers == {"step1": YES, "step2": NO}
    assert last.id
    assert last.id != state.id


def test_what_was_not_asked_for_is_left_out(house) -> None:
    state = sealed(house, {"step1": YES}, asked=("step2",))
    opened = house.protocol.states.open(read(house, inputs={"step1": NO, "step2": NO, "x": NO}, state=state))
    assert opened.answers == {"step1": YES, "step2": NO}


def test_what_is_asked_for_again_is_answered_anew(house) -> None:
    state = sealed(house, {"step1": YES}, asked=("step1",))
    assert house.protocol.states.open(read(house, inputs={"step1": NO}, state=state)).answers == {"step1": NO}


def test_an_answer_may_be_missing(house) -> None:
    state = sealed(house, asked=("a", "b"))
    assert house.protocol.states.open(read(house, inputs={"b": YES}, state=state)).answers == {"b": YES}
    assert house.protocol.states.open(read(house, state=state)).answers == {}


def test_a_state_is_good_in_another_worker(house) -> None:
    state = sealed(house)
    house.protocol = house.worker()
    assert house.protocol.states.open(read(house, inputs={"user_name": YES}, state=state)).answers == {"user_name": YES}


def test_each_state_has_a_name_of_its_own_and_a_time(house) -> None:
    states = house.protocol.states
    opened = [states.open(read(house, state=sealed(house))) for _ in range(20)]
    assert len({state.id for state in opened}) == 20
    assert {state.issued_at for state in opened} == {house.clock.now()}


@pytest.mark.parametrize("change", ["tail", "head", "flip", "cut", "empty", "none"])
def test_a_state_that_was_touched_is_refused(house, change) -> None:
    state = sealed(house)
    other = {
        "tail": state + "-TAMPERED",
        "head": "A" + state,
        "flip": state[:40] + ("A" if state[40] != "A" else "B") + state[41:],
        "cut": state[:-4],
        "empty": "",
        "none": "ü" * 30,
    }[change]
    assert refused(house, read(house, state=other)) is Reason.STATE_REFUSED


@pytest.mark.parametrize(
    "other",
    [
        {"name": "sub"},
        {"arguments": {"x": "2"}},
        {"arguments": {"x": 1}},
        {"arguments": None},
        {"method": "prompts/get"},
        {"server": "full"},
    ],
)
def test_a_state_is_good_for_the_same_request_alone(house, other) -> None:
    state = sealed(house, arguments={"x": "1"})
    assert refused(house, read(house, **{"arguments": {"x": "1"}, "state": state} | other)) is Reason.STATE_REFUSED


def test_60_a_state_is_good_for_its_own_caller_alone(house) -> None:
    call = read(house, state=sealed(house), principal=house.principal("api-key:berta"))
    assert refused(house, call) is Reason.STATE_REFUSED


def test_a_session_token_is_no_state(house) -> None:
    assert refused(house, read(house, state=house.open_session())) is Reason.STATE_REFUSED


def test_the_same_request_may_be_spelled_and_numbered_anew(house) -> None:
    state = sealed(house, arguments={"a": 1, "b": {"c": [1, 2], "d": None}})
    call = read(house, arguments={"b": {"d": None, "c": [1, 2]}, "a": 1}, state=state, number=99)
    assert house.protocol.states.open(call).id


@pytest.mark.parametrize("change", [lambda long: long | {"k7": 8}, lambda long: dict(reversed(long.items()))])
def test_55_long_arguments_must_come_back_byte_for_byte(house, change) -> None:
    """To sort a hundred thousand names takes the time of thousands of calls, three times in a call that asks."""
    long = {f"k{number}": number for number in range(9_000)}
    state = sealed(house, asked=("step1",), arguments=long)
    assert house.protocol.states.open(read(house, inputs={"step1": YES}, state=state, arguments=long)).answers
    assert (
        refused(house, read(house, inputs={"step1": YES}, state=state, arguments=change(long))) is Reason.STATE_REFUSED
    )


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_each_method_that_may_ask_carries_a_state(house, method) -> None:
    state = sealed(house, method=method)
    call = read(house, method=method, inputs={"user_name": YES}, state=state)
    assert house.protocol.states.open(call).answers == {"user_name": YES}


def test_a_state_runs_out(house) -> None:
    state = sealed(house)
    house.clock.advance(house.protocol.states.lifetime_s - 1)
    assert house.protocol.states.open(read(house, state=state)).id
    house.clock.advance(1)
    assert refused(house, read(house, state=state)) is Reason.STATE_REFUSED


def test_a_state_of_another_release_is_refused(house) -> None:
    states = States(lambda _payload, aad: house.state.seal(b'["x"]', aad), house.state.open, house.clock)
    state = states.seal(read(house), {}, ())
    assert refused(house, read(house, state=state)) is Reason.STATE_REFUSED


@pytest.mark.parametrize("size", [4_000, 60_000])
def test_answers_that_are_too_long_to_be_carried_are_refused(house, size) -> None:
    with pytest.raises(Refusal) as no:
        sealed(house, {"a": {"text": "x" * size}})
    assert no.value.reason is Reason.PARAMS_INVALID


def test_what_is_sealed_never_exceeds_what_is_taken_back(house) -> None:
    lengths = []

    def seal(payload: bytes, _: bytes) -> str:
        lengths.append(len(payload))
        return "x" * (len(payload) * 4 // 3 + 64)

    states = States(seal, lambda token, _: None, house.clock)
    longest = ""
    for size in range(47_000, 52_000, 250):
        try:
            longest = states.seal(read(house), {"a": {"t": "x" * size}}, ())
        except Refusal:
            break
    assert lengths
    assert len(longest) <= 64 * 1024
    assert read(house, state=longest).state == longest


@pytest.mark.parametrize("inputs", [None, [], "x", 1, {"a": 1}, {"a": None}, {"a": []}, {"k" * 257: {}}])
def test_answers_of_a_wrong_shape_are_refused(house, inputs) -> None:
    body = modern("tools/call", {"name": "add", "inputResponses": inputs})
    assert house.refused(body, modern_headers("tools/call", "add")).reason is Reason.PARAMS_INVALID


def test_65_no_more_answers_come_than_could_be_asked_for(house) -> None:
    flood: dict[str, Any] = {str(n): {} for n in range(65)}
    body = modern("tools/call", {"name": "add", "inputResponses": flood})
    assert house.refused(body, modern_headers("tools/call", "add")).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("state", [None, 1, [], {}, True, "x" * 65_537])
def test_a_state_of_a_wrong_shape_is_refused(house, state) -> None:
    body = modern("tools/call", {"name": "add", "requestState": state})
    assert house.refused(body, modern_headers("tools/call", "add")).reason is Reason.PARAMS_INVALID


def test_legacy_requests_bring_neither(house) -> None:
    body = request("tools/call", {"name": "add", "inputResponses": 7, "requestState": 7})
    call = house.read(body, {"Mcp-Session-Id": house.open_session()})
    assert (call.inputs, call.state) == ({}, None)


def test_what_is_needed_is_asked_for_with_the_state(house) -> None:
    requests = b'{"user_name":{"method":"elicitation/create","params":{"message":"Who?"}}}'
    message = json.loads(reply.input_required(read(house, number="r"), requests, 's"1').body)
    result = message["result"]
    assert (message["id"], result["resultType"], result["requestState"]) == ("r", "input_required", 's"1')
    assert result["inputRequests"] == json.loads(requests)
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "orders"
    assert not {"ttlMs", "cacheScope", "content"} & result.keys()
