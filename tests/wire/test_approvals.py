"""A person's yes where the client cannot ask: the call waits, another process decides, and one repetition runs."""

import json
import sqlite3
import threading
from contextlib import closing

import pytest

from support.orders import approval_in, call, key_id, make_key, notes, reason_of, shop, text_of
from support.wire import Session, acts, rows, until

ORDER = {"order_id": "7", "total": 12.5}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with shop(tmp_path_factory.mktemp("approvals"), site="workers = 2") as ward:
        ward.credentials["other"] = make_key(ward, "other")
        yield ward


def cancel(ward, order_id, key=None, **more):
    return call(ward, "cancel_order", ORDER | {"order_id": order_id} | more, key=key)


def approved(ward, order_id):
    waiting = approval_in(cancel(ward, order_id))
    ward.cli("approve", "call", waiting, "--yes")
    return waiting


def test_cancel_order_runs_once_after_a_yes_from_another_process(ward):
    first = cancel(ward, "once")
    waiting = approval_in(first)
    assert "Ask the operator: mcpward approve call" in text_of(first)
    assert "repeat exactly the same call" in text_of(first)
    assert approval_in(cancel(ward, "once")) == waiting, "the same call waits once"
    assert "cancelled once" not in notes(ward)
    ward.cli("approve", "call", waiting, "--yes")
    assert text_of(cancel(ward, "once")) == "cancelled once"
    assert reason_of(cancel(ward, "once")) == "consent-missing"
    assert notes(ward).count("cancelled once") == 1


def test_a_session_whose_client_cannot_ask_is_served_too(ward):
    session = Session(ward)
    refused = session.call("cancel_order", ORDER | {"order_id": "session"}).json()["result"]
    ward.cli("approve", "call", approval_in(refused), "--yes")
    answer = session.call("cancel_order", ORDER | {"order_id": "session"}).json()["result"]
    assert text_of(answer) == "cancelled session"


def test_the_order_of_the_arguments_makes_no_difference_and_anything_else_does(ward):
    approved(ward, "exact")
    assert reason_of(cancel(ward, "exact", total=12.6)) == "consent-missing"
    assert reason_of(cancel(ward, "exact", why="else")) == "consent-missing"
    assert reason_of(cancel(ward, "exact", key=ward.credentials["other"])) == "consent-missing"
    assert "cancelled exact" not in notes(ward)
    assert text_of(call(ward, "cancel_order", {"total": 12.5, "order_id": "exact"})) == "cancelled exact"


def test_attack_133_two_identical_calls_with_one_approval_run_once(ward):
    approved(ward, "race")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(cancel(ward, "race"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reason_of(answer) for answer in answers) == ["", *["consent-missing"] * 7]
    assert notes(ward).count("cancelled race") == 1


def test_a_denied_call_is_told_so_each_time_and_does_not_wait_again(ward):
    waiting = approval_in(cancel(ward, "denied"))
    ward.cli("approve", "deny", waiting)
    for _ in range(2):
        answer = cancel(ward, "denied")
        assert reason_of(answer) == "consent-missing"
        assert "the person declined" in text_of(answer)
    assert "cancelled denied" not in notes(ward)
    assert ward.cli("approve", "call", waiting, "--yes", check=False).returncode == 1


def test_the_person_sees_the_whole_call_and_the_list_what_waits(ward):
    waiting = approval_in(cancel(ward, "seen\u202e", why="because"))
    shown = ward.cli("approve", "show", waiting).stdout
    for said in (
        f"key {key_id(ward.key)} (agent)", "cancel_order", "pending",
        'Cancel order "seen\\u{202e}" of 12.5?', 'why: "because"', "total: 12.5",
    ):  # fmt: skip
        assert said in shown
    told = json.loads(ward.cli("approve", "show", waiting, "--json").stdout)
    assert told["arguments"] | {"order_id": ""} == {"order_id": "", "total": 12.5, "why": "because"}
    assert (told["state"], told["key"], told["tool"]) == ("pending", key_id(ward.key), "cancel_order")
    assert waiting in ward.cli("approve", "list").stdout
    assert waiting in [one["id"] for one in json.loads(ward.cli("approve", "list", "--json").stdout)]
    # A terminal is asked; without one nothing is approved.
    assert ward.cli("approve", "call", waiting, check=False).returncode == 1
    assert ward.cli("approve", "show", "Ab12Cd34Ef56", check=False).returncode == 1


def test_who_approved_what_and_which_run_used_it_is_on_record(ward):
    waiting = approved(ward, "record")
    cancel(ward, "record")
    said = [act["detail"] for act in acts(ward, "approve call") if waiting in act["detail"]]
    assert len(said) == 1
    assert f"approval {waiting} (cancel_order of orders): status: pending → approved" in said[0]
    wanted = ["done", "intent"]
    until(lambda: sorted(row["phase"] for row in rows(ward, "consent = ?", f"approval {waiting}")) == wanted)
    assert f"by approval {waiting}" in ward.cli("log", "--tool", "cancel_order").stdout
    assert ward.cli("log", "verify", check=False).returncode == 0


def test_what_waits_is_sealed_at_rest_and_no_writer_of_the_database_approves_it(ward):
    waiting = approval_in(cancel(ward, "sealed-canary-5f1c"))
    with closing(sqlite3.connect(ward.folder / ".mcpward" / "mcpward.db")) as db:
        row = db.execute("SELECT * FROM approvals WHERE id = ?", (waiting,)).fetchone()
    assert not any("canary" in str(value) for value in row)


def test_too_many_waiting_calls_of_one_caller_are_refused_and_hold_up_no_other(tmp_path):
    with shop(tmp_path, "[approvals]\nper_caller = 2\nin_all = 3\n") as ward:
        other = make_key(ward, "other")
        for order in ("1", "2"):
            approval_in(cancel(ward, order))
        assert "too many calls of this caller wait" in text_of(cancel(ward, "3"))
        until(lambda: "mcpward approve" in text_of(cancel(ward, "1", key=other)), 2.0, 0.3)
        assert "too many calls of the site wait" in text_of(cancel(ward, "2", key=other))


def test_an_approval_survives_a_kill_and_is_still_good_once(tmp_path):
    with shop(tmp_path) as ward:
        approved(ward, "killed")
        ward.kill()
        ward.start()
        assert text_of(cancel(ward, "killed")) == "cancelled killed"
        ward.kill()
        ward.start()
        assert reason_of(cancel(ward, "killed")) == "consent-missing"
        assert notes(ward) == ["cancelled killed"]


def test_attack_124_a_forged_yes_in_the_database_opens_nothing(tmp_path):
    with shop(tmp_path) as ward:
        waiting = approval_in(cancel(ward, "forged"))
        with closing(sqlite3.connect(tmp_path / ".mcpward" / "mcpward.db")) as db, db:
            db.execute("UPDATE approvals SET status = 'approved' WHERE id = ?", (waiting,))
        answer = cancel(ward, "forged")
        assert answer.get("isError") or "error" in answer
        assert notes(ward) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_attack_125_an_approval_that_was_used_does_not_come_back_with_an_older_copy_of_the_database(tmp_path, workers):
    with shop(tmp_path, site=f"workers = {workers}") as ward:
        approved(ward, "older")
        with closing(sqlite3.connect(tmp_path / ".mcpward" / "mcpward.db")) as db:
            row = db.execute("SELECT * FROM approvals").fetchone()
            counter = db.execute("SELECT value, floor, mac FROM revisions WHERE name = 'approvals'").fetchone()
            assert text_of(cancel(ward, "older")) == "cancelled older"
            with db:
                db.execute("DELETE FROM approvals")
                db.execute(f"INSERT INTO approvals VALUES ({', '.join('?' for _ in row)})", row)
                db.execute("UPDATE revisions SET value = ?, floor = ?, mac = ? WHERE name = 'approvals'", counter)
        for _ in range(4):
            answer = cancel(ward, "older")
            assert answer.get("isError") or "error" in answer
        assert notes(ward) == ["cancelled older"]


def test_an_approval_whose_time_is_over_opens_nothing(tmp_path):
    with shop(tmp_path, '[approvals]\nlifetime = "10s"\n') as ward:
        waiting = approval_in(cancel(ward, "late"))
        until(lambda: ward.cli("approve", "list", check=False).returncode == 1, 20.0, 1.0)
        assert ward.cli("approve", "call", waiting, "--yes", check=False).returncode == 1
        again = approved(ward, "late")
        assert again != waiting
        until(lambda: ward.cli("approve", "list", "--all", check=False).returncode == 1, 20.0, 1.0)
        assert approval_in(cancel(ward, "late")) not in {again, waiting}
        assert notes(ward) == []
