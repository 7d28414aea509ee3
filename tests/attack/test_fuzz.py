"""Messages of both eras, drawn around the real ones: never a 5xx, never a hang, never another caller's data.

Sources: CVE-2025-53365 and -53366 (a malformed message ends the server), CVE-2026-52869 and -52870 (sessions and tasks
of another principal). The draw is the same in every run; ``FUZZ_EXAMPLES`` draws more.
"""

import json
import os
import time
from collections import Counter
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
SLOW_S = 2.0
#: A caller that waits so long for an answer waits indefinitely.
HANGS_S = 10.0


class Prey:
    """Alice's things: a session that waits for an answer, a task that does, states and events with a canary."""

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
        """Return whether everything is still alice's and still works."""
        self.talker.answer(line, self.question, result=accepted("Ada"))
        (answer,) = [event.data["result"] for event in self.events if event.data]
        self.stream.__exit__(None, None, None)
        self.waiting.http.close()
        task = result_of(line.modern("tasks/get", {"taskId": self.task}))
        return answer["content"][0]["text"] == "accept Ada" and task["status"] == "input_required"


@pytest.fixture
def prey(salon) -> Iterator[Prey]:
    with salon.line(salon.alice) as line:
        prey = Prey(salon, line)
        until(lambda: result_of(line.modern("tasks/get", {"taskId": prey.task}))["status"] == "input_required")
        yield prey
        assert prey.survives(line)


class Thief:
    """Speaks on one connection with mallory's key, on a new one where it was closed, and looks at each answer."""

    def __init__(self, salon: Any) -> None:
        self.salon = salon
        self.line: Line = salon.line(salon.mallory)
        self.statuses: Counter[int] = Counter()

    def say(self, message: Any, headers: dict[str, str]) -> None:
        """Send a message; the answer is quick, no fault, and reveals nothing."""
        took, status, answer = self._timed(message, headers)
        if took >= SLOW_S:  # a message that is dear is dear again; a machine that is busy is not
            took, status, answer = self._timed(message, headers)
        assert took < SLOW_S, message
        assert status < 500, (status, answer, message)
        assert CANARY.encode() not in answer, message
        assert leak_in(answer) is None, (answer, message)
        self.statuses[status] += 1

    def _timed(self, message: Any, headers: dict[str, str]) -> tuple[float, int, bytes]:
        began = time.monotonic()
        try:
            status, answer = self._said(message, headers)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):  # refused, and closed
            self.line.http.close()
            self.line = self.salon.line(self.salon.mallory)
            status, answer = self._said(message, headers)
        return time.monotonic() - began, status, answer

    def _said(self, message: Any, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body; of a stream what comes first."""
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        line = self.line
        with line.http.stream("POST", line.path, content=content, headers=headers, timeout=HANGS_S) as response:
            if response.headers.get("content-type") != "text/event-stream":
                return response.status_code, response.read()
            events = events_of(lines_of(response.iter_bytes()))
            first = next(events, None)
            events.close()
            return response.status_code, json.dumps(first and first.data).encode()


@pytest.fixture
def thief(salon) -> Iterator[Thief]:
    thief = Thief(salon)
    yield thief
    thief.line.http.close()


def field(value: object) -> str:
    """Return a header's value: what cannot stand in one is replaced, as any HTTP client would."""
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in str(value))[:200]


drawn = settings(max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
def test_attacks_54_58_and_60_no_message_of_a_session_breaks_anything_or_shows_what_is_anothers(salon, prey, thief):
    own = salon.talker(salon.mallory).headers
    stolen = prey.talker.headers

    @drawn
    @given(messages(prey.handles), st.integers(0, 9))
    def draw(message: dict[str, Any], luck: int) -> None:
        thief.say(message, own if luck else stolen)

    draw()
    assert min(thief.statuses[status] for status in (200, 202, 400, 404)) > EXAMPLES // 100  # it came everywhere


@pytest.mark.slow
def test_attacks_54_58_and_60_no_modern_message_breaks_anything_or_shows_what_is_anothers(prey, thief):
    @drawn
    @given(messages(prey.handles), st.integers(0, 3))
    def draw(message: dict[str, Any], luck: int) -> None:
        params = dict(message["params"]) if isinstance(message.get("params"), dict) else {}
        meta = params.pop("_meta", {})
        body, headers = modern(str(message.get("method", "tools/list")), params, id=message.get("id"))
        if "id" not in message:
            del body["id"]
        if luck == 0:
            body["params"]["_meta"] = meta
        if luck == 1:
            body |= message
        thief.say(body, {name: field(value) for name, value in headers.items()})

    draw()
    assert min(thief.statuses[status] for status in (200, 202, 400, 404)) > EXAMPLES // 100  # it came everywhere


@pytest.mark.slow
def test_attacks_54_and_55_no_bytes_break_anything(thief):
    body, headers = modern("tools/call", {"name": "ask", "arguments": {}})
    whole = json.dumps(body).encode()

    @settings(drawn, max_examples=EXAMPLES // 4)
    @given(st.integers(0, len(whole)), st.integers(0, 8), st.binary(max_size=8))
    def draw(at: int, length: int, put: bytes) -> None:
        thief.say(whole[:at] + put + whole[at + length :], headers)

    draw()


def test_attack_58_an_id_that_is_no_id_opens_nothing(salon):
    with salon.line(salon.mallory) as line:
        numbers: list[Any] = [None, 1.5, {}, [], True, 10**400, "x" * 5000]
        for number in numbers:
            body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            body["id"] = number
            content = json.dumps(body).encode()
            response = line.http.post(line.path, content=content, headers=headers)
            assert response.status_code == 400, number
            assert "acknowledged" not in response.text
        talker = salon.talker(salon.mallory)
        for number in (None, 1.5, {}, [], True):
            message = request("ping") | {"id": number}
            assert line.post(message, talker.headers).status_code == 400, number
