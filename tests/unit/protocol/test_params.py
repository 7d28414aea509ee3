"""Params of the wrong shape are refused here, so that no other room has to look."""

import json

import pytest

from mcpward.core.reasons import Reason
from support.rpc import initialize, modern, modern_headers, request


@pytest.mark.parametrize("name", [None, 1, [], {}, True])
def test_a_tools_name_must_be_text(house, name) -> None:
    no = house.refused(modern("tools/call", {"name": name}), modern_headers("tools/call", "add"))
    assert no.reason is Reason.PARAMS_INVALID


def test_a_tools_name_must_be_there(house) -> None:
    assert house.refused(modern("tools/call"), modern_headers("tools/call", "x")).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("arguments", [[], "x", 1, True])
def test_arguments_must_be_an_object(house, arguments) -> None:
    body = modern("tools/call", {"name": "add", "arguments": arguments})
    assert house.refused(body, modern_headers("tools/call", "add")).reason is Reason.PARAMS_INVALID


@pytest.mark.parametrize("params", [{"name": "add"}, {"name": "add", "arguments": None}])
def test_arguments_may_be_left_out(house, params) -> None:
    assert house.read(modern("tools/call", params), modern_headers("tools/call", "add")).arguments is None


def test_naughty_strings_travel_as_they_are(house, corpora) -> None:
    session = {"Mcp-Session-Id": house.open_session()}
    for text in json.loads((corpora / "naughty_strings.json").read_text()):
        call = house.read(request("tools/call", {"name": text, "arguments": {"text": text}}), session)
        assert call.target == text
        assert json.loads(bytes(call.arguments)) == {"text": text}


@pytest.mark.parametrize("value", [1, None, {}, ["a"]])
def test_a_prompts_arguments_must_be_text(house, value) -> None:
    body = modern("prompts/get", {"name": "p", "arguments": {"a": value}})
    assert house.refused(body, modern_headers("prompts/get", "p")).reason is Reason.PARAMS_INVALID


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


@pytest.mark.parametrize("member", ["protocolVersion", "capabilities", "clientInfo"])
@pytest.mark.parametrize("value", [None, 7, [], {}, ""])
def test_initialize_without_a_proper_introduction_is_refused(house, member, value) -> None:
    if (member, type(value)) in {("protocolVersion", str), ("capabilities", dict)}:
        return
    assert house.refused(initialize(**{member: value})).reason is Reason.PARAMS_INVALID
