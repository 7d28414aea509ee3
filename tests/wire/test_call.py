"""The operator calls a tool at the command line: every control holds as for a call over HTTP, and it is on record."""

import json
import os
import pty
import signal
import subprocess
import sys
from subprocess import CompletedProcess

import pytest

from support.ward import Ward, environment
from support.wire import metric, reason_of, rows, site, until


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A site that no worker serves."""
    with site(tmp_path_factory.mktemp("quiet"), {"servers.bench.limits.read": "50/hour"}, start=False) as ward:
        yield ward


def call(ward: Ward, *words: str, input: str | None = None) -> CompletedProcess[str]:
    return ward.cli("call", *words, input=input or "", check=False)


def at_terminal(ward: Ward, typed: str, *words: str, interrupt_at: bytes = b"") -> tuple[int, str]:
    """Run the command at a terminal of its own, where ``typed`` is what the person types; returns what was shown.

    With ``interrupt_at`` the person presses Ctrl-C once that is shown.
    """
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mcpward", "call", *words]
    env = environment(ward.extra_env)
    with subprocess.Popen(command, cwd=ward.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while True:
                part = os.read(ours, 65_536)
                if not part:
                    break
                shown += part
                if shown.endswith(b"[y/N] "):
                    os.write(ours, typed.encode())
                if interrupt_at and interrupt_at in shown:
                    process.send_signal(signal.SIGINT)
                    interrupt_at = b""
        except OSError:  # Linux says so when the other side has closed
            pass
        code = process.wait(60)
    os.close(ours)
    return code, shown.decode()


def test_a_call_of_a_running_server_is_made_there_as_the_key_that_is_named_and_counts_against_it(tmp_path):
    with site(tmp_path, {"servers.bench.limits.read": "2/hour"}) as ward:
        key_id = ward.key[11:23]
        assert reason_of(ward.call("echo", {"text": "over HTTP"})) == ""
        large = call(ward, "bench", "large", '{"size": 100000}', "--key-id", key_id)  # an answer of several messages
        assert (large.returncode, len(large.stdout)) == (0, 100_001)
        refused = call(ward, "bench", "echo", '{"text": "a"}', "--key-id", key_id)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "error: rate-exceeded" in refused.stderr
        assert f"mcpward limits --caller {key_id}" in refused.stderr
        assert reason_of(ward.call("echo", {"text": "over HTTP"})) == "rate-exceeded"
        until(lambda: metric(ward, "mcpward_limit_refusals_total", limit="read") == 2)
        typed = until(lambda: rows(ward, "peer LIKE 'operator:%'"))
        assert {(row["tool"], row["principal"]) for row in typed} == {
            ("large", f"api-key:{key_id}"), ("echo", f"api-key:{key_id}"),
        }  # fmt: skip


def test_a_running_server_knows_a_revoked_key_and_other_callers(tmp_path):
    with site(tmp_path) as ward:
        own = call(ward, "bench", "whoami", "--as", "alice", "--json")
        assert json.loads(own.stdout)["structuredContent"] == {"subject": "alice", "way": "operator"}
        ward.cli("key", "revoke", ward.key[11:23])
        over = call(ward, "bench", "echo", '{"text": "a"}', "--key-id", ward.key[11:23])
        assert over.returncode == 1
        assert "credential-invalid" in over.stderr


def test_a_server_that_nobody_serves_is_called_in_this_process_and_on_record(quiet):
    done = call(quiet, "bench", "echo", '{"text": "hello\\u001b[2J"}', "--as", "bob")
    assert (done.returncode, done.stdout) == (0, "hello\n")  # and no screen is cleared
    (quiet.folder / "arguments.json").write_text('{"text": "from a file"}')
    assert call(quiet, "bench.py", "echo", "@arguments.json").stdout == "from a file\n"
    assert call(quiet, "bench", "echo", "-", input='{"text": "piped"}').stdout == "piped\n"
    (row,) = rows(quiet, "principal = 'operator:bob'")
    assert (row["way"], row["outcome"], row["tool"]) == ("operator", "ok", "echo")
    assert row["peer"].startswith("operator:")


def test_what_a_model_would_read_of_a_wrong_call_is_shown_with_a_way_out(quiet):
    wrong = call(quiet, "bench", "between", '{"start": "soon", "limit": 500}')
    assert (wrong.returncode, wrong.stdout) == (1, "")
    lines = wrong.stderr.splitlines()
    assert lines[0] == "error: the arguments are not valid"
    assert "  limit: an integer of 1 to 100" in lines
    assert lines[-1] == "hint: mcpward tools bench --tool between shows its schema and guards"
    assert call(quiet, "bench", "scold").returncode == 1
    crashed = call(quiet, "bench", "crash", '{"text": "x"}')
    assert crashed.returncode == 1
    assert "Traceback" in crashed.stderr  # this terminal is its log


def test_a_caller_may_no_more_than_it_is_given_and_the_operator_is_told_what_it_lacks(quiet):
    for words, hint in (
        (("wipe", '{"what": "a"}'), "the tool is destructive, and the caller may write: --class destructive"),
        (("scoped",), "the caller lacks a scope: --scope "),
        (("ecko",), "did you mean echo?"),
    ):
        done = call(quiet, "bench", *words)
        assert done.returncode == 1
        assert "error: tool-unknown: the tool is not known here" in done.stderr
        assert f"hint: {hint}" in done.stderr


def test_a_tool_that_needs_a_persons_yes_asks_at_the_terminal_and_runs_nowhere_else(quiet):
    alone = call(quiet, "bench", "careful", input="y\n")
    assert alone.returncode == 1
    assert "a person must approve the call: run it at a terminal" in alone.stderr
    assert "done" not in alone.stdout
    code, shown = at_terminal(quiet, "n\n", "bench", "careful")
    assert code == 1, shown
    assert "Allow the tool careful to run?" in shown
    assert "done with care" not in shown
    code, shown = at_terminal(quiet, "y\n", "bench", "careful")
    assert code == 0, shown
    assert "done with care" in shown


@pytest.mark.parametrize("is_served", [False, True])
def test_the_progress_of_a_tool_is_one_line_at_a_terminal_and_ctrl_c_cancels_the_call(tmp_path, is_served):
    with site(tmp_path, start=is_served) as ward:
        code, shown = at_terminal(ward, "", "bench", "count", '{"steps": 25}')
        assert code == 0, shown
        assert "\r\x1b[K1 of 25 step 1" in shown
        assert "\r\x1b[K" in shown.rpartition("of 25 step")[2]  # and it is gone before the result
        assert shown.endswith("counted\r\n")
        assert "\n" not in shown[shown.index("\x1b[K") : shown.rindex("\x1b[K")]
        code, shown = at_terminal(ward, "", "bench", "count", '{"steps": 25}', "--json")
        assert (code, "of 25 step" in shown) == (0, False)
        alone = call(ward, "bench", "count", '{"steps": 3}')
        assert (alone.stdout, "step" in alone.stderr) == ("counted\n", False)
        code, shown = at_terminal(ward, "", "bench", "count", '{"steps": 100000}', interrupt_at=b"of 100000 step")
        assert code == 1
        assert "error: the call is cancelled" in shown
        assert "Traceback" not in shown
        until(lambda: rows(ward, "tool = 'count' AND outcome = 'cancelled'"))


@pytest.mark.parametrize(
    "words, said",
    [
        (("bench", "echo", "{text}"), "the arguments are not JSON: expecting property name"),
        (("bench", "echo", "[1]"), "the arguments are JSON, but not an object"),
        (("bench", "echo", "@nowhere.json"), "nowhere.json: No such file"),
        (("bensh", "echo"), "did you mean bench?"),
        (("bench", "echo", "--class", "all"), "unknown access class 'all'"),
        (("bench", "echo", "--as", "a b"), "--as: a name is 1 to 128"),
        (("bench", "echo", "--key-id", "4f9QkZp2LmXa", "--class", "read"), "a key brings its own name"),
        (("bench", "echo", "--key-id", "sk-mcpward-4f9QkZp2LmXa_x"), "that is a key, not a key id"),
    ],
)
def test_what_cannot_be_sent_is_told_with_exit_code_two_and_runs_nothing(quiet, capsys, monkeypatch, words, said):
    from mcpward.cli.main import run

    monkeypatch.chdir(quiet.folder)
    assert run(["call", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
