"""JSON is the normal answer; it becomes an event stream when the tool reports or is silent for long."""

import json
import socket
import time

import httpx2
import pytest

from support.ward import ACCEPT, Ward, modern_request
from support.wire import Session, notes, rows, site, until

SOON = {"http.max_waiting_s": 0.5, "http.keep_alive_s": 0.5}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("streams"), SOON) as ward:
        yield ward


def asked(ward: Ward, tool: str, arguments: dict, *, token: str | None = None) -> tuple[bytes, dict[str, str]]:
    params = {"name": tool, "arguments": arguments}
    body, headers = modern_request("tools/call", params, name=tool)
    if token is not None:
        body["params"]["_meta"]["progressToken"] = token
    headers |= {"authorization": f"Bearer {ward.key}", "accept": ACCEPT, "content-type": "application/json"}
    return json.dumps(body).encode(), headers


def post(ward: Ward, tool: str, arguments: dict, *, token: str | None = None, **more: str) -> httpx2.Response:
    body, headers = asked(ward, tool, arguments, token=token)
    with ward.client() as client:
        return client.post("/mcp", content=body, headers=headers | more)


def messages(response: httpx2.Response) -> list[dict]:
    """Read the events of a stream; comments, and the first event's empty message, are left out."""
    assert response.headers["content-type"] == "text/event-stream"
    said = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(message) for message in said if message]


def test_progress_makes_a_stream_that_ends_with_the_result(ward):
    *reports, result = messages(post(ward, "count", {"steps": 4}, token="t1"))
    assert [report["method"] for report in reports] == ["notifications/progress"] * 4
    assert [report["params"]["progress"] for report in reports] == [1, 2, 3, 4]
    assert {report["params"]["progressToken"] for report in reports} == {"t1"}
    assert result["result"]["content"][0]["text"] == "counted"


def test_a_stream_says_that_it_is_not_to_be_buffered_or_kept(ward):
    answer = post(ward, "count", {"steps": 1}, token="t")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-length" not in answer.headers


def test_without_a_progress_token_the_answer_is_json(ward):
    answer = post(ward, "count", {"steps": 4})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["content"][0]["text"] == "counted"


def test_a_client_that_takes_json_alone_gets_json_even_from_a_tool_that_reports(ward):
    answer = post(ward, "count", {"steps": 2}, token="t", accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["content"][0]["text"] == "counted"


def test_progress_comes_while_the_tool_runs(ward):
    body, headers = asked(ward, "count", {"steps": 10}, token="t")
    with ward.client() as client, client.stream("POST", "/mcp", content=body, headers=headers) as answer:
        arrivals = [time.monotonic() for line in answer.iter_lines() if line.startswith("data: ")]
    assert len(arrivals) >= 10
    assert arrivals[-1] - arrivals[0] > 0.3


def test_legacy_callers_get_progress_too(ward):
    session = Session(ward)
    params = {"name": "count", "arguments": {"steps": 2}, "_meta": {"progressToken": 7}}
    *reports, result = messages(session.request("tools/call", params))
    assert [report["params"]["progressToken"] for report in reports] == [7, 7]
    assert result["result"]["content"][0]["text"] == "counted"


def test_a_silent_call_is_kept_alive_with_comments(ward):
    answer = post(ward, "work", {"name": "silent", "seconds": 2.2})
    assert [message["result"]["content"][0]["text"] for message in messages(answer)] == ["done"]
    assert answer.text.count(": keep-alive\n\n") >= 2


def test_a_silent_call_of_a_client_that_takes_json_alone_is_answered_in_json(ward):
    answer = post(ward, "work", {"name": "json", "seconds": 1.2}, accept="application/json")
    assert answer.json()["result"]["content"][0]["text"] == "done"


def test_an_error_after_the_stream_began_is_its_last_event(ward):
    *_, last = messages(post(ward, "count", {"steps": 1}, token="t"))
    assert "result" in last
    body, headers = asked(ward, "large", {"size": 5_000_000})
    with ward.client() as client:
        refused = client.post("/mcp", content=body, headers=headers)
    assert refused.headers["content-type"] == "application/json"  # nothing was sent yet: no stream for a refusal


def hang_up(ward: Ward, body: bytes, headers: dict[str, str], name: str) -> None:
    """Ask over a socket of one's own, and close it when the tool has begun."""
    lines = [f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{ward.port}\r\ncontent-length: {len(body)}"]
    lines += [f"{field}: {value}" for field, value in headers.items()]
    with socket.create_connection(("127.0.0.1", ward.port)) as line:
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        until(lambda: f"began {name}" in notes(ward))


@pytest.mark.parametrize("seconds", [5.0, 30.0])
def test_a_modern_caller_who_leaves_cancels_the_tool(ward, seconds):
    name = f"modern {seconds}"
    hang_up(ward, *asked(ward, "work", {"name": name, "seconds": seconds}), name)
    until(lambda: f"cancelled {name}" in notes(ward), 2.0)
    (row,) = until(lambda: rows(ward, "arguments LIKE ?", f"%{name}%"))
    assert (row["outcome"], row["reason"], row["tool"]) == ("cancelled", None, "work")


def test_a_modern_caller_who_leaves_a_stream_cancels_the_tool(ward):
    body, headers = asked(ward, "work", {"name": "streamed", "seconds": 30.0})
    with ward.client() as client, client.stream("POST", "/mcp", content=body, headers=headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
    until(lambda: "cancelled streamed" in notes(ward), 2.0)


def test_a_legacy_caller_who_leaves_cancels_nothing(ward):
    session = Session(ward)
    params = {"name": "work", "arguments": {"name": "legacy", "seconds": 1.0}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    hang_up(ward, body, session.headers, "legacy")
    until(lambda: "ended legacy" in notes(ward), 4.0)
    assert "cancelled legacy" not in notes(ward)
    (row,) = until(lambda: rows(ward, "arguments LIKE ?", '%"legacy"%'))
    assert row["outcome"] == "ok"


def test_a_server_that_stops_waits_for_a_legacy_call_without_its_caller(tmp_path):
    with site(tmp_path) as ward:
        session = Session(ward)
        params = {"name": "work", "arguments": {"name": "left", "seconds": 1.5}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        hang_up(ward, body, session.headers, "left")
        assert ward.stop() == 0
        assert notes(ward) == ["began left", "ended left"]
        (row,) = rows(ward, "tool = 'work'")
        assert row["outcome"] == "ok"


def test_the_place_of_a_cancelled_call_is_free_again(tmp_path):
    with site(tmp_path, {"servers.bench.limits.concurrency": 1, "servers.bench.limits.queue": 0}) as ward:
        hang_up(ward, *asked(ward, "work", {"name": "gone", "seconds": 30.0}), "gone")
        until(lambda: "cancelled gone" in notes(ward), 2.0)
        until(lambda: post(ward, "echo", {"text": "a"}).status_code == 200, 1.0)
