"""The short way of a plain call says what the ladder says: the same call, or the same refusal (attack 59)."""

import base64
import copy
import json
from typing import Any

import msgspec
import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import HeadVerdict, Kind
from support.facts import facts_of
from support.rpc import modern, modern_headers

VERSION, CAPABILITIES, CLIENT = (
    f"io.modelcontextprotocol/{name}" for name in ("protocolVersion", "clientCapabilities", "clientInfo")
)
PLAIN = modern("tools/call", {"name": "add", "arguments": {"a": [1, {"b": "ü"}]}}, number=7)
HEADERS = modern_headers("tools/call", "add")
PLACES: tuple[tuple[str, ...], ...] = (
    (), ("jsonrpc",), ("id",), ("method",), ("params",), ("params", "name"), ("params", "arguments"),
    ("params", "_meta"), ("params", "_meta", VERSION), ("params", "_meta", CAPABILITIES), ("params", "_meta", CLIENT),
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.0, 1.5, 2**53 - 1, 2**53, -(2**53) + 1, -(2**53), 2**70, "", "x", "é", "x" * 256,
    "x" * 257, "2.0", "2026-07-28", "2025-11-25", "tools/list", "tools/call", "prompts/get", [], ["add"], {}, {"a": 1},
)  # fmt: skip
MORE: tuple[tuple[str, Any], ...] = (
    ("Method", "x"), ("result", {}), ("error", {}), ("x", 1), ("Arguments", {}), ("cursor", 1), ("requestState", "x"),
    ("requestState", 1), ("inputResponses", {"a": {}}), ("inputResponses", 1), ("progressToken", 1),
    ("progressToken", []), ("traceparent", "x"), ("io.modelcontextprotocol/logLevel", "info"),
    ("io.modelcontextprotocol/logLevel", 1), ("com.example/x", None),
)  # fmt: skip
NAMES: tuple[str | bytes, ...] = (
    "ADD", "add ", "", b"\xc3\xa9", "=?base64?YWRk?=", "=?base64?YWRl?=", "=?base64?YWRk", "=?base64?YWRk?= ",
)  # fmt: skip


def outcome(house, body: Any, headers: dict[str, Any], **more: Any) -> Any:
    try:
        call = house.read(body, headers, **more)
    except Refusal as no:
        return no.reason, no.detail, facts_of(no)
    said = msgspec.structs.asdict(call)
    del said["arrival"], said["principal"]
    return said


def both(house, body: Any, headers: dict[str, Any] = HEADERS, **more: Any) -> Any:
    """Read by the short way where it is one, and by the ladder."""
    short = outcome(house, body, headers, **more)
    way = house.protocol._plain
    house.protocol._plain = Never()
    try:
        assert outcome(house, body, headers, **more) == short
    finally:
        house.protocol._plain = way
    return short


class Never:
    def read(self, *_: Any) -> None:
        return None


def changed(place: tuple[str, ...], change: Any) -> Any:
    message = {"": copy.deepcopy(PLAIN)}
    owner: Any = message
    *way, last = ("", *place)
    for name in way:
        owner = owner[name]
    change(owner, last)
    return json.dumps(message.get(""), separators=(",", ":"), ensure_ascii=False).encode()


def put(value: Any) -> Any:
    return lambda owner, name: owner.__setitem__(name, value)


def test_a_plain_call_takes_the_short_way(house) -> None:
    call = house.protocol._plain.read(house.arrival(PLAIN, HEADERS), house.principal(), PLAIN)
    assert call is not None
    assert (call.kind, call.target, call.id) == (Kind.TOOL, "add", 7)
    assert both(house, PLAIN)["arguments"] == '{"a":[1,{"b":"ü"}]}'.encode()


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_with_anything_else_in_a_place_both_say_the_same(house, place: tuple[str, ...]) -> None:
    for other in OTHERS:
        both(house, changed(place, put(other)))
        both(house, changed(place, put(other)), modern_headers("tools/call", "x"))
        both(house, changed(place, put(other)), modern_headers("tools/list"))


@pytest.mark.parametrize("place", PLACES[1:], ids=".".join)
def test_with_a_place_missing_both_say_the_same(house, place: tuple[str, ...]) -> None:
    both(house, changed(place, lambda owner, name: owner.pop(name)))


@pytest.mark.parametrize("place", [(), ("params",), ("params", "_meta")], ids=".".join)
def test_with_a_member_more_both_say_the_same(house, place: tuple[str, ...]) -> None:
    for name, value in MORE:
        both(house, changed((*place, name), put(value)))


@pytest.mark.parametrize("name", HEADERS)
def test_with_another_header_both_say_the_same(house, name: str) -> None:
    without = {header: value for header, value in HEADERS.items() if header != name}
    assert both(house, PLAIN, without)[0] is Reason.HEADER_MISMATCH
    for value in ("2025-11-25", "x", "tools/list", *NAMES):
        both(house, PLAIN, HEADERS | {name: value})
    assert both(house, PLAIN, repeated=(name.lower(),))[0] is Reason.HEADER_MISMATCH


def test_a_name_in_base64_agrees_both_ways(house) -> None:
    for tool in ("add", "äö", "a\nb", "=?base64?x?=", ""):
        body = modern("tools/call", {"name": tool, "arguments": {}})
        wrapped = b"=?base64?" + base64.b64encode(tool.encode()) + b"?="
        assert both(house, body, modern_headers("tools/call", wrapped))["target"] == tool
        both(house, body, modern_headers("tools/call", tool.encode()))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(PLAIN).encode(),  # blanks and escapes
        json.dumps(PLAIN, separators=(",", ":")).encode() + b"\n",
        json.dumps(PLAIN, separators=(",", ":")).replace('"id":7', '"id":7.0').encode(),
        json.dumps(PLAIN, separators=(",", ":")).replace('"id":7', '"id":7,"id":7').encode(),
        json.dumps(PLAIN, separators=(",", ":")).replace('"name"', '"Name":"x","name"').encode(),
        json.dumps(dict(reversed(PLAIN.items())), separators=(",", ":"), ensure_ascii=False).encode(),
    ],
)
def test_however_it_is_spelt_both_say_the_same(house, body: bytes) -> None:
    both(house, body)


def test_a_server_without_tools_knows_no_call(house) -> None:
    server = type(house.servers["bare"])("empty", has_tools=False)
    house.protocol = type(house.protocol)({"empty": server}, house.protocol.sessions, house.protocol.states)
    assert both(house, PLAIN, server="empty")[0] is Reason.METHOD_UNKNOWN


def test_a_head_that_came_before_agrees_with_its_own_tool_alone(house) -> None:
    visit = HeadVerdict()

    def read(name: str) -> str:
        body = modern("tools/call", {"name": name, "arguments": {}})
        arrival = msgspec.structs.replace(house.arrival(body, HEADERS), visit=visit)
        return str(house.protocol.read(arrival, house.principal()).target)

    with pytest.raises(Refusal):
        read("drop")
    assert visit.tool is None
    assert read("add") == read("add") == visit.tool == "add"
    with pytest.raises(Refusal) as no:
        read("drop")
    assert no.value.reason is Reason.HEADER_MISMATCH
    assert visit.tool == "add"


@pytest.mark.parametrize("visit", [None, HeadVerdict()], ids=["new", "known"])
@pytest.mark.parametrize("name", [None, 0, False, [], {}, ["add"]], ids=repr)
def test_a_name_that_is_no_text_is_no_name_whatever_is_known_of_the_head(
    house, name: object, visit: HeadVerdict | None
) -> None:
    body = modern("tools/call", {"name": name, "arguments": {}})
    arrival = msgspec.structs.replace(house.arrival(body, HEADERS), visit=visit)

    with pytest.raises(Refusal):
        house.protocol.read(arrival, house.principal())
