"""A legacy client's answers to questions of ours; the modern era has none."""

import json

import pytest

from mcpward.core.client_channel import Question
from mcpward.core.reasons import Reason
from mcpward.core.values import Era, Kind
from mcpward.protocol import reply
from mcpward.protocol.listen import asking
from support.rpc import modern_headers


def response(number="q1", **said):
    return {"jsonrpc": "2.0", "id": number} | (said or {"result": {"action": "accept"}})


def session(house, **more):
    return {"Mcp-Session-Id": house.open_session(**more)}


def test_a_question_is_a_request_of_ours() -> None:
    question = Question(key="k", method="roots/list", params={"a": "ü"}, capability={"roots": {}})
    assert json.loads(asking(question, "q1")) == {
        "jsonrpc": "2.0",
        "id": "q1",
        "method": "roots/list",
        "params": {"a": "ü"},
    }


@pytest.mark.parametrize(
    "said", [{"result": {}}, {"result": {"action": "accept"}}, {"error": {"code": -1, "message": "no"}}]
)
def test_a_response_is_read_in_its_session_and_answered_with_nothing(house, said) -> None:
    call = house.read(response(**said), session(house))
    assert (call.kind, call.era, call.id, call.params) == (Kind.ANSWER, Era.LEGACY, "q1", said)
    assert call.session
    answer = house.protocol.answer(call)
    assert (answer.status, answer.body, answer.reason) == (202, b"", None)


def test_a_response_needs_a_session_of_its_own_caller(house) -> None:
    assert house.refused(response()).reason is Reason.SESSION_MISSING
    headers = session(house)
    no = house.refused(response(), headers, principal=house.principal("api-key:berta"))
    assert no.reason is Reason.SESSION_UNKNOWN


def test_a_refused_response_is_not_answered_under_our_id(house) -> None:
    no = house.refused(response())
    assert json.loads(reply.refusal(no).body)["id"] is None


def test_the_modern_era_takes_no_responses(house) -> None:
    no = house.refused(response(), {"MCP-Protocol-Version": "2026-07-28"})
    assert no.reason is Reason.MESSAGE_MALFORMED
    assert json.loads(reply.refusal(no).body)["id"] is None
    assert house.refused(response(), modern_headers("tools/call")).reason is Reason.MESSAGE_MALFORMED


def test_59_a_response_has_no_method_that_a_header_could_name(house) -> None:
    headers = session(house) | {"Mcp-Method": "tools/call"}
    assert house.refused(response(), headers).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":"q","result":{},"error":{}}',
        b'{"jsonrpc":"2.0","id":"q","result":[]}',
        b'{"jsonrpc":"2.0","id":"q","result":null}',
        b'{"jsonrpc":"2.0","id":"q","error":"no"}',
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"jsonrpc":"2.0","id":null,"error":{}}',
        b'{"jsonrpc":"2.0","id":1.5,"result":{}}',
        b'{"jsonrpc":"1.0","id":"q","result":{}}',
        b'{"id":"q","result":{}}',
        b'{"jsonrpc":"2.0","id":"q","result":{},"method":null}',
        b'{"jsonrpc":"2.0","id":"q","result":{},"method":""}',
        b'{"jsonrpc":"2.0","id":"q","result":{},"Method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":"q","result":{},"Error":{}}',
        b'{"jsonrpc":"2.0","id":"q","result":{},"ID":"r"}',
    ],
)
def test_56_a_response_that_could_be_read_in_two_ways_is_malformed(house, body) -> None:
    assert house.refused(body, session(house)).reason is Reason.MESSAGE_MALFORMED
