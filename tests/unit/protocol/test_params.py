"""Params of the wrong shape are refused here, so that no other package has to look."""

import json
from typing import Any

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Kind
from mcpward.protocol.params import require_params
from support.facts import facts_of
from support.rpc import initialize, modern, modern_headers, request

NO_TEXTS: tuple[Any, ...] = (None, 7, [], {})


@pytest.mark.parametrize("name", [None, 1, [], {}, True])
def test_a_tools_name_must_be_text(house, name) -> None:
    no = house.refused(modern("tools/call", {"name": name}), modern_headers("tools/call", "add"))
    assert no.reason is Reason.PARAMS_INVALID


def test_a_tools_name_must_be_there(house) -> None:
    assert house.refused(modern("tools/call"), modern_headers("tools/call", "x")).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("arguments", [[1], [[]], [{}], "x", "", "[]", 1, 0, False, True])
def test_arguments_must_be_an_object(house, arguments) -> None:
    body = modern("tools/call", {"name": "add", "arguments": arguments})
    assert house.refused(body, modern_headers("tools/call", "add")).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("params", [{}, {"arguments": None}, {"arguments": []}])
def test_arguments_may_be_left_out(house, params) -> None:
    assert (
        house.read(modern("tools/call", {"name": "add", **params}), modern_headers("tools/call", "add")).arguments
        is None
    )


def test_naughty_strings_travel_as_they_are(house, corpora) -> None:
    session = {"Mcp-Session-Id": house.open_session()}
    for text in json.loads((corpora / "naughty_strings.json").read_text()):
        call = house.read(request("tools/call", {"name": text, "arguments": {"text": text}}), session)
        assert call.target == text
        assert json.loads(call.arguments) == {"text": text}


@pytest.mark.parametrize("value", [1, False, {}, ["a"]])
def test_a_prompts_arguments_must_be_text(house, value) -> None:
    body = modern("prompts/get", {"name": "p", "arguments": {"a": value, "b": "x"}})
    no = house.refused(body, modern_headers("prompts/get", "p"))
    assert no.reason is Reason.PARAMS_INVALID
    assert facts_of(no)["problems"] == [{"path": "arguments.a", "rule": "a string"}]


@pytest.mark.parametrize(
    "method,params,path,rule",
    [
        ("prompts/get", {"name": "p", "arguments": {"a\r\nb": 1}}, "arguments.?", "a string"),
        ("tools/list", {"cursor": 5}, "cursor", "a string"),
        ("completion/complete", {"ref": {"type": "canary"}}, "ref", '"ref/prompt"'),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}}, "argument", "name and value"),
        ("logging/setLevel", {"level": "canary"}, "level", "one of debug, info"),
        ("resources/subscribe", {"uri": 5}, "uri", "a string of at most 2048 characters"),
        ("initialize", {"protocolVersion": "2025-11-25", "clientInfo": {"name": 5}}, "clientInfo.name", "a string"),
        ("tasks/get", {"taskId": 7}, "taskId", "a string"),
    ],
)
def test_a_problem_of_params_says_which_and_what_they_must_be(method, params, path, rule) -> None:
    with pytest.raises(Refusal) as no:
        require_params(method, params)
    (problem,) = facts_of(no.value)["problems"]
    assert no.value.reason is Reason.PARAMS_INVALID
    assert problem["path"] == path
    assert rule in problem["rule"]
    assert "canary" not in str(facts_of(no.value))


def test_a_prompts_arguments_are_handed_on(house) -> None:
    call = house.read(modern("prompts/get", {"name": "p", "arguments": {"a": "b"}}), modern_headers("prompts/get", "p"))
    assert call.params["arguments"] == {"a": "b"}


@pytest.mark.parametrize("cursor", [1, [], {}, True])
def test_a_cursor_must_be_text(house, cursor) -> None:
    no = house.refused(modern("tools/list", {"cursor": cursor}), modern_headers("tools/list"))
    assert no.reason is Reason.PARAMS_INVALID


def test_the_empty_text_is_a_cursor(house) -> None:
    call = house.read(modern("tools/list", {"cursor": ""}), modern_headers("tools/list"))
    assert call.params["cursor"] == ""


@pytest.mark.parametrize(
    "changes",
    [
        *({"protocolVersion": value} for value in NO_TEXTS),
        *({member: value} for member in ("capabilities", "clientInfo") for value in (7, [7], "", True)),
        *({"clientInfo": {member: value}} for member in ("name", "version") for value in (*NO_TEXTS[1:], True)),
    ],
)
def test_initialize_with_members_of_another_type_is_refused_and_names_the_member(house, changes) -> None:
    no = house.refused(initialize(**changes))
    assert no.reason is Reason.PARAMS_INVALID
    assert next(iter(changes)) in no.detail


@pytest.mark.parametrize("left_out", [("clientInfo",), ("capabilities",), ("clientInfo", "capabilities")])
def test_initialize_may_leave_out_who_the_client_is_and_what_it_can(house, left_out) -> None:
    body = initialize()
    for member in left_out:
        del body["params"][member]
    for params in (body["params"], body["params"] | dict.fromkeys(left_out)):
        call = house.read(body | {"params": params})
        assert house.protocol.answer(call).status == 200


@pytest.mark.parametrize("client", [{}, {"name": "x"}, {"version": "1"}, {"name": None, "version": None}])
def test_a_client_may_leave_out_a_part_of_its_name(house, client) -> None:
    assert house.protocol.answer(house.read(initialize(clientInfo=client))).status == 200


# ---- completion, logging, subscriptions, tasks ---------------------------------------------------------------------

PROMPT = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": "An"}}
RESOURCE = {"ref": {"type": "ref/resource", "uri": "orders://{id}"}, "argument": {"name": "id", "value": ""}}
TASKS: dict[str, Any] = {
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}
}


def completion(house, params):
    body = modern("completion/complete", params)
    return house.read(body, modern_headers("completion/complete"), server="full")


def in_session(house, method, params):
    return house.read(request(method, params), {"Mcp-Session-Id": house.open_session(server="full")}, server="full")


def refused_in_session(house, method, params) -> Reason:
    session = {"Mcp-Session-Id": house.open_session(server="full")}
    return house.refused(request(method, params), session, server="full").reason


@pytest.mark.parametrize("params, target", [(PROMPT, "greet"), (RESOURCE, "orders://{id}")])
def test_a_completion_is_about_a_prompt_or_a_resource(house, params, target) -> None:
    contexts: list[dict[str, Any]] = [
        {},
        {"context": {}},
        {"context": {"arguments": {}}},
        {"context": {"arguments": {"a": "b"}}},
    ]
    for more in contexts:
        call = completion(house, params | more)
        assert (call.kind, call.target, call.params["argument"]) == (Kind.CATALOGUE, target, params["argument"])
    assert in_session(house, "completion/complete", params).target == target


@pytest.mark.parametrize(
    "change",
    [
        {"ref": None},
        {"ref": "greet"},
        {"ref": {}},
        {"ref": {"type": "ref/prompt"}},
        {"ref": {"type": "ref/prompt", "uri": "a:b"}},
        {"ref": {"type": "ref/prompt", "name": 7}},
        {"ref": {"type": "ref/resource", "name": "a"}},
        {"ref": {"type": "ref/resource", "uri": "x" * 2049}},
        {"ref": {"type": "ref/tool", "name": "a"}},
        {"ref": {"type": ["ref/prompt"], "name": "a"}},
        {"argument": None},
        {"argument": "name"},
        {"argument": {"name": "name"}},
        {"argument": {"name": 1, "value": "x"}},
        {"argument": {"name": "name", "value": 1}},
        {"argument": {"name": "name", "value": None}},
        {"argument": {"name": "name", "value": "x" * 1025}},
        {"argument": {"name": "x" * 1025, "value": "x"}},
        {"context": [[]]},
        {"context": "x"},
        {"context": 0},
        {"context": {"arguments": [1]}},
        {"context": {"arguments": {"a": 1}}},
        {"context": {"arguments": {"a": None}}},
        {"context": {"arguments": {"a": "x" * 1025}}},
        {"context": {"arguments": {"x" * 1025: "a"}}},
        {"context": {"arguments": {str(n): "" for n in range(65)}}},
    ],
)
def test_a_completion_of_a_wrong_shape_is_refused(house, change) -> None:
    body = modern("completion/complete", PROMPT | change)
    no = house.refused(body, modern_headers("completion/complete"), server="full")
    assert no.reason is Reason.PARAMS_INVALID


def test_completion_is_unknown_where_nothing_completes(house) -> None:
    no = house.refused(modern("completion/complete", PROMPT), modern_headers("completion/complete"))
    assert no.reason is Reason.METHOD_UNKNOWN


@pytest.mark.parametrize("level", ["debug", "emergency"])
def test_a_session_sets_its_level(house, level) -> None:
    call = in_session(house, "logging/setLevel", {"level": level})
    assert (call.kind, call.params["level"]) == (Kind.LIFECYCLE, level)


@pytest.mark.parametrize("params", [{}, {"level": None}, {"level": "loud"}, {"level": 1}, {"level": ["info"]}])
def test_a_level_that_is_none_of_the_eight_is_refused(house, params) -> None:
    assert refused_in_session(house, "logging/setLevel", params) is Reason.PARAMS_INVALID


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_a_session_subscribes_to_a_uri(house, method) -> None:
    call = in_session(house, method, {"uri": "orders://schema"})
    assert (call.kind, call.target) == (Kind.LIFECYCLE, "orders://schema")
    for params in ({}, {"uri": None}, {"uri": 1}, {"uri": "x" * 2049}):
        assert refused_in_session(house, method, params) is Reason.PARAMS_INVALID


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_nobody_subscribes_where_no_change_is_told(house, method) -> None:
    session = {"Mcp-Session-Id": house.open_session()}
    assert house.refused(request(method, {"uri": "a:b"}), session).reason is Reason.METHOD_UNKNOWN


@pytest.mark.parametrize("method", ["logging/setLevel", "resources/subscribe", "resources/unsubscribe"])
def test_the_modern_era_sets_nothing(house, method) -> None:
    no = house.refused(modern(method, {"level": "info", "uri": "a:b"}), modern_headers(method), server="full")
    assert no.reason is Reason.METHOD_UNKNOWN


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_a_task_is_named_in_the_body_and_in_the_header(house, method) -> None:
    params = {"taskId": "t1", "inputResponses": {"a": {"action": "accept"}}}
    call = house.read(modern(method, params, **TASKS), modern_headers(method, "t1"), server="full")
    assert (call.kind, call.target) == (Kind.TASK, "t1")
    assert call.inputs == {"a": {"action": "accept"}}
    for said in (None, "t2", ""):
        no = house.refused(modern(method, params, **TASKS), modern_headers(method, said), server="full")
        assert no.reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("task", [None, 1, [], "x" * 257])
def test_a_tasks_id_is_a_bounded_text(house, method, task) -> None:
    params = {"taskId": task, "inputResponses": {}}
    name = task if isinstance(task, str) else "t"
    no = house.refused(modern(method, params, **TASKS), modern_headers(method, name), server="full")
    assert no.reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("params", [{}, {"inputResponses": None}, {"inputResponses": []}, {"inputResponses": {"a": 1}}])
def test_a_task_is_updated_with_answers(house, params) -> None:
    body = modern("tasks/update", {"taskId": "t"} | params, **TASKS)
    assert house.refused(body, modern_headers("tasks/update", "t"), server="full").reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("extensions", [None, {}, [], {"x": {}}, {"io.modelcontextprotocol/tasks": None}])
def test_tasks_are_for_clients_that_declare_the_extension(house, method, extensions) -> None:
    declared = {"io.modelcontextprotocol/clientCapabilities": {"extensions": extensions}}
    body = modern(method, {"taskId": "t", "inputResponses": {}}, **declared)
    no = house.refused(body, modern_headers(method, "t"), server="full")
    assert no.reason is Reason.CAPABILITY_MISSING
    assert facts_of(no)["required_capabilities"] == {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/list", "tasks/result", "tasks/cancel"])
def test_tasks_are_unknown_in_the_legacy_era_and_where_none_run(house, method) -> None:
    assert refused_in_session(house, method, {"taskId": "t"}) is Reason.METHOD_UNKNOWN
    no = house.refused(modern(method, {"taskId": "t"}, **TASKS), modern_headers(method, "t"))
    assert no.reason is Reason.METHOD_UNKNOWN
