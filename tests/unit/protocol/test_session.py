"""Legacy sessions: sealed, bound to their principal, ended for good (attacks 60 and 61)."""

import secrets
from typing import Any

import pytest
from msgspec import structs

from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod, Kind
from support.rpc import initialize, request


def ping(house, token, **more):
    return house.read(request("ping"), {"Mcp-Session-Id": token}, **more)


def refused(house, token, **more):
    return house.refused(request("ping"), {"Mcp-Session-Id": token}, **more).reason


def test_a_token_is_visible_ascii_and_new_each_time(house) -> None:
    tokens = {house.open_session() for _ in range(50)}
    assert len(tokens) == 50
    assert all(token.isascii() and token.isprintable() and " " not in token for token in tokens)


def test_a_session_lives_on_in_another_worker_and_after_a_restart(house) -> None:
    token = house.open_session()
    house.protocol = house.worker()
    assert ping(house, token).method == "ping"


def test_without_a_session_there_is_nothing_but_initialize(house) -> None:
    for method in ("ping", "tools/list", "tools/call", "resources/list"):
        assert house.refused(request(method, {"name": "a"})).reason is Reason.SESSION_MISSING
    assert house.read(initialize()).method == "initialize"


def test_initialize_ignores_a_session_it_is_sent_in(house) -> None:
    assert house.read(initialize(), {"Mcp-Session-Id": "gone"}).session is None


def test_60_another_principal_does_not_get_in(house) -> None:
    token = house.open_session()
    assert refused(house, token, principal=house.principal("api-key:berta")) is Reason.SESSION_UNKNOWN


def test_60_another_principal_does_not_get_in_after_the_first_was_there(house) -> None:
    token = house.open_session()
    assert ping(house, token).session  # now the worker knows the token
    assert refused(house, token, principal=house.principal("api-key:berta")) is Reason.SESSION_UNKNOWN


def test_60_another_client_of_the_same_person_does_not_get_in(house) -> None:
    """One app's session for a person, and mcpward's questions to it, are not the other app's to resume or to answer."""
    caller = structs.replace(house.principal("oauth:https://id.example|ann"), way=AuthMethod.OAUTH, client="desk")
    other = structs.replace(caller, client="toy")
    token = house.open_session(principal=caller)
    assert refused(house, token, principal=other) is Reason.SESSION_UNKNOWN
    assert ping(house, token, principal=structs.replace(caller, scopes=frozenset({"a"}))).session
    assert refused(house, token, principal=other) is Reason.SESSION_UNKNOWN


def test_a_key_that_is_called_by_another_name_keeps_its_session(house) -> None:
    caller = structs.replace(house.principal("api-key:ann"), client="laptop")
    token = house.open_session(principal=caller)
    assert ping(house, token, principal=structs.replace(caller, client="desktop")).session


def test_60_the_same_principal_on_another_server_does_not_get_in(house) -> None:
    token = house.open_session()
    assert ping(house, token).session
    assert refused(house, token, server="bare") is Reason.SESSION_UNKNOWN


def test_60_another_principal_cannot_end_a_session(house) -> None:
    token = house.open_session()
    no = house.refused(b"", {"Mcp-Session-Id": token}, verb="DELETE", principal=house.principal("api-key:berta"))
    assert no.reason is Reason.SESSION_UNKNOWN
    assert ping(house, token).session


def test_61_no_guess_opens_a_session(house) -> None:
    token = house.open_session()
    guesses = [secrets.token_urlsafe(len(token) * 3 // 4) for _ in range(5_000)]
    letters = "ABCxyz019-_"
    mutants = [token[:at] + letter + token[at + 1 :] for at in range(len(token)) for letter in letters]
    others = ["", " ", token + "=", token + "A", token[:-1], token.swapcase(), "A" * 10_000, "ü" * 20, "a\x00b"]
    for guess in guesses + [mutant for mutant in mutants if mutant != token] + others:
        assert refused(house, guess.encode()) is Reason.SESSION_UNKNOWN


def test_61_guesses_leave_nothing_behind(house) -> None:
    sessions = house.protocol.sessions
    for _ in range(100):
        assert sessions.open(secrets.token_urlsafe(80).encode(), house.principal()) is None
    assert not sessions._opened


def test_what_a_worker_remembers_is_bounded(house) -> None:
    sessions = house.protocol.sessions
    anna = house.principal()
    for _ in range(3 * 4096):
        assert sessions.open(sessions.issue(anna, "2025-11-25", {}).encode(), anna) is not None
    assert len(sessions._opened) + len(sessions._opened_before) <= 2 * 4096


def test_a_deleted_session_is_unknown_in_every_worker(house) -> None:
    token = house.open_session()
    other = house.worker()
    call = house.read(b"", {"Mcp-Session-Id": token}, verb="DELETE")
    assert (call.kind, call.method) == (Kind.LIFECYCLE, "session/delete")
    assert house.protocol.answer(call).status == 200
    assert refused(house, token) is Reason.SESSION_UNKNOWN
    house.protocol = other  # it shares what has ended through the cache
    assert refused(house, token) is Reason.SESSION_UNKNOWN
    assert house.refused(b"", {"Mcp-Session-Id": token}, verb="DELETE").reason is Reason.SESSION_UNKNOWN


def test_ending_says_until_when_it_must_be_remembered(house) -> None:
    call = ping(house, house.open_session())
    house.clock.advance(3600)
    forget_at = house.protocol.sessions.end(call.session)
    assert forget_at >= house.clock.now() + 23 * 3600


def test_a_session_runs_out(house) -> None:
    token = house.open_session()
    house.clock.advance(24 * 3600 - 1)
    assert ping(house, token).session
    house.clock.advance(1)
    assert refused(house, token) is Reason.SESSION_UNKNOWN


def test_delete_needs_a_session_and_a_legacy_version(house) -> None:
    assert house.refused(b"", verb="DELETE").reason is Reason.SESSION_MISSING
    token = house.open_session("2025-06-18")
    headers = {"Mcp-Session-Id": token}
    bad = house.refused(b"", headers | {"MCP-Protocol-Version": "1900-01-01"}, verb="DELETE")
    assert bad.reason is Reason.VERSION_UNSUPPORTED
    modern = house.refused(b"", headers | {"MCP-Protocol-Version": "2026-07-28"}, verb="DELETE")
    assert modern.reason is Reason.VERB_REFUSED
    twice = house.refused(b"", headers, verb="DELETE", repeated=("mcp-session-id",))
    assert twice.reason is Reason.HEADER_MISMATCH
    assert house.read(b"", headers | {"MCP-Protocol-Version": "2025-06-18"}, verb="DELETE").session


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "OPTIONS", "HEAD"])
def test_other_verbs_are_refused(house, verb) -> None:
    assert house.refused(b"", {"Mcp-Session-Id": house.open_session()}, verb=verb).reason is Reason.VERB_REFUSED


@pytest.mark.parametrize("name", ["a\r\nb", "\x1b[31mred", "x" * 10_000, "\u202e"])
def test_110_what_a_client_calls_itself_cannot_break_a_record(house, name) -> None:
    sessions = house.protocol.sessions
    token = sessions.issue(house.principal(), "2025-11-25", {"name": name, "version": "1"})
    client = sessions.open(token.encode(), house.principal()).client
    assert client.isprintable()
    assert len(client) <= 64


EVERYTHING = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"context": {}, "tools": {}},
    "roots": {"listChanged": True},
    "experimental": {"x": {}},
    "extensions": {"io.modelcontextprotocol/tasks": {"a": 1}, "com.example/x": {}},
}


def declared(house, capabilities):
    call = house.read(initialize(capabilities=capabilities))
    token = dict(house.protocol.answer(call).headers)[b"mcp-session-id"]
    assert len(token) < 1024
    house.protocol = house.worker()
    return ping(house, token).capabilities


def test_a_session_remembers_what_its_client_can_do(house) -> None:
    assert declared(house, EVERYTHING) == {
        "elicitation": {"form": {}, "url": {}},
        "sampling": {"context": {}, "tools": {}},
        "roots": {},
        "extensions": {"io.modelcontextprotocol/tasks": {}, "com.example/x": {}},
    }
    assert declared(house, {"elicitation": {}}) == {"elicitation": {}}
    assert declared(house, {}) == {}


@pytest.mark.parametrize("value", [None, True, 1, "x", [], [{}]])
def test_a_capability_that_is_no_object_is_not_declared(house, value) -> None:
    assert declared(house, {"sampling": value, "elicitation": {"form": value}, "extensions": value}) == {
        "elicitation": {}
    }
    assert declared(house, {"extensions": {"com.example/x": value}}) == {}


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\nb", "ü", "x" * 65])
def test_a_name_of_an_extension_that_is_none_is_left_out(house, name) -> None:
    assert declared(house, {"extensions": {name: {}, "ok/x": {}}}) == {"extensions": {"ok/x": {}}}


@pytest.mark.parametrize("length", [1, 8, 20, 64])
def test_65_a_token_stays_short_whatever_a_client_says_of_itself(house, length) -> None:
    flood: dict[str, Any] = {f"{n:0{length}d}"[:length]: {} for n in range(10_000)}
    call = house.read(
        initialize(
            capabilities=EVERYTHING | {"extensions": flood}, clientInfo={"name": "\U0001f600" * 999, "version": "1"}
        )
    )
    token = dict(house.protocol.answer(call).headers)[b"mcp-session-id"]
    assert len(token) < 1024
    assert len(ping(house, token).capabilities["extensions"]) <= 8


def test_every_message_of_a_session_knows_what_its_client_can_do(house) -> None:
    call = house.read(initialize(capabilities={"roots": {}}))
    headers = {"Mcp-Session-Id": dict(house.protocol.answer(call).headers)[b"mcp-session-id"]}
    for body, verb in (
        (request("tools/call", {"name": "a"}), "POST"),
        ({"jsonrpc": "2.0", "id": "q", "result": {}}, "POST"),
        (b"", "GET"),
    ):
        assert house.read(body, headers, verb=verb).capabilities == {"roots": {}}
