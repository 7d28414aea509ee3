"""Data beside a request: tokens, trace headers and metadata without measure.

Sources: W3C Trace Context §3 (what a traceparent may hold), 2026-07-28 basic (reserved keys of `_meta`).
"""

import json

import pytest

from support.leak import leak_in
from support.talk import modern, result_of
from support.wire import rows, until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def line(salon):
    with salon.line(salon.bob) as line:
        yield line


def called(line, meta, tool="say", **arguments):
    params = {"name": tool, "arguments": arguments or {"text": "x"}, "_meta": meta}
    body, headers = modern("tools/call", params)
    return line.post(body, headers)


@pytest.mark.parametrize("token", [None, 1.5, True, [], {}, "x" * 100_000, ["a"] * 1000, 10**30])
def test_attack_65_a_progress_token_of_the_wrong_kind_is_refused_or_left_out(line, token):
    answer = called(line, {"progressToken": token})
    assert answer.status_code in {200, 400}
    assert leak_in(answer.content) is None
    assert "xxxxxxxxxx" not in answer.text


@pytest.mark.parametrize(
    "trace",
    [
        f"{TRACE}\r\nx-admin: 1", f"{TRACE}\n", "00-0", "ff" + TRACE[2:], TRACE.upper(), "x" * 100_000, 1, None,
        [TRACE], {"a": TRACE}, "00-" + "0" * 32 + "-b7ad6b7169203331-01", "\x1b[31m",
    ],
    ids=lambda trace: repr(trace)[:24],
)  # fmt: skip
def test_attack_65_a_trace_that_is_none_goes_nowhere(salon, line, trace):
    before = len(salon.ward.log())
    answer = called(line, {"traceparent": trace, "tracestate": trace, "baggage": trace})
    assert answer.status_code in {200, 400}
    assert leak_in(answer.content) is None
    assert "x-admin" not in salon.ward.log()[before:]
    assert "\x1b" not in salon.ward.log()[before:]
    assert "x-admin" not in json.dumps(rows(salon.ward, "seq > (SELECT max(seq) - 5 FROM traffic)"), default=str)


@pytest.mark.parametrize(
    "meta",
    [
        {f"com.example/{at}": at for at in range(20_000)}, {"a" * 100_000: 1}, {"com.example/a": "x" * 1_000_000},
        {"com.example/a": [[[[[[[[[[]]]]]]]]]] * 1000}, {"": ""}, {"\0": "\0"}, {"a\r\nb": "c\r\nd"},
    ],
    ids=lambda meta: json.dumps(meta)[:24],
)  # fmt: skip
def test_attack_65_a_flood_of_metadata_changes_nothing(line, meta):
    answer = called(line, meta, "worker")
    assert answer.status_code in {200, 400, 413}
    assert leak_in(answer.content) is None
    assert len(answer.content) < 2000


@pytest.mark.parametrize("level", [None, 1, "DEBUG", "all", [], "x" * 100_000])
def test_attack_65_a_log_level_that_is_none_is_refused_or_silent(line, level):
    answer = called(line, {"io.modelcontextprotocol/logLevel": level})
    assert answer.status_code in {200, 400}
    assert answer.headers["content-type"] == "application/json"


def test_attack_65_capabilities_without_measure_are_refused_or_reduced(salon, line):
    wide = {"elicitation": {"form": {}}, "experimental": {f"x{at}": {"y": "z" * 100} for at in range(5000)}}
    body, headers = modern("tools/call", {"name": "ask", "arguments": {}}, capabilities=wide)
    assert line.post(body, headers).status_code in {200, 400}
    said = {"protocolVersion": "2025-11-25", "capabilities": wide, "clientInfo": {"name": "t", "version": "1"}}
    answer = line.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": said})
    assert answer.status_code in {200, 400}
    assert len(answer.headers.get("mcp-session-id", "")) < 2048


def test_the_trace_of_a_well_formed_request_is_kept(salon, line):
    assert result_of(called(line, {"traceparent": TRACE}, "worker"))
    until(lambda: TRACE[3:35] in json.dumps(rows(salon.ward), default=str))
