"""Traps of the protocol that others have walked into, by their numbers; docs/protocol.md has the list.

Those not here have tests that are named for what they show: 1, 4, 5, 15, 24 and 30 under tests/attack (agreement,
hosts, tools, edges, secret URLs), 10 and 21 in test_streams.py, 13 and 29 in test_conversations.py, 22 in
tests/attack/test_handles.py, 26 in tests/interop.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.talk import Line, Talker, accepted, modern, prepare, request, result_of
from support.ward import Ward, serving
from support.wire import reason_of, rows, until

SMALL = """
[servers.small]
source = "talk.py"
[servers.small.limits]
read = "2/minute"
discovery = "2/minute"
lifecycle = "2/minute"
"""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with serving(tmp_path_factory.mktemp("traps"), servers="", start=False) as ward:
        prepare(ward, "talk", toml=SMALL)
        ward.key = ward.create_key("talk")
        ward.start()
        yield ward


@pytest.fixture
def line(ward: Ward) -> Iterator[Line]:
    with Line(ward, ward.key, path="/talk/mcp") as line:
        yield line


@pytest.fixture
def small(ward: Ward) -> Iterator[Line]:
    """Return a connection to the server with the small limits, with a key of its own."""
    key = ward.create_key("small")
    bearer = {"authorization": f"Bearer {key}"}
    # The worker learns of the key within a moment. An unreadable request is refused before it is charged.
    until(lambda: ward.post(b"{", path="/small/mcp", headers=bearer).status_code == 400, pause_s=0.1)
    with Line(ward, key, path="/small/mcp") as line:
        yield line


def test_trap_8_a_limit_is_told_as_an_error_of_the_request_with_the_time_to_wait(small):
    body, headers = modern("tools/call", {"name": "worker", "arguments": {}}, id="mine")
    answers = [small.post(body, headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["content-type"] == "application/json"
    assert answers[-1].json()["id"] == "mine"
    assert answers[-1].json()["error"]["message"].startswith("too many calls: wait before the next one; the limit ")
    assert int(answers[-1].headers["retry-after"]) == answers[-1].json()["error"]["data"]["retryAfterSeconds"]


@pytest.mark.parametrize(
    "method, params, status",
    [
        ("tools/call", {"name": "nothing"}, 400), ("resources/read", {"uri": "talk://nothing"}, 400),
        ("prompts/get", {"name": "nothing"}, 400), ("no/method", {}, 404), ("tasks/get", {"taskId": "x"}, 400),
        ("tools/list", {"cursor": "x"}, 400), ("subscriptions/listen", {}, 400),
    ],
)  # fmt: skip
def test_trap_9_an_error_is_seen_in_the_status_too(line, method, params, status):
    answer = line.modern(method, params)
    assert answer.status_code == status
    assert "error" in answer.json()


def test_trap_11_no_answer_but_that_of_initialize_names_a_session(ward, line):
    talker = Talker(ward, ward.key, path="/talk/mcp")
    said = [
        line.modern("tools/list"),
        line.modern("no/method"),
        line.modern("initialize"),
        line.post(request("tools/list"), {"mcp-protocol-version": "2025-11-25"}),
        line.post(request("tools/list"), {"mcp-session-id": "invented"}),
        line.post([request("tools/list")], talker.headers),
        line.post(request("initialize", {"protocolVersion": 1})),
        talker.send(line, "tools/list"),
        line.http.get(line.path, headers={"accept": "application/json"}),
    ]
    assert {answer.status_code for answer in said} >= {200, 400, 404}
    assert not [answer for answer in said if "mcp-session-id" in answer.headers]


def test_trap_12_sessions_cost_no_memory_and_a_caller_has_no_more_than_its_rate_of_them(small):
    said = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    assert [reason_of(small.post(request("initialize", said))) for _ in range(3)] == ["", "", "rate-exceeded"]


def test_trap_13_a_request_state_outlives_a_restart(tmp_path):
    with serving(tmp_path, servers="", start=False) as ward:
        prepare(ward, "talk")
        ward.key = ward.create_key("talk")
        ward.start()
        call = {"name": "ask", "arguments": {}}
        with Line(ward, ward.key) as line:
            state = result_of(line.modern("tools/call", call))["requestState"]
        ward.stop()
        ward.start()
        answered = call | {"inputResponses": {"who": accepted("Ada")}, "requestState": state}
        with Line(ward, ward.key) as line:
            assert result_of(line.modern("tools/call", answered))["content"][0]["text"] == "accept Ada"


def test_trap_18_a_missing_scope_is_told_before_a_stream_begins(line):
    body, headers = modern("tools/call", {"name": "hidden", "arguments": {}, "_meta": {"progressToken": 1}})
    answer = line.post(body, headers)
    assert answer.status_code in {400, 403}
    assert answer.headers["content-type"] == "application/json"


def test_trap_19_what_a_client_sends_to_places_that_are_not_there_is_written_nowhere(ward):
    secret = {"authorization": "Bearer sk-mcpward-canary-of-trap-19", "x-api-key": "canary-of-trap-19"}
    with ward.client() as client:
        for path in ("/register", "/.well-known/oauth-protected-resource/talk/mcp", "/authorize", "/token"):
            assert client.post(path, headers=secret, json={"client_name": "canary-of-trap-19"}).status_code in {
                404,
                405,
            }
            assert client.get(path, headers=secret).status_code == 404
    assert "canary-of-trap-19" not in ward.log()
    assert "canary-of-trap-19" not in json.dumps(rows(ward), default=str)


@pytest.mark.parametrize(
    "method", ["server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list"]
)
def test_trap_20_what_depends_on_a_key_is_not_for_other_keys_to_cache(line, method):
    answer = line.modern(method)
    assert result_of(answer)["cacheScope"] == "private"
    assert answer.headers["cache-control"] == "no-store"


def test_trap_20_a_resource_behind_a_key_is_not_for_other_keys_to_cache(line):
    answer = line.modern("resources/read", {"uri": "talk://news"})
    assert result_of(answer)["cacheScope"] == "private"
    asked = result_of(line.modern("tools/call", {"name": "ask", "arguments": {}}))
    assert not {"ttlMs", "cacheScope"} & set(asked)


def test_trap_23_a_notification_leaves_its_line_in_the_record(ward, line):
    body, headers = modern("notifications/cancelled", {"requestId": "trap-23"})
    del body["id"]
    answer = line.post(body, headers)
    assert (answer.status_code, answer.content) == (202, b"")
    until(lambda: rows(ward, "method = ? AND era = ?", "notifications/cancelled", "modern"))


def test_trap_27_a_tool_that_hangs_is_ended(tmp_path):
    with serving(tmp_path, servers="", start=False) as ward:
        prepare(ward, "talk")
        config = ward.folder / "mcpward.toml"
        config.write_text(config.read_text() + "deadline_s = 0.5\n")
        ward.key = ward.create_key("talk")
        ward.start()
        with Line(ward, ward.key) as line:
            answer = line.modern("tools/call", {"name": "work", "arguments": {"name": "hung", "seconds": 60.0}})
        assert reason_of(answer) == "tool-timeout"


def test_trap_29_a_session_that_cannot_be_asked_on_a_stream_is_told_so(ward, line):
    """A client that reads no event streams has no way to be asked: the tool ends, it does not wait."""
    talker = Talker(ward, ward.key, path="/talk/mcp")
    message = request("tools/call", {"name": "ask", "arguments": {}})
    answer = line.post(message, talker.headers | {"accept": "application/json"})
    assert answer.status_code in {200, 406}
    assert answer.status_code == 406 or reason_of(answer) == "consent-missing"


def test_two_listeners_on_one_connection_after_each_other_hear_each_their_own(line):
    """A connection holds no state: earlier requests on it have no influence."""
    for number in ("first", "second"):
        body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=number)
        with ExitStack() as stack:
            _, events = stack.enter_context(line.stream(body, headers))
            said = next(events).data["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"]
            assert said == number
