"""Outcomes and refusals on the wire: every refusal says its name, and nothing that it keeps in private."""

import json

import mcp_types
import pytest

from mcpward.core.errors import Refusal
from mcpward.core.facts import ErrorId, Fact, Lacking, Problem, Problems, RetryAfter
from mcpward.core.reasons import WIRE, Channel, Reason
from mcpward.core.values import AuthMethod, Outcome
from mcpward.protocol import reply
from support.rpc import modern, modern_headers, request

OUTCOME = Outcome(body=b'{"content":[{"type":"text","text":"\xc3\xbc \\" }"}],"isError":false}')


class Hidden(Fact, frozen=True):
    """A fact that has no name on the wire."""

    hidden: str


def modern_call(house, method="tools/call", name="add", **more):
    params = {"name": name} if method in {"tools/call", "prompts/get"} else {"uri": name} if "read" in method else {}
    return house.read(
        modern(method, params, number=more.pop("number", 1)), modern_headers(method, name if params else None), **more
    )


def legacy_call(house, method="tools/call", name="add", number=1):
    params = {"name": name, "uri": name}
    return house.read(request(method, params, number=number), {"Mcp-Session-Id": house.open_session()})


def said(answer):
    return json.loads(answer.body)


@pytest.mark.parametrize("number", [1, 0, -5, 2**53 - 1, "1", 'a"b\\\n', "ü", ""])
def test_the_id_comes_back_as_it_was(house, number) -> None:
    for call in (modern_call(house, number=number), legacy_call(house, number=number)):
        back = said(reply.result(call, OUTCOME))["id"]
        assert back == number
        assert type(back) is type(number)


def test_a_legacy_result_is_the_outcome(house) -> None:
    assert said(reply.result(legacy_call(house), OUTCOME))["result"] == json.loads(OUTCOME.body)


def test_a_modern_result_says_that_it_is_complete_and_who_speaks(house) -> None:
    result = said(reply.result(modern_call(house), OUTCOME))["result"]
    (content,) = mcp_types.CallToolResult.model_validate(result).content
    assert isinstance(content, mcp_types.TextContent)
    assert content.text == 'ü " }'
    assert result["resultType"] == "complete"
    assert result["_meta"] == {
        "io.modelcontextprotocol/serverInfo": {"name": "orders", "version": "1.2", "title": "Orders"}
    }
    assert not {"ttlMs", "cacheScope"} & result.keys()


def test_an_empty_result_is_still_json(house) -> None:
    assert said(reply.catalogue(modern_call(house, "prompts/get", "p"), b"{}"))["result"]["resultType"] == "complete"


def test_headers_are_handed_on(house) -> None:
    headers = ((b"ratelimit", b'"read";r=1;t=2'),)
    assert reply.result(modern_call(house), OUTCOME, headers).headers == headers


@pytest.mark.parametrize(
    "method, ttl_ms",
    [
        ("tools/list", 60_000),
        ("prompts/list", 60_000),
        ("resources/list", 60_000),
        ("resources/templates/list", 60_000),
        ("resources/read", 0),
    ],
)
def test_what_may_be_cached_says_so_and_stays_private(house, method, ttl_ms) -> None:
    result = said(reply.catalogue(modern_call(house, method), b'{"x":[]}'))["result"]
    assert (result["ttlMs"], result["cacheScope"], result["x"]) == (ttl_ms, "private", [])
    legacy = said(reply.catalogue(legacy_call(house, method), b'{"x":[]}'))["result"]
    assert legacy == {"x": []}


def test_only_what_everybody_sees_is_public(house) -> None:
    anonymous = house.principal("anonymous:192.0.2.1", way=AuthMethod.ANONYMOUS)
    result = said(reply.catalogue(modern_call(house, "tools/list", principal=anonymous), b'{"tools":[]}'))["result"]
    assert result["cacheScope"] == "public"


@pytest.mark.parametrize("reason", [reason for reason in Reason if WIRE[reason].channel is Channel.RPC])
def test_every_refusal_of_the_channel_rpc_says_its_name_and_no_detail(house, reason) -> None:
    call = modern_call(house)
    answer = reply.refusal(Refusal(reason, "hush: /etc/passwd", Hidden("hush")), call)
    row = WIRE[reason]
    assert (answer.status, answer.reason) == (row.status, reason.value)
    error = said(answer)["error"]
    assert (error["code"], error["message"], error["data"]["reason"]) == (row.code, row.sentence, reason.value)
    assert b"hush" not in answer.body
    assert said(answer)["id"] == 1


@pytest.mark.parametrize("reason", [reason for reason in Reason if WIRE[reason].channel is Channel.TOOL])
def test_every_refusal_of_the_channel_tool_is_a_result_that_the_model_can_read(house, reason) -> None:
    for call in (modern_call(house), legacy_call(house)):
        answer = reply.refusal(Refusal(reason, "hush", Hidden("hush")), call)
        assert (answer.status, answer.reason) == (200, reason.value)
        result = mcp_types.CallToolResult.model_validate(said(answer)["result"])
        assert result.is_error
        content = result.content[0]
        assert isinstance(content, mcp_types.TextContent)
        assert content.text == WIRE[reason].sentence
        assert reason.value in answer.body.decode()
        assert b"hush" not in answer.body


@pytest.mark.parametrize("reason", [reason for reason in Reason if WIRE[reason].channel is Channel.TOOL])
def test_where_no_tool_was_called_such_a_refusal_is_an_error(house, reason) -> None:
    answer = reply.refusal(Refusal(reason, "hush", ErrorId("e1")), modern_call(house, "prompts/get", "p"))
    assert answer.status in {400, 429, 500}
    assert said(answer)["error"]["code"] in {-32602, 42900, -32603}
    assert b"hush" not in answer.body


def test_problems_are_told_by_path_and_rule(house) -> None:
    problems = Problems((Problem("limit", "less_than_equal 100"), Problem("", "missing")))
    answer = reply.refusal(Refusal(Reason.ARGUMENTS_INVALID, "", problems), modern_call(house))
    text = said(answer)["result"]["content"][0]["text"]
    assert text == "the arguments are not valid\nlimit: less_than_equal 100\narguments: missing"


def test_a_failed_tool_names_its_error_id_alone(house) -> None:
    answer = reply.refusal(Refusal(Reason.TOOL_FAILED, "Traceback …", ErrorId("7f3a00aa11bb")), modern_call(house))
    assert said(answer)["result"]["content"][0]["text"] == "the tool failed (error 7f3a00aa11bb)"
    assert answer.error_id == "7f3a00aa11bb"
    fault = reply.refusal(Refusal(Reason.FAULT, "Traceback …", ErrorId("7f3a00aa11bb")), modern_call(house))
    assert said(fault)["error"]["data"]["errorId"] == fault.error_id == "7f3a00aa11bb"


@pytest.mark.parametrize("wait_s, header", [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.01, b"2"), (59, b"59")])
def test_108_a_refused_call_says_when_to_come_back(house, wait_s, header) -> None:
    limits = ((b"ratelimit", b'"read";r=0;t=1'),)
    no = Refusal(Reason.RATE_EXCEEDED, "", RetryAfter(wait_s, "read", limits))
    answer = reply.refusal(no, modern_call(house))
    assert answer.status == 429
    assert answer.headers == (*limits, (b"retry-after", header))
    assert said(answer)["error"]["code"] == 42900


def test_a_refusal_before_the_call_is_known_has_the_id_that_was_read(house) -> None:
    no = house.refused(request("x", number="q7"), {"Mcp-Session-Id": house.open_session()})
    assert said(reply.refusal(no))["id"] == "q7"
    assert said(reply.refusal(Refusal(Reason.MESSAGE_UNPARSABLE)))["id"] is None
    assert said(reply.refusal(Refusal(Reason.BUSY), rpc_id=0))["id"] == 0


def test_an_unsupported_version_is_told_as_the_specification_words_it(house) -> None:
    no = house.refused(request("ping"), {"MCP-Protocol-Version": "1900-01-01"})
    answer = reply.refusal(no)
    assert answer.status == 400
    error = said(answer)["error"]
    assert error["code"] == -32022
    data = mcp_types.UnsupportedProtocolVersionErrorData.model_validate(error["data"])
    assert (data.requested, data.supported[0]) == ("1900-01-01", "2026-07-28")


@pytest.mark.parametrize("version", ["\x1b[31m", "x" * 300, "a\nb", b"\xff\xfe", "<b>\u202e"])
def test_a_version_that_could_break_a_terminal_is_not_echoed(house, version) -> None:
    no = house.refused(request("ping"), {"MCP-Protocol-Version": version})
    assert said(reply.refusal(no))["error"]["data"]["requested"] == ""


@pytest.mark.parametrize("reason", [reason for reason in Reason if WIRE[reason].channel is Channel.RPC])
def test_a_refused_request_of_a_session_has_the_status_and_code_of_sessions(house, reason) -> None:
    answer = reply.refusal(Refusal(reason, "hush"), legacy_call(house, "prompts/get", "p", number="q"))
    row = WIRE[reason]
    assert (answer.status, answer.reason) == (row.session_status, reason.value)
    assert (said(answer)["id"], said(answer)["error"]["code"]) == ("q", row.session_code)


@pytest.mark.parametrize("reason", [reason for reason in Reason if WIRE[reason].channel is Channel.TOOL])
def test_where_no_tool_was_called_in_a_session_such_a_refusal_is_an_error_with_status_200(house, reason) -> None:
    answer = reply.refusal(Refusal(reason, "hush"), legacy_call(house, "prompts/get", "p"))
    assert (answer.status, said(answer)["error"]["code"]) == (200, WIRE[reason].code)


def test_a_refusal_in_a_session_says_when_to_retry_as_it_does_elsewhere(house) -> None:
    limits = ((b"ratelimit", b'"read";r=0;t=1'),)
    no = Refusal(Reason.RATE_EXCEEDED, "", RetryAfter(7, "read", limits))
    answer = reply.refusal(no, legacy_call(house))
    assert (answer.status, answer.headers) == (200, (*limits, (b"retry-after", b"7")))
    assert said(answer)["error"]["data"]["retryAfterSeconds"] == 7


@pytest.mark.parametrize("message", [{"method": "notifications/initialized"}, {"id": "q1", "result": {}}])
def test_a_refused_message_without_an_answer_is_dropped_in_a_session(house, message) -> None:
    call = house.read({"jsonrpc": "2.0"} | message, {"Mcp-Session-Id": house.open_session()})
    answer = reply.refusal(Refusal(Reason.RATE_EXCEEDED, "", RetryAfter(7)), call)
    assert (answer.status, answer.body, answer.reason) == (202, b"", "rate-exceeded")
    assert answer.headers == ((b"retry-after", b"7"),)
    gone = reply.refusal(Refusal(Reason.SESSION_UNKNOWN), call)
    assert (gone.status, gone.reason) == (404, "session-unknown")


def test_a_notification_that_is_refused_while_it_is_read_is_dropped_in_a_session(house) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/initialized", "params": {"_meta": 5}}
    answer = reply.refusal(house.refused(body, {"Mcp-Session-Id": house.open_session()}))
    assert (answer.status, answer.body, answer.reason) == (202, b"", "params-invalid")
    modern_ = reply.refusal(house.refused(body, {"MCP-Protocol-Version": "2026-07-28"}))
    assert modern_.status == 400


def test_a_malformed_request_with_an_id_gets_its_error_in_a_session(house) -> None:
    bad = request("ping", number=7) | {"params": [1]}
    assert (reply.refusal(house.refused(bad)).status, said(reply.refusal(house.refused(bad)))["id"]) == (200, 7)
    for headers in ({"MCP-Protocol-Version": "2026-07-28"}, modern_headers("ping")):
        assert reply.refusal(house.refused(bad, headers)).status == 400
    assert reply.refusal(house.refused(modern("ping") | {"jsonrpc": "1.0"})).status == 400
    assert reply.refusal(house.refused(bad | {"id": None})).status == 400


def test_each_request_of_a_batch_is_refused_under_its_own_id(house) -> None:
    batch = [request("ping", number=1), {"jsonrpc": "2.0", "method": "notifications/x"}, request("ping", number="b")]
    answer = reply.refusal(house.refused(batch))
    assert answer.status == 200
    assert [error["id"] for error in said(answer)] == [1, "b"]
    assert {error["error"]["code"] for error in said(answer)} == {-32600}
    assert reply.refusal(house.refused(batch, {"MCP-Protocol-Version": "2026-07-28"})).status == 400


@pytest.mark.parametrize("batch", [[], [1], [{"method": "x"}], [{"id": None, "method": "x"}], [{"id": 1}] * 3])
def test_a_batch_without_requests_is_unreadable(house, batch) -> None:
    answer = reply.refusal(house.refused(batch))
    assert (answer.status, said(answer)["id"]) == (400, None)


def test_a_batch_of_too_many_draws_no_long_answer(house) -> None:
    answer = reply.refusal(house.refused([request("ping", number=number) for number in range(65)]))
    assert (answer.status, said(answer)["id"]) == (400, None)


def test_the_last_message_of_a_stream_is_on_record_with_the_status_that_was_sent(house) -> None:
    late = reply.as_streamed(reply.refusal(Refusal(Reason.FAULT, "", ErrorId("e1")), modern_call(house)))
    assert (late.status, late.reason, late.error_id) == (200, "fault", "e1")


def test_a_legacy_client_does_not_mistake_an_unknown_method_for_a_lost_session(house) -> None:
    legacy = reply.refusal(house.refused(request("x"), {"Mcp-Session-Id": house.open_session()}))
    modern_ = reply.refusal(house.refused(modern("x"), modern_headers("x")))
    assert (legacy.status, modern_.status) == (200, 404)
    assert said(legacy)["error"]["code"] == said(modern_)["error"]["code"] == -32601


def test_an_unknown_resource_has_the_code_of_its_era(house) -> None:
    no = Refusal(Reason.RESOURCE_UNKNOWN)
    modern_ = said(reply.refusal(no, modern_call(house, "resources/read", "test://x")))["error"]
    legacy = said(reply.refusal(no, legacy_call(house, "resources/read", "test://x")))["error"]
    assert (modern_["code"], legacy["code"]) == (-32602, -32002)
    assert modern_["data"]["uri"] == "test://x"


@pytest.mark.parametrize("uri", ["a\nb", "x" * 300, "ü", "\x00"])
def test_a_uri_that_could_break_a_line_is_not_echoed(house, uri) -> None:
    answer = reply.refusal(Refusal(Reason.RESOURCE_UNKNOWN), legacy_call(house, "resources/read", uri))
    assert said(answer)["error"]["data"]["uri"] == ""


def test_a_task_is_told_flat(house) -> None:
    body = b'{"taskId":"t","status":"working","ttlMs":1000}'
    result = said(reply.task(modern_call(house), body))["result"]
    assert result.pop("_meta")["io.modelcontextprotocol/serverInfo"]["name"] == "orders"
    assert result == {"resultType": "task", "taskId": "t", "status": "working", "ttlMs": 1000}


@pytest.mark.parametrize("own", [{}, {"com.example/x": 1}])
def test_a_results_own_meta_joins_what_the_house_says(house, own) -> None:
    body = json.dumps({"_meta": own, "content": []}, separators=(",", ":")).encode()
    for answer in (reply.result(modern_call(house), Outcome(body=body)), reply.catalogue(modern_call(house), body)):
        assert answer.body.count(b'"_meta"') == 1
        result = said(answer)["result"]
        assert result["_meta"].keys() == own.keys() | {"io.modelcontextprotocol/serverInfo"}
        assert result["content"] == []
    legacy = said(reply.result(legacy_call(house), Outcome(body=body)))["result"]
    assert legacy == {"_meta": own, "content": []}


def test_a_result_that_is_meta_alone_is_still_json(house) -> None:
    for body in (b'{"_meta":{}}', b'{"_meta":{"a":{}}}'):
        assert said(reply.catalogue(modern_call(house), body))["result"]["resultType"] == "complete"


def test_a_resource_says_how_long_it_may_be_kept(house) -> None:
    call = modern_call(house, "resources/read", "test://x")
    assert said(reply.catalogue(call, b'{"contents":[]}', ttl_ms=5000))["result"]["ttlMs"] == 5000
    assert said(reply.catalogue(call, b'{"contents":[]}', ttl_ms=0))["result"]["ttlMs"] == 0
    own = said(reply.catalogue(call, b'{"_meta":{"a":1},"contents":[]}', ttl_ms=7))["result"]
    assert (own["ttlMs"], own["cacheScope"], own["_meta"]["a"]) == (7, "private", 1)
    legacy = reply.catalogue(legacy_call(house, "resources/read", "test://x"), b'{"contents":[]}', ttl_ms=5000)
    assert said(legacy)["result"] == {"contents": []}


def test_a_missing_capability_is_told_as_the_specification_words_it(house) -> None:
    no = Refusal(Reason.CAPABILITY_MISSING, "hush", Lacking({"sampling": {}}))
    answer = reply.refusal(no, modern_call(house))
    assert answer.status == 400
    error = said(answer)["error"]
    data = mcp_types.MissingRequiredClientCapabilityErrorData.model_validate(error["data"])
    assert error["code"] == -32021
    assert data.required_capabilities.sampling is not None
    assert error["data"]["requiredCapabilities"] == {"sampling": {}}


def test_a_legacy_client_that_lacks_a_capability_gets_an_answer_that_it_knows(house) -> None:
    no = Refusal(Reason.CAPABILITY_MISSING, "hush", Lacking({"sampling": {}}))
    tool = reply.refusal(no, legacy_call(house))
    assert (tool.status, tool.reason) == (200, "capability-missing")
    assert said(tool)["result"]["isError"] is True
    assert "hush" not in tool.body.decode()
    prompt = reply.refusal(no, legacy_call(house, "prompts/get", "p"))
    assert (prompt.status, said(prompt)["error"]["code"]) == (200, -32602)
