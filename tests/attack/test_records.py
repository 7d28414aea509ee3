"""Text of callers must not become lines, colours or fields of a log; all promised rows are on record after a stop.

Sources: CWE-117, CWE-150 (terminal escapes), OWASP ASVS 5.0 §16; RFC 8259 §7.
"""

import json
import re
import signal
import threading
import time

import httpx2

from support.raw import request, talk
from support.ward import ACCEPT, Ward, modern_request, serving, text_of

HOSTILE = [
    '\n{"reason":"forged"}',
    "\r\nforged line",
    "\x1b[2J\x1b[1;31mforged",
    "\x1b]0;forged\x07",
    "\x9b31mforged",
    "\0forged",
    '","outcome":"forged',
    '\\","forged":"',
    "\u2028forged\u2029",
    "\u202eforged",
    "\x85forged",
    "\x08\x08forged",
    "%0aforged",
    "\U000e0041forged",
    "forged\ud7ff",
    "{forged}",
    "'; DROP TABLE traffic; --",
]
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def provoke(ward: Ward) -> int:
    """Put every hostile text wherever a record takes one from. Returns the number of requests."""
    sent = 0
    meta = modern_request("tools/list")[0]["params"]["_meta"]
    for text in HOSTILE:
        bodies = [
            modern_request("tools/call", {"name": "echo", "arguments": {"text": text}}, name="echo")[0],
            modern_request("tools/call", {"name": text, "arguments": {text: text}}, name="echo")[0],
            modern_request("tools/call", {"name": "crash", "arguments": {"text": text}}, name="crash")[0],
            {"jsonrpc": "2.0", "id": text, "method": f"tools/{text}"},
            {"jsonrpc": "2.0", "method": f"notifications/{text}", "params": {"_meta": meta}},
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "initialize",
                "params": {"protocolVersion": text, "capabilities": {}, "clientInfo": {"name": text, "version": text}},
            },
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/list",
                "params": {
                    "_meta": meta
                    | {"io.modelcontextprotocol/clientInfo": {"name": text, "version": text}, "traceparent": text}
                },
            },
        ]
        for body in bodies:
            name = str(body.get("params", {}).get("name", ""))
            headers = {
                "authorization": f"Bearer {ward.key}",
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": body["method"],
            }
            if name in ("echo", "crash"):
                headers["mcp-name"] = name
            headers = {key: value for key, value in headers.items() if value.isascii() and value.isprintable()}
            assert ward.post(body, headers=headers).status_code < 500
            sent += 1
        raw = "".join(char for char in text if char not in "\r\n\0").encode().decode("latin-1")
        for fields in (
            [("User-Agent", raw)],
            [("Authorization", f"Bearer {raw}")],
            [("Host", raw)],
            [("traceparent", raw)],
        ):
            talk(ward.port, request(ward.port, "POST", f"/{raw}".replace(" ", "+"), fields, b"{}"), quiet_s=0.005)
            sent += 1
    return sent


def test_attack_110_hostile_texts_stay_within_their_line_and_their_field(tmp_path):
    with serving(tmp_path / "site") as ward:
        sent = provoke(ward)
        ward.stop()
        output = ward.cli("log", "--json", "--lines", "10000").stdout
        lines = output.split("\n")
        assert lines.pop() == ""
        records = [json.loads(line) for line in lines]
        assert sum(record["count"] or 1 for record in records) >= sent - 2 * len(HOSTILE)
        assert {record["outcome"] for record in records} <= {"ok", "error", "refused", "fault", "pending", "cancelled"}
        assert not [record for record in records if "forged" in record]
        assert "forged" not in {record["reason"] for record in records}
        assert not UNSAFE.search(output.replace("\n", ""))
        people = ward.cli("log", "--lines", "10000").stdout
        assert not UNSAFE.search(people.replace("\n", ""))
        assert not [line for line in people.splitlines() if line.startswith(("forged", '{"reason":"forged'))]


def test_attack_110_every_line_of_the_process_s_log_is_one_event(tmp_path):
    with serving(tmp_path / "site", '[log]\nformat = "json"\nlevel = "debug"\n') as ward:
        provoke(ward)
        ward.stop()
        lines = [line for line in ward.log().split("\n") if line]
        events = [json.loads(line) for line in lines if line.startswith("{")]
        assert len([event for event in events if event.get("error_id")]) >= len(HOSTILE)
        assert not [line for line in lines if "forged" in line and not line.startswith("{")]
        assert not [line for line in lines if UNSAFE.search(line)]
        assert not [event for event in events if "forged" in event or event.get("reason") == "forged"]


def test_attack_113_a_stop_finishes_calls_in_flight_and_every_answer_is_on_record(tmp_path):
    with serving(tmp_path / "site", "", None) as ward:
        answers: list[httpx2.Response] = []

        def ask(at: int) -> None:
            answers.append(ward.call("wait", {"seconds": 1.0 + at / 50}, id=at))

        threads = [threading.Thread(target=ask, args=(at,)) for at in range(20)]
        for thread in threads:
            thread.start()
        time.sleep(0.6)
        assert ward.process is not None
        ward.process.send_signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        for thread in threads:
            thread.join(20)
        assert ward.process.wait(30) == 0
        assert time.monotonic() - stopped_at < 15
        ward.process = None
        assert sorted(answer.json()["id"] for answer in answers) == list(range(20))
        assert {text_of(answer) for answer in answers} == {"waited"}
        records = [record for record in ward.records() if record["tool"] == "wait"]
        assert [record["outcome"] for record in records] == ["ok"] * 20


def test_attack_113_no_acknowledged_call_is_without_its_record_when_stopped_under_load(tmp_path):
    with serving(tmp_path / "site", start=False) as ward:
        ward.key = ward.create_key(name="all", **{"class": "destructive"})
        ward.start()
        acknowledged: list[str] = []

        def hammer(number: int) -> None:
            with ward.client() as client:
                for at in range(2000):
                    what = f"{number}-{at}"
                    body, headers = modern_request(
                        "tools/call", {"name": "wipe", "arguments": {"what": what}}, name="wipe"
                    )
                    headers |= {
                        "content-type": "application/json",
                        "accept": ACCEPT,
                        "authorization": f"Bearer {ward.key}",
                    }
                    try:
                        if client.post("/mcp", content=json.dumps(body).encode(), headers=headers).status_code == 200:
                            acknowledged.append(what)
                    except httpx2.HTTPError:
                        return

        threads = [threading.Thread(target=hammer, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        assert ward.stop() == 0
        for thread in threads:
            thread.join(20)
        assert len(acknowledged) > 10
        ran = (tmp_path / "site" / "wiped.txt").read_text().split()
        assert set(acknowledged) <= set(ran)
        recorded = {json.loads(record["arguments"])["what"] for record in ward.records() if record["phase"] == "intent"}
        assert set(ran) <= recorded


def test_attack_113_a_call_that_outlives_the_drain_is_cut_and_told_so(tmp_path):
    with serving(tmp_path / "site", start=False) as ward:
        config = tmp_path / "site" / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]", "[site]\ndrain_s = 1.0"))
        ward.start()
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(ward.call("wait", {"seconds": 25}).status_code))
        thread.start()
        time.sleep(0.5)
        started = time.monotonic()
        assert ward.stop() == 0
        thread.join(10)
        assert time.monotonic() - started < 8
        assert answers == [503]
        assert [record["outcome"] for record in ward.records() if record["tool"] == "wait"] == ["cancelled"]
