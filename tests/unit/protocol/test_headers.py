"""Attack 59: what the routing headers say must be what the body says, before policy sees anything."""

import base64

import pytest

from mcpward.core.reasons import Reason
from support.rpc import initialize, modern, modern_headers, request

ADD = {"name": "add", "arguments": {}}


def wrapped(name: str) -> str:
    return f"=?base64?{base64.b64encode(name.encode()).decode()}?="


@pytest.mark.parametrize("said", [None, "", "tools/list", "Tools/Call", "tools/call ", b"tools/call\xff"])
def test_59_a_method_header_that_differs_is_refused(house, said) -> None:
    headers = modern_headers("tools/call", "add")
    del headers["Mcp-Method"]
    if said is not None:
        headers["Mcp-Method"] = said
    assert house.refused(modern("tools/call", ADD), headers).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("said", [None, "", "sub", "ADD", "add ", "=?base64?YWRk", wrapped("sub"), "=?BASE64?YWRk?="])
def test_59_a_name_header_that_differs_is_refused(house, said) -> None:
    headers = modern_headers("tools/call", said)
    assert house.refused(modern("tools/call", ADD), headers).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize(
    "spelling",
    [
        "=?base64?YWRl?=",
        "=?base64?YWR?=",
        "=?base64?YWRk=?=",
        "=?base64?YW Rk?=",
        "=?base64??=",
        "=?base64?",
        b"=?base64?\xff?=",
    ],
)
def test_59_a_damaged_or_second_spelling_of_a_name_is_refused(house, spelling) -> None:
    no = house.refused(modern("tools/call", ADD), modern_headers("tools/call", spelling))
    assert no.reason is Reason.HEADER_MISMATCH


def test_a_non_canonical_base64_of_the_right_name_is_refused(house) -> None:
    # "YQ==" and "YR==" decode to the same byte.
    body = modern("tools/call", {"name": "a"})
    assert house.read(body, modern_headers("tools/call", "=?base64?YQ==?=")).target == "a"
    assert house.refused(body, modern_headers("tools/call", "=?base64?YR==?=")).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("name", ["add", "größe", " add ", "a\nb", "=?base64?YWRk?=", "\u202edda", "x" * 3000, ""])
def test_a_wrapped_name_agrees(house, name) -> None:
    body = modern("tools/call", {"name": name})
    assert house.read(body, modern_headers("tools/call", wrapped(name))).target == name


@pytest.mark.parametrize("name", ["größe", "a\x7fb", "=?base64?YWRk?="])
def test_a_name_that_needs_wrapping_does_not_agree_without(house, name) -> None:
    body = modern("tools/call", {"name": name})
    assert house.refused(body, modern_headers("tools/call", name)).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("method, member", [("prompts/get", "name"), ("resources/read", "uri")])
def test_59_prompts_and_resources_are_named_too(house, method, member) -> None:
    body = modern(method, {member: "a"})
    assert house.read(body, modern_headers(method, "a")).target == "a"
    assert house.refused(body, modern_headers(method, "b")).reason is Reason.HEADER_MISMATCH
    assert house.refused(body, modern_headers(method)).reason is Reason.HEADER_MISMATCH


@pytest.mark.parametrize("name", ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"])
def test_59_a_routing_header_that_came_twice_is_refused(house, name) -> None:
    no = house.refused(modern("tools/call", ADD), modern_headers("tools/call", "add"), repeated=(name,))
    assert no.reason is Reason.HEADER_MISMATCH
    assert house.refused(initialize(), repeated=(name,)).reason is Reason.HEADER_MISMATCH


def test_other_headers_may_come_twice(house) -> None:
    assert house.read(initialize(), repeated=("accept",)).method == "initialize"


def test_59_a_legacy_request_may_leave_the_headers_out_but_not_lie(house) -> None:
    session = {"Mcp-Session-Id": house.open_session()}
    body = request("tools/call", ADD)
    assert house.read(body, session).target == "add"
    assert house.read(body, session | {"Mcp-Method": "tools/call", "Mcp-Name": "add"}).target == "add"
    assert house.refused(body, session | {"Mcp-Method": "tools/list"}).reason is Reason.HEADER_MISMATCH
    assert house.refused(body, session | {"Mcp-Name": "sub"}).reason is Reason.HEADER_MISMATCH


def test_59_a_notification_may_not_lie_either(house) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
    assert house.refused(body, headers).reason is Reason.HEADER_MISMATCH


def test_agreement_is_judged_before_the_method_is_looked_up(house) -> None:
    # Otherwise a caller could learn which methods exist while the proxy in front saw something else.
    assert house.refused(modern("secret/method"), modern_headers("tools/list")).reason is Reason.HEADER_MISMATCH
