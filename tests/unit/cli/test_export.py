"""The record for other programs: whole, one row at a time, and safe for whatever reads it."""

import csv
import io
import json
import stat
import tracemalloc
from typing import Any

import pytest

from mcpward.cli.site import in_site, settings_of
from support.records import keep


def row(n, **more):
    return {
        "id": f"{n:016x}", "at": 1_800_000_000.0 + n, "server": "orders", "method": "tools/call", "tool": "find",
        "era": "modern", "version": "2026-07-28", "way": "api-key", "principal": "api-key:abc", "client": "laptop",
        "key_id": "abc", "peer": "192.0.2.7", "phase": "done", "outcome": "ok", "status": 200, "duration_us": 1500,
        "bytes_in": 10, "bytes_out": 20, "arguments": '{"a":1}',
    } | more  # fmt: skip


@pytest.fixture
def records(site):
    def add(*rows):
        in_site(settings_of(None), lambda opened: keep(opened.store.traffic, *rows))

    return add


def test_every_record_is_exported_once_and_in_order_in_every_format(cli, records):
    records(*(row(n) for n in range(1, 601)))
    lines = {form: cli("log", "export", "--format", form).out.splitlines() for form in ("jsonl", "csv", "ocsf")}
    ids = [f"{n:016x}" for n in range(1, 601)]
    # Each export is an act, which the next one finds at the end.
    assert [json.loads(line)["id"] for line in lines["jsonl"]] == ids
    assert [cells["id"] for cells in csv.DictReader(lines["csv"])][:-1] == ids
    assert [json.loads(line)["metadata"]["correlation_uid"] for line in lines["ocsf"]][:-2] == ids
    assert (
        cli("log", "export", "--json", "--tool", "find", "--until", "2027-01-15T08:00:02Z").out.splitlines()
        == lines["jsonl"][:1]
    )


def test_an_export_has_what_the_log_has(cli, records):
    records(row(1), row(2, reason="busy", outcome="refused"))
    assert cli("log", "export", "--reason", "busy").out == cli("log", "--json", "--reason", "busy").out


def test_an_export_of_any_size_takes_the_same_memory(cli, records, tmp_path):
    text = json.dumps({"text": "x" * 4000})
    peaks: list[Any] = []
    for _ in range(2):
        records(*(row(n, arguments=text) for n in range(1500)))
        tracemalloc.start()
        assert (
            cli("log", "export", "--until", "2027-02-01", "--output", str(tmp_path / f"{len(peaks)}.jsonl")).code == 0
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "1.jsonl").stat().st_size > 12_000_000
    assert peaks[1] < peaks[0] + 2_000_000 < 9_000_000


def test_a_file_is_private_whole_or_not_there(cli, records, tmp_path, monkeypatch):
    records(row(1))
    file = tmp_path / "out.jsonl"
    said = cli("log", "export", "--output", str(file))
    assert (said.code, said.out, said.err) == (0, "", "1 records\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert cli("log", "export", "--output", str(file)).code == 2  # what is there is not written over
    assert len(file.read_text().splitlines()) == 1
    assert cli("log", "export", "--reason", "busy", "--output", str(tmp_path / "none.jsonl")).code == 1
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["out.jsonl"]


def test_an_unknown_format_is_an_error_with_the_nearest_one(cli, records):
    records(row(1))
    said = cli("log", "export", "--format", "oscf")
    assert (said.code, said.err) == (2, "error: there is no format 'oscf'\nhint: did you mean ocsf?\n")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_of_a_table_is_a_formula(cli, records, text):
    """CWE-1236: a caller names a tool so that a spreadsheet runs it."""
    records(row(1, tool=text), row(2, tool='a "b", c\nd'))
    said = cli("log", "export", "--format", "csv").out
    first, second = csv.DictReader(io.StringIO(said))
    assert first["tool"].startswith("'")
    assert second["tool"] == 'a "b", c\\nd'
    assert len(said.splitlines()) == 3


# ---- OCSF 1.3.0, class API Activity: what schema.ocsf.io requires, and of which type it is

REQUIRED = {
    "activity_id": int, "actor": dict, "api": dict, "category_uid": int, "class_uid": int, "metadata": dict,
    "severity_id": int, "src_endpoint": dict, "time": int, "type_uid": int,
}  # fmt: skip
OPTIONAL = {
    "activity_name": str, "category_name": str, "class_name": str, "type_name": str, "severity": str, "status": str,
    "status_id": int, "status_code": str, "status_detail": str, "message": str, "duration": int, "count": int,
    "start_time": int, "end_time": int, "resources": list, "unmapped": dict,
}  # fmt: skip
ENUMS = {
    "activity_id": {0, 1, 2, 3, 4, 99},
    "category_uid": {6},
    "class_uid": {6003},
    "severity_id": {0, 1, 2, 3, 4, 5, 6, 99},
    "status_id": {0, 1, 2, 99},
    "type_uid": {600300, 600301, 600302, 600303, 600304, 600399},
}
OBJECTS: dict[str, dict[str, type]] = {
    "metadata": {
        "version": str, "product": dict, "uid": str, "correlation_uid": str, "log_name": str, "original_time": str,
    },
    "actor": {"user": dict, "session": dict},
    "api": {"operation": str, "version": str, "service": dict, "request": dict, "response": dict},
    "src_endpoint": {"ip": str, "name": str, "hostname": str},
}  # fmt: skip
USER = {"uid": str, "name": str, "type_id": int, "type": str, "credential_uid": str}

KINDS = {
    "call": row(1),
    "no tool": row(1, tool=None, method="tools/list"),
    "intent": row(1, phase="intent", outcome="pending", status=0),
    "refused": row(1, outcome="refused", reason="rate-exceeded", limit_name="read", status=429, chain="refusals"),
    "stranger": row(1, principal=None, way=None, client=None, key_id=None, tool=None, method="", arguments=None,
                    outcome="refused", reason="credential-invalid", detail="the key was revoked", status=401),
    "anonymous": row(1, way="anonymous", principal="anonymous:192.0.2.7", client=None, key_id=None),
    "count": row(1, count=12, last_at=1_800_000_060.0, peer=None),
    "network": row(1, peer="2001:db8::/64"),
    "cut": row(1, arguments='{"a":"'),
    "fault": row(1, outcome="fault", reason="fault", error_id="abc", status=500),
    "gap": {"id": "a", "at": 1_800_000_000.0, "phase": "gap", "detail": "records are missing"},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_has_what_its_class_requires_and_nothing_of_a_wrong_type(cli, records, kind):
    records(KINDS[kind])
    event = json.loads(cli("log", "export", "--format", "ocsf").out)
    assert REQUIRED.keys() <= event.keys() <= REQUIRED.keys() | OPTIONAL.keys()
    for name, value in event.items():
        assert type(value) is (REQUIRED | OPTIONAL)[name], name
        assert value in ENUMS.get(name, [value]), name
    for name, members in OBJECTS.items():
        assert event[name].keys() <= members.keys(), name
        assert all(type(value) is members[member] for member, value in event[name].items()), name
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["api"]["operation"]
    assert event["metadata"]["version"] == "1.3.0"
    assert event["metadata"]["product"]["vendor_name"]
    assert set(event["src_endpoint"]) & {"ip", "name", "hostname"}
    user = event["actor"]["user"]
    assert user.keys() <= USER.keys()
    assert set(user) & {"name", "uid"}
    assert event["api"].get("request", {"uid": "1"})["uid"]
    assert (event["time"], event["metadata"]["original_time"][:10]) == (int(KINDS[kind]["at"] * 1000), "2027-01-15")


def test_an_event_says_who_did_what_from_where_and_how_it_ended(cli, records):
    records(KINDS["call"], KINDS["refused"] | {"id": "2"})
    call, refused = map(json.loads, cli("log", "export", "--format", "ocsf").out.splitlines())
    assert call["actor"]["user"] == {
        "uid": "api-key:abc", "name": "laptop", "type_id": 1, "type": "User", "credential_uid": "abc"
    }  # fmt: skip
    assert (call["api"]["operation"], call["api"]["service"]) == ("tools/call find", {"name": "orders"})
    assert (call["api"]["request"]["data"], call["api"]["response"]) == ({"a": 1}, {"code": 200})
    assert (call["src_endpoint"], call["status"], call["severity"]) == ({"ip": "192.0.2.7"}, "Success", "Informational")
    assert (refused["status"], refused["status_code"]) == ("Failure", "rate-exceeded")
    assert refused["unmapped"]["limit_name"] == "read"


def test_an_act_is_an_event_of_an_administrator(cli, site):
    key_id = cli("key", "create", "--server", "orders", "--name", "a").out[11:23]
    cli("key", "revoke", key_id)
    made, revoked = map(json.loads, cli("log", "export", "--acts", "--format", "ocsf").out.splitlines())
    assert [event["activity_name"] for event in (made, revoked)] == ["Create", "Update"]
    assert revoked["actor"]["user"]["type"] == "Admin"
    assert revoked["api"]["operation"] == "key revoke"
    assert revoked["resources"][0]["name"] == f"key {key_id} (a)"
    assert set(revoked["resources"][0]["data"]["after"]) == {"revoked_at"}
