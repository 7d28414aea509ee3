"""Messages of both eras, drawn around the real ones: never a 5xx, never a hang, never another caller's data.

Sources: CVE-2025-53365 and -53366 (a malformed message ends the server), CVE-2026-52869 and -52870 (sessions and tasks
of another principal). The draw is the same in every run; ``FUZZ_EXAMPLES`` draws more.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.drawn import messages
from support.leak import leak_in
from support.talk import Line, accepted, events_of, lines_of, modern, request, result_of
from support.wire import until

pytestmark = pytest.mark.timeout(120)

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1200"))
CANARY = "canary-of-alice"


class Prey:
    """What belongs to alice: a session that waits for an answer, a task that does, states and events with a canary."""

    def __init__(self, salon: Any, line: Line) -> None:
        self.talker = salon.talker(salon.alice)
        call = {"name": "ask", "arguments": {"about": CANARY}}
        self.state = result_of(line.modern("tools/call", call))["requestState"]
        job = {"name": "asking_job", "arguments": {"secret": CANARY}}
        self.task = result_of(line.modern("tools/call", job))["taskId"]
        with self.talker.call(line, "leave", {"secret": CANARY, "seconds": 0.0}) as (_, events):
            self.event = next(event.id for event in events if event.id)
        self.waiting = self.talker.line()
        self.stream = self.talker.call(self.waiting, "ask", {"about": CANARY})
        _, self.events = self.stream.__enter__()
        self.question = next(event.data for event in self.events if event.data)

    @property
    def handles(self) -> list[str]:
        """Everything that a thief could have found."""
        return [self.state, self.task, self.event, self.question["id"], self.talker.headers["mcp-session-id"]]

    def survives(self, line: Line) -> bool:
        """Tell whether everything is still alice's and still works."""
        self.talker.answer(line, self.question, result=accepted("Ada"))
        (answer,) = [event.data["result"] for event in self.events if event.data]
        self.stream.__exit__(None, None, None)
        task = result_of(line.modern("tasks/get", {"taskId": self.task}))
        return answer["content"][0]["text"] == "accept Ada" and task["status"] == "input_required"


@pytest.fixture
def prey(salon) -> Iterator[Prey]:
    with salon.line(salon.alice) as line:
        prey = Prey(salon, line)
        until(lambda: result_of(line.modern("tasks/get", {"taskId": prey.task}))["status"] == "input_required")
        yield prey
        assert prey.survives(line)


def said(line: Line, message: Any, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a message and give status and body; of an endless stream what comes first."""
    content = message if isinstance(message, bytes) else json.dumps(message).encode()
    with line.http.stream("POST", line.path, content=content, headers=headers, timeout=2.0) as response:
        if response.headers.get("content-type") != "text/event-stream":
            return response.status_code, response.read()
        first = next(events_of(lines_of(response.iter_bytes())), None)
        return response.status_code, json.dumps(first and first.data).encode()


def field(value: object) -> str:
    """Give a header's value: what cannot stand in one is replaced, as any HTTP client would."""
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in str(value))[:200]


@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_attacks_54_58_and_60_no_message_breaks_anything_or_shows_what_is_anothers(salon, prey, era):
    thief = salon.talker(salon.bob)
    held = {"line": salon.line(salon.bob)}
    slow: list[tuple[float, object]] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(messages(prey.handles), st.booleans(), st.data())
    def draw(message: dict[str, Any], whole: bool, data: st.DataObject) -> None:
        headers = dict(thief.headers)
        if data.draw(st.integers(0, 9)) == 0:
            headers["mcp-session-id"] = prey.talker.headers["mcp-session-id"]
        if era == "modern":
            params = message.get("params") if isinstance(message.get("params"), dict) else {}
            body, headers = modern(str(message.get("method", "tools/list")), params, id=message.get("id"))
            message = body if whole else message
            headers = {name: field(value) for name, value in headers.items()}
        began = time.monotonic()
        try:
            status, answer = said(held["line"], message, headers)
        except (httpx2.RemoteProtocolError, httpx2.ReadError):  # refused, and closed
            held["line"].http.close()
            held["line"] = salon.line(salon.bob)
            status, answer = said(held["line"], message, headers)
        slow.append((time.monotonic() - began, message))
        assert status < 500, (status, answer, message)
        assert CANARY.encode() not in answer, message
        assert leak_in(answer) is None, message

    draw()
    held["line"].http.close()
    assert max(seconds for seconds, _ in slow) < 2.0


@pytest.mark.slow
def test_attacks_54_and_55_no_bytes_break_anything(salon):
    held = {"line": salon.line(salon.bob)}
    whole = json.dumps(modern("tools/call", {"name": "ask", "arguments": {}})[0]).encode()
    headers = modern("tools/call", {"name": "ask", "arguments": {}})[1]

    @settings(max_examples=EXAMPLES // 4, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, len(whole)), st.integers(0, 8), st.binary(max_size=8))
    def draw(at: int, length: int, put: bytes) -> None:
        began = time.monotonic()
        status, answer = said(held["line"], whole[:at] + put + whole[at + length :], headers)
        assert time.monotonic() - began < 2.0
        assert status < 500
        assert leak_in(answer) is None

    draw()
    held["line"].http.close()


def test_attack_58_an_id_that_is_no_id_opens_nothing(salon):
    with salon.line(salon.bob) as line:
        for number in (None, 1.5, {}, [], True, 10**400, "x" * 5000):
            body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            body["id"] = number
            content = json.dumps(body).encode()
            status, answer = said(line, content, headers)
            assert status == 400, number
            assert b"acknowledged" not in answer
        talker = salon.talker(salon.bob)
        for number in (None, 1.5, {}, [], True):
            message = request("ping") | {"id": number}
            assert line.post(message, talker.headers).status_code == 400, number
