"""The body of a request decides its era, and its headers must agree (protocol versions page)."""

import pytest

from mcpward.core.reasons import Reason
from mcpward.core.values import Era, Kind
from support.facts import facts_of
from support.rpc import initialize, modern, modern_headers, request

ADD = {"name": "add", "arguments": {"a": 1}}


def test_a_modern_call_is_read(house) -> None:
    call = house.read(modern("tools/call", ADD, number="x"), modern_headers("tools/call", "add"))
    assert (call.era, call.version, call.kind, call.method) == (Era.MODERN, "2026-07-28", Kind.TOOL, "tools/call")
    assert (call.id, call.target, call.session) == ("x", "add", None)
    assert call.arguments == b'{"a":1}'
    assert call.params == {}


def test_a_legacy_call_is_read_in_its_session(house) -> None:
    token = house.open_session("2025-06-18")
    call = house.read(request("tools/call", ADD), {"Mcp-Session-Id": token, "MCP-Protocol-Version": "2025-06-18"})
    assert (call.era, call.version, call.kind) == (Era.LEGACY, "2025-06-18", Kind.TOOL)
    assert call.arguments == b'{"a":1}'
    assert call.session
    assert call.session not in token


def test_without_a_version_header_the_session_remembers_the_version(house) -> None:
    token = house.open_session("2025-03-26")
    assert house.read(request("ping"), {"Mcp-Session-Id": token}).version == "2025-03-26"


@pytest.mark.parametrize("header", [None, "2025-11-25", "2025-06-18", "2025-03-26", "1900-01-01", "", "2026-07-28 "])
def test_59_a_modern_body_with_another_version_header_is_refused(house, header) -> None:
    headers = modern_headers("tools/call", "add")
    if header is None:
        del headers["MCP-Protocol-Version"]
    else:
        headers["MCP-Protocol-Version"] = header
    no = house.refused(modern("tools/call", ADD), headers | {"Mcp-Session-Id": house.open_session()})
    assert no.reason is Reason.HEADER_MISMATCH
    assert facts_of(no)["rpc_id"] == 1


def test_a_modern_body_naming_a_legacy_revision_is_refused_even_if_the_header_says_the_same(house) -> None:
    body = modern("tools/list", io__x=1)
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2025-11-25"
    no = house.refused(body, modern_headers("tools/list", version="2025-11-25"))
    assert no.reason is Reason.HEADER_MISMATCH


def test_a_modern_body_of_an_unserved_version_is_told_what_is_served(house) -> None:
    body = modern("tools/list")
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
    no = house.refused(body, modern_headers("tools/list", version="2031-01-01"))
    assert no.reason is Reason.VERSION_UNSUPPORTED
    assert facts_of(no)["supported"] == ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]
    assert facts_of(no)["requested"] == "2031-01-01"


@pytest.mark.parametrize("value", [None, 1, [], {}, True])
def test_a_modern_version_that_is_no_text_is_refused(house, value) -> None:
    body = modern("tools/list")
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = value
    assert house.refused(body, modern_headers("tools/list")).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("method", ["tools/list", "server/discover"])
def test_a_modern_header_without_the_modern_envelope_is_refused(house, method) -> None:
    no = house.refused(request(method, {}), modern_headers(method))
    assert no.reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("header", ["2026-07-28", "2024-11-05", "2031-01-01", "1900-01-01", "", "x", b"\xff"])
def test_initialize_negotiates_by_its_body_whatever_its_version_header_says(house, header) -> None:
    call = house.read(initialize(), {"MCP-Protocol-Version": header})
    assert (call.method, call.era) == ("initialize", Era.LEGACY)


def test_an_empty_version_header_says_nothing(house) -> None:
    token = house.open_session("2025-11-25")
    call = house.read(request("ping"), {"Mcp-Session-Id": token, "MCP-Protocol-Version": ""})
    assert call.version == "2025-11-25"
    no = house.refused(modern("tools/list"), modern_headers("tools/list") | {"MCP-Protocol-Version": ""})
    assert no.reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("meta", ["x", 1, [1], True])
def test_a_meta_that_is_no_object_is_refused(house, meta) -> None:
    assert house.refused(request("ping", {"_meta": meta})).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("body", [request("ping"), {"jsonrpc": "2.0", "method": "notifications/x"}])
@pytest.mark.parametrize("header", ["1900-01-01", "2024-10-07", "2025-11-25, 2025-06-18", b"\xff"])
def test_a_legacy_body_with_an_unserved_version_header_is_refused(house, body, header) -> None:
    no = house.refused(body, {"MCP-Protocol-Version": header})
    assert no.reason is Reason.VERSION_UNSUPPORTED


def test_the_sessions_own_version_rules_whichever_served_one_the_header_names(house) -> None:
    token = house.open_session("2025-11-25")
    for version in ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"):
        call = house.read(request("ping"), {"Mcp-Session-Id": token, "MCP-Protocol-Version": version})
        assert call.version == "2025-11-25"


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/get", "x"])
def test_a_method_of_the_other_era_is_unknown_in_the_modern_one(house, method) -> None:
    params = initialize()["params"] if method == "initialize" else {}
    no = house.refused(modern(method, params), modern_headers(method))
    assert no.reason is Reason.METHOD_UNKNOWN
    assert facts_of(no)["rpc_id"] == 1


@pytest.mark.parametrize(
    "method",
    ["server/discover", "subscriptions/listen", "sampling/createMessage", "elicitation/create", "roots/list", "x"],
)
def test_a_method_of_the_other_era_is_unknown_in_the_legacy_one(house, method) -> None:
    assert house.refused(request(method), {"Mcp-Session-Id": house.open_session()}).reason is Reason.METHOD_UNKNOWN


@pytest.mark.parametrize("method", ["resources/list", "resources/read", "prompts/list", "prompts/get"])
def test_what_a_server_does_not_announce_it_does_not_serve(house, method) -> None:
    no = house.refused(modern(method, {"uri": "a", "name": "a"}), modern_headers(method, "a"), server="bare")
    assert no.reason is Reason.METHOD_UNKNOWN


def test_a_notification_of_the_modern_era_is_taken_with_or_without_envelope(house) -> None:
    with_it = modern("notifications/cancelled")
    del with_it["id"]
    without = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    for body in (with_it, without):
        call = house.read(body, {"MCP-Protocol-Version": "2026-07-28"})
        assert (call.kind, call.era, call.id) == (Kind.NOTIFICATION, Era.MODERN, None)
        assert house.protocol.answer(call).status == 202


@pytest.mark.parametrize(
    "method",
    [
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/roots/list_changed",
        "notifications/x",
        "x",
    ],
)
def test_a_legacy_notification_is_taken_and_dropped(house, method) -> None:
    call = house.read({"jsonrpc": "2.0", "method": method}, {"Mcp-Session-Id": house.open_session()})
    assert call.kind is Kind.NOTIFICATION
    reply = house.protocol.answer(call)
    assert (reply.status, reply.body, reply.reason) == (202, b"", None)


@pytest.mark.parametrize("method", ["tools/call", "initialize"])
def test_a_request_without_an_id_is_a_notification_and_runs_nothing(house, method) -> None:
    body = {"jsonrpc": "2.0", "method": method, "params": ADD}
    assert house.refused(body).reason is Reason.SESSION_MISSING
    assert house.read(body, {"Mcp-Session-Id": house.open_session()}).kind is Kind.NOTIFICATION


def test_a_notification_sent_as_a_request_is_unknown(house) -> None:
    no = house.refused(request("notifications/initialized"), {"Mcp-Session-Id": house.open_session()})
    assert no.reason is Reason.METHOD_UNKNOWN


@pytest.mark.parametrize("number", [1, "1"])
def test_62_the_same_id_again_is_a_call_of_its_own_with_its_own_type(house, number) -> None:
    first = house.read(modern("tools/call", ADD, number=number), modern_headers("tools/call", "add"))
    again = house.read(modern("tools/call", ADD, number=number), modern_headers("tools/call", "add"))
    assert first is not again
    assert type(first.id) is type(again.id) is type(number)


def test_the_session_header_means_nothing_in_the_modern_era(house) -> None:
    headers = modern_headers("tools/list") | {"Mcp-Session-Id": "nonsense"}
    assert house.read(modern("tools/list"), headers).session is None
