"""Whatever comes, reading gives a call or a refusal, and each of them has an answer that is JSON (CVE-2025-53365)."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcpward.core.errors import Refusal
from mcpward.core.reasons import WIRE, Channel, Reason
from mcpward.core.values import Era, Kind, Outcome
from mcpward.protocol import reply
from mcpward.protocol.listen import acknowledged, wanted
from support.facts import facts_of
from support.rpc import modern

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OLD = ("initialize", "ping", "logging/setLevel", "resources/subscribe")
NEW = ("server/discover", "subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel")
BOTH = ("tools/call", "tools/list", "prompts/get", "resources/read", "completion/complete", "x", "")
METHOD = st.sampled_from((*OLD, *NEW, *BOTH))
PREFIX = "io.modelcontextprotocol/"
META: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        PREFIX + "protocolVersion": st.sampled_from(["2026-07-28", "2025-11-25", "x"]) | JSON,
        PREFIX + "clientCapabilities": st.sampled_from([{}, {"extensions": {PREFIX + "tasks": {}}}]) | JSON,
        PREFIX + "clientInfo": JSON,
        PREFIX + "logLevel": st.just("info") | JSON,
        "progressToken": JSON,
        "traceparent": JSON,
    },
)
WISH = st.fixed_dictionaries(
    {},
    optional={
        "toolsListChanged": st.booleans() | JSON,
        "resourceSubscriptions": st.lists(st.text(max_size=4), max_size=3) | JSON,
        "taskIds": st.lists(st.text(max_size=4), max_size=3) | JSON,
    },
)
PARAMS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=8) | JSON,
        "uri": st.text(max_size=8) | JSON,
        "arguments": JSON,
        "cursor": JSON,
        "level": st.just("info") | JSON,
        "ref": st.just({"type": "ref/prompt", "name": "a"}) | JSON,
        "argument": st.just({"name": "a", "value": "b"}) | JSON,
        "context": st.just({"arguments": {"a": "b"}}) | JSON,
        "taskId": st.text(max_size=8) | JSON,
        "inputResponses": st.just({"a": {}}) | JSON,
        "requestState": st.text(max_size=8) | JSON,
        "notifications": WISH | JSON,
        "_meta": META | JSON,
        "protocolVersion": st.just("2025-11-25") | JSON,
        "capabilities": st.just({}) | JSON,
        "clientInfo": st.just({"name": "c", "version": "1"}) | JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "method": METHOD,
        "id": st.integers() | JSON,
        "params": PARAMS | JSON,
        "result": st.just({}) | JSON,
        "error": JSON,
    },
)
VALUE = st.sampled_from(
    [b"2026-07-28", b"2025-11-25", b"tools/call", b"tools/list", b"a", b"=?base64?YQ==?=", b"", b"\xff"]
)
HEADERS = st.dictionaries(
    st.sampled_from(["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "last-event-id"]),
    VALUE,
    max_size=4,
)


def attempt(act):
    try:
        return act()
    except Refusal as no:
        return no


def judge(house, body, headers, **more) -> None:
    call = attempt(lambda: house.read(body, headers, **more))
    if isinstance(call, Refusal):
        if WIRE[call.reason].channel is Channel.RPC:
            answer = reply.refusal(call)
            if answer.status == 202:
                assert (answer.body, facts_of(call)["is_one_way"]) == (b"", True)
            else:
                said = json.loads(answer.body)
                has_id = isinstance(said, list) or said["id"] is not None
                assert 400 <= answer.status < 500 or (answer.status == 200 and has_id)
        else:
            assert WIRE[call.reason].status == 405
    elif call.kind is Kind.TOOL:
        json.loads(reply.result(call, Outcome(body=b'{"content":[]}')).body)
        state = attempt(lambda: house.protocol.states.open(call))
        assert not isinstance(state, Refusal) or state.reason is Reason.STATE_REFUSED
    elif call.kind is Kind.STREAM:
        listened(house, call)
    elif call.kind in {Kind.LIFECYCLE, Kind.NOTIFICATION, Kind.ANSWER}:
        answer = house.protocol.answer(call)
        assert answer.status in {200, 202}
        assert not answer.body or json.loads(answer.body)["id"] == call.id


def listened(house, call) -> None:
    wish = attempt(lambda: wanted(call, house.servers["full"]))
    if isinstance(wish, Refusal):
        assert wish.reason in {Reason.PARAMS_INVALID, Reason.CAPABILITY_MISSING}
    elif call.era is Era.MODERN:
        json.loads(acknowledged(call, wish))
        assert json.loads(reply.listened(call).body)["id"] == call.id


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=MESSAGE, headers=HEADERS, session=st.booleans(), verb=st.sampled_from(["POST", "POST", "DELETE", "GET"]))
def test_any_message_with_any_headers_is_read_or_refused(house, message, headers, session, verb) -> None:
    if session:
        headers = headers | {"mcp-session-id": house.open_session(server="full").encode()}
    judge(house, json.dumps(message).encode(), headers, verb=verb, server="full")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=METHOD, params=PARAMS.filter(lambda params: "_meta" not in params), name=st.text(max_size=6))
def test_any_agreeing_modern_request_is_read_or_refused(house, method, params, name) -> None:
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method, "mcp-name": name.encode()}
    judge(house, modern(method, params), headers, server="full")
