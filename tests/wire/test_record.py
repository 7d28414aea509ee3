"""Every request leaves one record, refused ones too; a destructive call is on disk before its tool runs."""

import json
import subprocess
import sys

import pytest

from support.ward import Ward, environment, text_of
from support.wire import Session, reason_of, rows, site, until


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("record")) as ward:
        cleaner = ward.create_key("bench", name="cleaner", **{"class": "destructive"})
        until(lambda: ward.call("echo", {"text": "a"}, key=cleaner).status_code == 200)
        ward.credentials["cleaner"] = cleaner
        yield ward


def one(ward: Ward, where: str, *values: object) -> dict:
    (row,) = until(lambda: rows(ward, where, *values))
    return row


def test_a_call_is_recorded_with_who_what_and_how_it_ended(ward):
    answer = ward.call("echo", {"text": "find me"}, headers={"x-forwarded-for": "203.0.113.9"})
    row = one(ward, "arguments LIKE '%find me%'")
    assert (row["server"], row["method"], row["tool"]) == ("bench", "tools/call", "echo")
    assert (row["era"], row["version"]) == ("modern", "2026-07-28")
    assert (row["way"], row["key_id"], row["principal"]) == ("api-key", ward.key[11:23], f"api-key:{ward.key[11:23]}")
    assert row["peer"] == "127.0.0.1"  # no proxy was trusted to say otherwise
    assert (row["phase"], row["outcome"], row["reason"], row["status"]) == ("done", "ok", None, 200)
    assert row["bytes_out"] == len(answer.content)
    assert 0 < row["duration_us"] < 5_000_000
    assert json.loads(row["arguments"]) == {"text": "find me"}


def test_a_trace_is_kept(ward):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"name": "echo", "arguments": {"text": "traced"}, "_meta": {"traceparent": trace}}
    Session(ward).request("tools/call", body)
    assert one(ward, "arguments LIKE '%traced%'")["trace"] == trace


@pytest.mark.parametrize(
    "ask,reason",
    [
        (lambda ward: ward.post({}, path="/nowhere"), "route-unknown"),
        (lambda ward: ward.post({}, headers={"host": "evil.example"}), "host-refused"),
        (lambda ward: ward.post({}), "credential-missing"),
        (lambda ward: ward.post({}, headers={"authorization": "Bearer x"}), "credential-invalid"),
        (lambda ward: ward.call("echo", {"text": 5}), "arguments-invalid"),
        (lambda ward: ward.call("no such tool"), "tool-unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_request_is_recorded_once(ward, ask, reason):
    before = len(rows(ward, "reason = ?", reason))
    answer = ask(ward)
    assert reason_of(answer) == reason
    kept = until(lambda: rows(ward, "reason = ?", reason)[before:])
    assert [(row["outcome"], row["status"]) for row in kept] == [("refused", answer.status_code)]


def test_a_destructive_call_is_on_disk_before_its_tool_runs(ward):
    """The tool itself looks: it finds its intent through another connection to the file."""
    answer = ward.call("wipe", {"what": "the disk"}, key=ward.credentials["cleaner"])
    assert text_of(answer) == "1"
    intent, done = until(lambda: len(found := rows(ward, "arguments LIKE '%the disk%'")) == 2 and found)
    assert (intent["phase"], intent["outcome"], done["phase"], done["outcome"]) == ("intent", "pending", "done", "ok")
    assert intent["id"] == done["id"]
    assert (intent["key_id"], intent["principal"]) == (done["key_id"], done["principal"])


def test_other_calls_leave_no_intent(ward):
    ward.call("store", {"value": "nothing lost"})
    assert one(ward, "arguments LIKE '%nothing lost%'")["phase"] == "done"


def test_a_secret_of_the_environment_stands_in_no_record_and_no_answer(ward):
    ward.call("leak")
    token = ward.extra_env["TOKEN"]
    answer = ward.call("echo", {"text": f"marked {token}"})
    assert token not in answer.text
    assert "marked" in one(ward, "arguments LIKE '%marked%'")["arguments"]
    assert token not in json.dumps(rows(ward), default=str)
    assert token not in ward.log()


def test_the_log_is_filtered_by_what_is_asked_for(ward):
    until(lambda: rows(ward, "outcome = 'ok'"))
    ward.call("crash", {"text": "filtered"})
    until(lambda: rows(ward, "reason = 'tool-failed'"))
    kept = ward.records("--tool", "crash")
    assert {row["tool"] for row in kept} == {"crash"}
    kept = ward.records("--reason", "tool-failed", "--outcome", "error", "--server", "bench", "--since", "1h")
    assert {row["reason"] for row in kept} == {"tool-failed"}
    assert [row["tool"] for row in ward.records("--key", ward.key[11:23], "--lines", "1")] == ["crash"]
    nothing = ward.cli("log", "--tool", "never called", "--json", check=False)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert ward.cli("log", "--until", "1h", check=False).returncode == 1


def test_the_log_for_people_has_one_line_a_record_whatever_callers_wrote(ward):
    params = {"name": "no\x1b[2Jtool\nat all", "arguments": {}}
    assert reason_of(Session(ward).request("tools/call", params)) == "tool-unknown"
    until(lambda: rows(ward, "reason = 'tool-unknown' AND tool LIKE '%at all%'"))
    said = ward.cli("log", "--reason", "tool-unknown").stdout
    assert "\x1b" not in said
    assert r"no\x1b[2Jtool\x0aat all" in said
    lines = [line for line in said.splitlines() if not line.startswith("  ")]  # below some, why they were refused
    assert len(lines) == 1 + len(rows(ward, "reason = 'tool-unknown'"))


def test_the_log_can_be_followed(ward):
    command = [sys.executable, "-m", "mcpward", "log", "--follow", "--json", "--tool", "whoami"]
    with subprocess.Popen(
        command, cwd=ward.folder, env=environment(ward.extra_env), stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        try:
            ward.call("whoami")
            first = json.loads(following.stdout.readline())
            ward.call("whoami")
            second = json.loads(following.stdout.readline())
        finally:
            following.terminate()
    assert first["tool"] == second["tool"] == "whoami"
    assert second["seq"] > first["seq"]
