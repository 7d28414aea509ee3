"""The modern envelope, progress tokens and traces (protocol.md 1.2.2; attack 65)."""

from typing import Any

import pytest

from mcpward.core.reasons import Reason
from support.rpc import modern, modern_headers, request

PREFIX = "io.modelcontextprotocol/"


def read(house, **meta):
    return house.read(modern("tools/list", **meta), modern_headers("tools/list"))


def refused(house, **meta):
    return house.refused(modern("tools/list", **meta), modern_headers("tools/list")).reason


def test_capabilities_are_those_of_this_request(house) -> None:
    declared: dict[str, Any] = {"sampling": {}, "extensions": {"x": {}}}
    assert read(house, **{PREFIX + "clientCapabilities": declared}).capabilities == declared


def test_an_empty_array_is_an_empty_object_as_php_writes_one(house) -> None:
    assert read(house, **{PREFIX + "clientCapabilities": [], PREFIX + "clientInfo": []}).capabilities == {}


@pytest.mark.parametrize("value", [None, [1], "x", 1, True])
def test_capabilities_that_are_no_object_are_refused(house, value) -> None:
    assert refused(house, **{PREFIX + "clientCapabilities": value}) is Reason.PARAMS_INVALID


def test_missing_capabilities_are_refused(house) -> None:
    body = modern("tools/list")
    del body["params"]["_meta"][PREFIX + "clientCapabilities"]
    assert house.refused(body, modern_headers("tools/list")).reason is Reason.PARAMS_INVALID


def test_the_clients_name_may_be_left_out(house) -> None:
    body = modern("tools/list")
    del body["params"]["_meta"][PREFIX + "clientInfo"]
    assert house.read(body, modern_headers("tools/list")).method == "tools/list"


@pytest.mark.parametrize("value", [[1], "x", 1])
def test_a_clients_name_that_is_no_object_is_refused(house, value) -> None:
    assert refused(house, **{PREFIX + "clientInfo": value}) is Reason.PARAMS_INVALID


@pytest.mark.parametrize("level", ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"])
def test_a_log_level_is_taken(house, level) -> None:
    assert read(house, **{PREFIX + "logLevel": level}).log_level == level


@pytest.mark.parametrize("level", ["", "INFO", "trace", 1, [], {}])
def test_any_other_log_level_is_refused(house, level) -> None:
    assert refused(house, **{PREFIX + "logLevel": level}) is Reason.PARAMS_INVALID


def test_without_a_log_level_there_is_none(house) -> None:
    assert read(house).log_level is None


@pytest.mark.parametrize("token", [0, 7, -7, "abc", ""])
def test_a_progress_token_is_taken_as_it_is(house, token) -> None:
    call = read(house, progressToken=token)
    assert call.progress_token == token
    assert type(call.progress_token) is type(token)


@pytest.mark.parametrize("token", [1.5, True, [], {}, "x" * 257, 2**53])
def test_65_any_other_progress_token_is_refused(house, token) -> None:
    assert refused(house, progressToken=token) is Reason.PARAMS_INVALID


def test_a_legacy_request_may_ask_for_progress(house) -> None:
    body = request("tools/call", {"name": "add", "_meta": {"progressToken": 3}})
    assert house.read(body, {"Mcp-Session-Id": house.open_session()}).progress_token == 3


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_is_kept(house) -> None:
    meta = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "k=v"}
    assert read(house, **meta).trace == meta


@pytest.mark.parametrize(
    "meta",
    [
        {"traceparent": TRACEPARENT + "\r\nX-Evil: 1"},
        {"traceparent": TRACEPARENT.upper()},
        {"traceparent": 7},
        {"tracestate": "a=1\nb=2"},
        {"tracestate": "x" * 513},
        {"baggage": "k=\x1b[31m"},
        {"baggage": ["k"]},
    ],
)
def test_65_a_trace_that_could_break_a_line_is_dropped(house, meta) -> None:
    assert read(house, **meta).trace == {}


def test_65_a_flood_of_meta_changes_nothing(house) -> None:
    call = read(house, **{f"com.example/{n}": n for n in range(10_000)})
    assert call.trace == {}


def test_meta_is_handed_on_as_it_came(house) -> None:
    call = read(house, **{"com.example/x": {"a": [1, None]}})
    assert call.meta["com.example/x"] == {"a": [1, None]}
    body = request("tools/call", {"name": "add", "_meta": {"com.example/x": 1}})
    session = {"Mcp-Session-Id": house.open_session()}
    assert house.read(body, session).meta == {"com.example/x": 1}
    assert house.read(request("tools/call", {"name": "add"}), session).meta == {}
