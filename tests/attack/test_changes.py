"""Streams of changes: how many a caller may hold, what they report, and to which callers.

Sources: 2026-07-28 basic/utilities/subscriptions; 2025-11-25 basic/transports (one stream per message).
"""

import json
import time
from contextlib import ExitStack

import pytest

from support.talk import modern, result_of
from support.wire import reason_of, until

MANY = 64


def listen(line, wanted=None):
    body, headers = modern("subscriptions/listen", {"notifications": wanted or {"toolsListChanged": True}})
    return line.stream(body, headers)


@pytest.mark.slow
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_attack_48_idle_streams_of_one_key_are_counted_and_others_get_theirs(salon, era):
    reading = []  # a reader without references is closed, and its stream with it
    with ExitStack() as held:
        for _ in range(MANY):
            line = held.enter_context(salon.line(salon.bob))
            # A session of its own for each: in one, the stream that was opened last takes the place of the one before.
            stream = listen(line) if era == "modern" else salon.talker(salon.bob).listen(line)
            response, events = held.enter_context(stream)
            reading.append(events)
            if response.status_code != 200:
                break
            if era == "modern":
                assert "acknowledged" in next(events).data["method"]
        else:
            pytest.fail(f"{MANY} streams of one key were opened")
        response.read()
        assert response.status_code == 429
        assert reason_of(response) == "rate-exceeded"
        assert 1 <= int(response.headers["retry-after"]) <= 3600
        with salon.line(salon.alice) as line, listen(line) as (response, events):  # others have theirs
            assert next(events).data["method"] == "notifications/subscriptions/acknowledged"
        with salon.line(salon.bob) as line:  # and it may still call
            assert result_of(line.modern("tools/call", {"name": "switch", "arguments": {}}))

    def free() -> bool:
        with salon.line(salon.bob) as line, listen(line) as (response, _):
            return response.status_code == 200

    until(free, 5.0)


def told_after(salon, wanted: dict, key: str, cause: dict) -> list[str]:
    """Listen with a key while another caller causes changes; a last change of the tools ends the listening."""
    told: list[str] = []
    with (
        salon.line(key) as listener,
        salon.line(salon.grace) as other,
        listen(listener, wanted | {"toolsListChanged": True}) as (_, events),
    ):
        next(events)
        result_of(other.modern("tools/call", cause))
        result_of(other.modern("tools/call", {"name": "switch", "arguments": {}}))
        while not (told and "tools/list_changed" in told[-1]):
            told.append(json.dumps(next(event.data for event in events if event.data)))
    return told


def test_a_listener_is_told_of_what_it_asked_for(salon):
    update = {"name": "update", "arguments": {"uri": "talk://news"}}
    told = told_after(salon, {"resourceSubscriptions": ["talk://news"]}, salon.bob, update)
    assert len(told) == 2
    assert "talk://news" in told[0]


@pytest.mark.parametrize("uri", ["talk://vault", "talk://safe/x"])
def test_attack_67_changes_of_what_a_key_may_not_have_are_not_told(salon, uri):
    update = {"name": "update", "arguments": {"uri": uri}}
    hers = told_after(salon, {"resourceSubscriptions": [uri]}, salon.grace, update)
    assert [uri in line for line in hers] == [True, False]
    assert len(told_after(salon, {"resourceSubscriptions": [uri]}, salon.bob, update)) == 1


def test_attack_60_changes_of_another_server_are_not_told(salon):
    wanted = {"resourceSubscriptions": ["talk://news"], "promptsListChanged": True, "toolsListChanged": True}
    with (
        salon.line(salon.eve, "/other/mcp") as listener,
        salon.line(salon.eve, "/other/mcp") as own,
        salon.line(salon.bob) as other,
        listen(listener, wanted) as (_, events),
    ):
        next(events)
        result_of(other.modern("tools/call", {"name": "update", "arguments": {"uri": "talk://news"}}))
        time.sleep(0.3)
        result_of(own.modern("tools/call", {"name": "switch", "arguments": {}}))
        told = next(event.data for event in events if event.data)
    assert told["method"] == "notifications/tools/list_changed"


@pytest.mark.parametrize(
    "wanted",
    [
        None, [], "all", {"toolsListChanged": "yes"}, {"resourceSubscriptions": "talk://news"},
        {"resourceSubscriptions": ["talk://news"] * 100_000}, {"resourceSubscriptions": ["a" * 1_000_000]},
        {"resourceSubscriptions": [1]}, {"taskIds": [None]}, {"taskIds": ["x"] * 100_000},
    ],
    ids=lambda wanted: json.dumps(wanted)[:48],
)  # fmt: skip
def test_attack_55_a_wish_of_the_wrong_shape_opens_no_stream(salon, wanted):
    with salon.line(salon.bob) as line:
        body, headers = modern("subscriptions/listen", {"notifications": wanted})
        response = line.post(body, headers)
    assert response.status_code == 400
    assert reason_of(response) in {"params-invalid", "message-unparsable"}  # too much of it is not even read


def test_attack_65_subscriptions_of_a_session_are_bounded(salon):
    talker = salon.talker(salon.bob)
    with talker.line() as line:
        answers = [talker.send(line, "resources/subscribe", {"uri": f"talk://shelf/{at}"}) for at in range(1200)]
        refused = {reason for answer in answers if (reason := reason_of(answer))}
        assert refused
        assert refused <= {"params-invalid", "rate-exceeded"}
        assert talker.send(line, "resources/unsubscribe", {"uri": "talk://shelf/0"}).status_code == 200
        assert talker.send(line, "resources/subscribe", {"uri": "talk://shelf/0"}).status_code == 200


@pytest.mark.parametrize("uri", ["talk://vault", "talk://safe/x"])
def test_attack_66_a_hidden_resource_is_subscribed_to_as_one_that_is_not_there(salon, uri):
    talker = salon.talker(salon.bob)
    with talker.line() as line:
        hidden = talker.send(line, "resources/subscribe", {"uri": uri}, id=1)
        missing = talker.send(line, "resources/subscribe", {"uri": uri.replace("a", "e")}, id=1)
    assert hidden.status_code == missing.status_code
    assert hidden.text.replace(uri, "") == missing.text.replace(uri.replace("a", "e"), "")
