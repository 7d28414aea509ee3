"""Requests that open a stream: a legacy GET, and ``subscriptions/listen``."""

import json
from operator import attrgetter
from typing import Any

import mcp_types
import pytest

from mcpward.core.change import Change, Topic
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Era, Kind
from mcpward.protocol import reply
from mcpward.protocol.listen import ListenParams, acknowledged, changed, wanted
from support.facts import facts_of
from support.rpc import modern, modern_headers, request

LISTS: frozenset[Topic] = frozenset({Topic.TOOLS, Topic.PROMPTS, Topic.RESOURCES})
TASKS: dict[str, Any] = {
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}
}


def opened(house, headers=None, **more):
    server = more.pop("server", "full")
    said = {"Mcp-Session-Id": house.open_session(server=server)} | (headers or {})
    return house.read(b"", said, verb="GET", server=server, **more)


def listening(house, wish, *, server="full", **meta):
    body = modern("subscriptions/listen", {"notifications": wish}, number="l1", **meta)
    return house.read(body, modern_headers("subscriptions/listen"), server=server)


def refused(house, wish, **meta) -> Refusal:
    with pytest.raises(Refusal) as no:
        wanted(listening(house, wish, **meta), house.servers["full"])
    return no.value


# ---- HTTP GET -----------------------------------------------------------------------------------------------------


def test_a_get_opens_a_stream_of_its_session(house) -> None:
    call = opened(house)
    assert (call.kind, call.method, call.era, call.id) == (Kind.STREAM, "stream/open", Era.LEGACY, None)
    assert call.session
    assert call.last_event is None
    everything = wanted(call, house.servers["full"])
    assert everything == ListenParams(LISTS)  # what is subscribed to belongs to the session


def test_a_stream_of_a_server_that_does_not_change_carries_no_changes(house) -> None:
    assert wanted(opened(house, server="orders"), house.servers["orders"]) == ListenParams()


@pytest.mark.parametrize("more", [{}, {"Mcp-Session-Id": ""}, {"MCP-Protocol-Version": "2024-11-05"}])
def test_a_get_without_a_session_asks_for_what_is_not_offered(house, more) -> None:
    no = house.refused(b"", more, verb="GET")
    assert (no.reason, facts_of(no)["allow"]) == (Reason.VERB_REFUSED, "POST")


def test_a_get_needs_a_session_of_its_own_caller(house) -> None:
    headers = {"Mcp-Session-Id": house.open_session()}
    no = house.refused(b"", headers, verb="GET", principal=house.principal("api-key:berta"))
    assert no.reason is Reason.SESSION_UNKNOWN
    assert house.refused(b"", headers, verb="GET", server="bare").reason is Reason.SESSION_UNKNOWN


def test_a_get_follows_the_rules_on_the_version_header(house) -> None:
    headers = {"Mcp-Session-Id": house.open_session("2025-06-18")}
    for version in ("2025-06-18", "2025-11-25"):
        assert house.read(b"", headers | {"MCP-Protocol-Version": version}, verb="GET").version == "2025-06-18"
    assert house.read(b"", headers | {"MCP-Protocol-Version": ""}, verb="GET").version == "2025-06-18"
    for version in ("2024-10-07", "1900-01-01", "x"):
        no = house.refused(b"", headers | {"MCP-Protocol-Version": version}, verb="GET")
        assert no.reason is Reason.VERSION_UNSUPPORTED
    modern_ = house.refused(b"", headers | {"MCP-Protocol-Version": "2026-07-28"}, verb="GET")
    assert modern_.reason is Reason.VERB_REFUSED
    assert facts_of(modern_)["allow"] == "POST"


@pytest.mark.parametrize("name", ["mcp-session-id", "mcp-protocol-version", "last-event-id"])
def test_59_a_get_with_a_header_that_came_twice_is_refused(house, name) -> None:
    headers = {"Mcp-Session-Id": house.open_session()}
    assert house.refused(b"", headers, verb="GET", repeated=(name,)).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("event", ["1", "w1-abc_7:9", "x" * 256, "~!"])
def test_a_get_may_name_the_event_to_resume_from(house, event) -> None:
    assert opened(house, {"Last-Event-ID": event}).last_event == event


@pytest.mark.parametrize("event", ["x" * 257, "a b", "a\x00", "ü", b"\xff", "a\x7f", "\t"])
def test_63_an_event_that_is_never_one_of_ours_is_unknown(house, event) -> None:
    headers = {"Mcp-Session-Id": house.open_session(), "Last-Event-ID": event}
    assert house.refused(b"", headers, verb="GET").reason is Reason.EVENT_UNKNOWN


def test_63_an_event_is_not_looked_at_without_a_session(house) -> None:
    assert house.refused(b"", {"Last-Event-ID": "a b"}, verb="GET").reason is Reason.VERB_REFUSED


def test_an_empty_event_is_none(house) -> None:
    assert opened(house, {"Last-Event-ID": ""}).last_event is None


def test_a_legacy_stream_ends_without_a_last_message() -> None:
    assert (reply.closed().status, reply.closed().body) == (200, b"")


# ---- subscriptions/listen -----------------------------------------------------------------------------------------


def test_listening_is_a_stream_that_carries_what_was_wished_for(house) -> None:
    call = listening(house, {"toolsListChanged": True, "promptsListChanged": False, "resourceSubscriptions": ["a:b"]})
    assert (call.kind, call.era) == (Kind.STREAM, Era.MODERN)
    assert wanted(call, house.servers["full"]) == ListenParams(frozenset({Topic.TOOLS}), frozenset({"a:b"}))


def test_listening_is_unknown_where_nothing_is_told_and_in_the_legacy_era(house) -> None:
    body, headers = modern("subscriptions/listen", {"notifications": {}}), modern_headers("subscriptions/listen")
    assert house.refused(body, headers).reason is Reason.METHOD_UNKNOWN
    session = {"Mcp-Session-Id": house.open_session(server="full")}
    legacy = house.refused(request("subscriptions/listen", {"notifications": {}}), session, server="full")
    assert legacy.reason is Reason.METHOD_UNKNOWN


def test_only_what_the_server_announces_is_honoured(house) -> None:
    everything = {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
        "resourceSubscriptions": ["a:b"],
        "taskIds": ["t1"],
    }
    call = listening(house, everything, **TASKS)
    assert wanted(call, house.servers["full"]) == ListenParams(LISTS, frozenset({"a:b"}), frozenset({"t1"}))
    assert wanted(call, house.servers["orders"]) == ListenParams()


def test_the_acknowledgement_names_what_is_honoured_and_the_subscription(house) -> None:
    call = listening(
        house, {"toolsListChanged": True, "resourceSubscriptions": ["b:1", "a:1"], "taskIds": ["t"]}, **TASKS
    )
    message = json.loads(acknowledged(call, wanted(call, house.servers["full"])))
    mcp_types.SubscriptionsAcknowledgedNotification.model_validate(message)
    assert message == {
        "jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": {
            "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["a:1", "b:1"], "taskIds": ["t"]},
            "_meta": {"io.modelcontextprotocol/subscriptionId": "l1"},
        },
    }
    assert json.loads(acknowledged(call, ListenParams()))["params"]["notifications"] == {}


@pytest.mark.parametrize("wish", [None, [], "x", 1, True])
def test_a_wish_that_is_no_object_is_refused(house, wish) -> None:
    assert refused(house, wish).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("flag", ["toolsListChanged", "promptsListChanged", "resourcesListChanged"])
@pytest.mark.parametrize("value", [None, 1, "true", []])
def test_a_flag_is_true_or_false(house, flag, value) -> None:
    assert refused(house, {flag: value}).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("member", ["resourceSubscriptions", "taskIds"])
@pytest.mark.parametrize("value", [None, "a:b", {}, [1], [None], ["x" * 2049], ["a"] * 257, ["x" * 2048] * 17])
def test_65_names_to_listen_for_are_a_bounded_list_of_texts(house, member, value) -> None:
    assert refused(house, {member: value}, **TASKS).reason is Reason.PARAMS_INVALID


def test_as_many_names_as_there_may_be_are_taken(house) -> None:
    uris = [f"a:{n}".ljust(128, "x") for n in range(256)]
    assert wanted(listening(house, {"resourceSubscriptions": uris}), house.servers["full"]).uris == frozenset(uris)


def test_tasks_are_listened_for_by_those_who_declared_the_extension(house) -> None:
    no = refused(house, {"taskIds": ["t"]})
    assert no.reason is Reason.CAPABILITY_MISSING
    assert facts_of(no)["required_capabilities"] == {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@pytest.mark.parametrize("number", ["l1", 7])
def test_a_listen_stream_ends_with_a_result_of_its_own_id(house, number) -> None:
    body = modern("subscriptions/listen", {"notifications": {}}, number=number)
    call = house.read(body, modern_headers("subscriptions/listen"), server="full")
    message = json.loads(reply.listened(call).body)
    result = message["result"]
    assert (message["id"], result["resultType"]) == (number, "complete")
    assert result["_meta"]["io.modelcontextprotocol/subscriptionId"] == number
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "full"
    assert result.keys() == {"resultType", "_meta"}


# ---- the messages of a stream ------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", sorted(LISTS, key=attrgetter("value")))
def test_a_changed_list_is_told_in_the_words_of_each_era(topic) -> None:
    change = Change("full", topic)
    assert json.loads(changed(change, None)) == {"jsonrpc": "2.0", "method": topic.value}
    assert json.loads(changed(change, 3)) == {
        "jsonrpc": "2.0",
        "method": topic.value,
        "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": 3}},
    }


def test_an_updated_resource_is_told_by_its_uri() -> None:
    change = Change("full", Topic.RESOURCE, 'a:"b"')
    assert json.loads(changed(change, None))["params"] == {"uri": 'a:"b"'}
    assert json.loads(changed(change, ""))["params"] == {
        "uri": 'a:"b"',
        "_meta": {"io.modelcontextprotocol/subscriptionId": ""},
    }


def test_a_task_is_told_as_it_stands() -> None:
    state = b'{"taskId":"t","status":"completed","result":{"content":[{"type":"text","text":"\xc3\xbc"}]}}'
    message = json.loads(changed(Change("full", Topic.TASK, "t", "api-key:anna", state), "l1"))
    assert message["method"] == "notifications/tasks"
    tag = {"_meta": {"io.modelcontextprotocol/subscriptionId": "l1"}}
    assert message["params"] == json.loads(state) | tag
    assert json.loads(changed(Change("full", Topic.TASK, "t"), None))["params"] == {"taskId": "t"}
