"""Attack 126: strangers, or a caller with a key, fill the disk with their record, or push that of the others out.

Sources: CWE-400 (resource exhaustion), CWE-779 (logging of excessive data), OWASP ASVS 5.0 §16.
"""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from support.hostile import CROWD, SERVERS, STRANGER, Attack, Siege, assert_unharmed, besieged
from support.raw import connect, request
from support.ward import ACCEPT, LAVISH, Ward, modern_request

_TOGETHER = 40
#: The most that an attack of a few seconds may add to the database, honest calls included; a row of each request is
#: twice that.
_MOST_BYTES = 900_000
SITE = f'{SERVERS}[servers.open]\nsource = "tools.py"\nmode = "public"\n[servers.open.limits]\n{LAVISH}'


def send(port: int, wanted: bytes, source: str, over: threading.Event, count: list[int], together: int) -> None:
    """Send requests, so many at once on one connection, as fast as they are answered; some answers end it."""
    while not over.is_set():
        with connect(port, source=source) as line:
            while not over.is_set():
                line.sendall(wanted * together)
                seen = 0
                while seen < together and (data := line.recv(1 << 16)):
                    seen += data.count(b"HTTP/1.1 ")
                count[0] += seen
                if seen < together or together == 1:
                    break


def asked(ward: Ward, path: str, tool: str = "echo", key: str = "", text: str = "a") -> bytes:
    """Return a call as bytes."""
    body, own = modern_request("tools/call", {"name": tool, "arguments": {"text": text}}, name=tool)
    headers = [*own.items(), ("content-type", "application/json"), ("accept", ACCEPT)]
    if key:
        headers.append(("authorization", f"Bearer {key}"))
    return request(ward.port, "POST", path, headers, json.dumps(body).encode())


def flood(siege: Siege, wanted: bytes, sources: Sequence[str], count: list[int], together: int = _TOGETHER) -> Attack:
    """Attack from these addresses in turn."""

    def attack(over: threading.Event) -> None:
        at = 0
        while not over.is_set():
            send(siege.ward.port, wanted, sources[at % len(sources)], _Turn(over), count, together)
            at += 1

    return attack


class _Turn(threading.Event):
    """Over when the attack is, or after its share of looks."""

    def __init__(self, over: threading.Event, looks: int = 8) -> None:
        super().__init__()
        self._over = over
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0 or self._over.is_set()


def size_of(ward: Ward) -> int:
    """Return the size of the database, which is not served."""
    return (ward.folder / ".mcpward" / "mcpward.db").stat().st_size


def test_attack_126_floods_take_next_to_nothing_of_the_disk_and_of_the_others_time(tmp_path: Path):
    with besieged(tmp_path / "site", servers=SITE) as siege:
        ward, before = siege.ward, size_of(siege.ward)
        counts = [[0], [0], [0], [0]]
        assert_unharmed(
            siege,
            "the record is flooded",
            flood(siege, asked(ward, "/demo/mcp"), [STRANGER], counts[0]),
            flood(siege, asked(ward, "/demo/mcp", "wipe", siege.attacker_key), [STRANGER], counts[1]),
            flood(siege, request(ward.port, "POST", "/nowhere", (), b"{}"), CROWD, counts[2], together=1),
            flood(siege, asked(ward, "/open/mcp", text="x" * 2000), [STRANGER], counts[3]),
        )
        sent = [count[0] for count in counts]
        assert all(count > 100 for count in sent), sent
        ward.stop()
        assert size_of(ward) - before < _MOST_BYTES, (size_of(ward) - before, sent)
        records = ward.records()
        told: dict[tuple[str, str], int] = {}
        for record in records:
            of = (record["server"], record["reason"] or record["outcome"])
            told[of] = told.get(of, 0) + (record["count"] or 1)
        # Every one of them is on record: whole, or in a number.
        assert told["demo", "credential-missing"] >= counts[0][0]
        assert told["demo", "tool-unknown"] >= counts[1][0]
        assert told["", "route-unknown"] >= counts[2][0]
        assert told["open", "ok"] >= counts[3][0]
        assert {record["peer"] for record in records if record["reason"] == "route-unknown"} >= set(CROWD[:5])
        assert not [record for record in records if record["outcome"] == "refused" and record["arguments"]]


def test_attack_126_whoever_reads_the_record_sees_how_often(tmp_path: Path):
    with besieged(tmp_path / "site") as siege:
        ward = siege.ward
        count = [0]
        over = threading.Event()
        wanted = asked(ward, "/demo/mcp", key="sk-mcpward-wrong")
        thread = threading.Thread(target=send, args=(ward.port, wanted, STRANGER, _Turn(over, 60), count, _TOGETHER))
        thread.start()
        thread.join(30)
        ward.stop()
        rows = ward.records("--reason", "credential-invalid")
        assert len(rows) == 6
        assert [row["count"] for row in rows] == [None] * 5 + [count[0] - 5]
        assert rows[-1]["at"] <= rows[-1]["last_at"]
        assert f"credential-invalid × {count[0] - 5:,} until " in ward.cli("log").stdout
