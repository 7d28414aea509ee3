"""Attack 127: on a full disk a stolen key lives on, readiness knows of nothing, or acknowledged calls are lost.

Sources: CWE-400, CWE-636 (not failing securely), OWASP ASVS 5.0 §16.5 (fail securely).
"""

import json
import threading
import time
from pathlib import Path

import httpx2

from support.raw import connect, request
from support.small_disk import SmallDisk, small_disk
from support.ward import LAVISH
from support.wire import until

SERVERS = "".join(
    f'[servers.{name}]\nsource = "tools.py"\n{mode}[servers.{name}.limits]\n{LAVISH}'
    for name, mode in (("demo", ""), ("open", 'mode = "public"\n'))
)
_ATTACK_S = 6.0


def ready(ward: SmallDisk) -> tuple[int, str]:
    answer = httpx2.get(f"{ward.base}/readyz", timeout=5, verify=False)
    return answer.status_code, answer.text


def strangers(ward: SmallDisk, number: int, over: threading.Event) -> None:
    """Ask for what is not there, and call what is public, from a new address each time."""
    wanted = request(ward.port, "POST", "/nowhere", (), b"{}")
    at = 0
    while not over.wait(0.01):  # the machine is needed for the command line, too
        at += 1
        with connect(ward.port, source=f"127.{number}.{at // 250 % 250}.{at % 250 + 1}") as line:
            line.sendall(wanted)
            line.recv(1 << 16)


class Destroyer(threading.Thread):
    """Calls the destructive tool without a pause, and keeps what was acknowledged."""

    def __init__(self, ward: SmallDisk, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.ward, self.over = ward, over
        self.acknowledged: list[str] = []
        self.refused = 0

    def run(self) -> None:
        at = 0
        while not self.over.wait(0.02):
            at += 1
            answer = self.ward.call("wipe", {"what": f"item-{at}"}, path="/demo/mcp")
            if answer.status_code == 200:
                self.acknowledged.append(f"item-{at}")
            else:
                self.refused += 1


def test_attack_127_a_disk_of_20_mb_takes_strangers_and_a_revocation_and_loses_nothing(tmp_path: Path):
    with small_disk(tmp_path / "site", "20m", servers=SERVERS) as ward:
        ward.key = ward.create_key(name="cleaner", **{"class": "destructive"})
        stolen = ward.create_key(name="stolen")
        ward.start()
        over = threading.Event()
        attacks = [threading.Thread(target=strangers, args=(ward, 2 + at, over), daemon=True) for at in range(3)]
        destroyer = Destroyer(ward, over)
        for thread in (*attacks, destroyer):
            thread.start()
        time.sleep(_ATTACK_S / 2)
        assert ready(ward)[0] == 200  # what they write does not fill the disk
        assert destroyer.refused == 0
        ward.fill()  # so another process does
        until(lambda: ready(ward) == (503, '{"status":"unready","waiting_for":"record"}'))
        until(lambda: destroyer.refused)
        assert ward.call("echo", {"text": "a"}, path="/demo/mcp", key=stolen).status_code == 503
        time.sleep(_ATTACK_S / 2)
        ward.cli("key", "revoke", stolen[11:23])
        until(lambda: ward.call("echo", {"text": "a"}, path="/demo/mcp", key=stolen).status_code == 401, 1.0)
        assert ready(ward)[0] == 503  # the record takes nothing of what was given up for the revocation
        over.set()
        for thread in (*attacks, destroyer):
            thread.join(20)
        ward.kill()
        ward.make_room()
        ward.start()
        assert ward.call("echo", {"text": "a"}, path="/demo/mcp", key=stolen).status_code == 401
        assert ward.call("echo", {"text": "a"}, path="/demo/mcp").status_code == 200
        until(lambda: ward.sh("ls").count("-reserve") == 1, 10)
        records = ward.records("--tool", "wipe")
        on_record = {json.loads(record["arguments"])["what"] for record in records if record["phase"] == "intent"}
        assert len(destroyer.acknowledged) > 5
        assert set(destroyer.acknowledged) <= on_record


def test_attack_127_a_key_is_revoked_on_a_full_disk_that_nobody_serves(tmp_path: Path):
    """Without a server there is no log to write to and no memory file: SQLite has to make both."""
    with small_disk(tmp_path / "site", "20m") as ward:
        key = ward.create_key()
        ward.start()  # it sets the reserve aside
        assert ward.stop() == 0
        ward.fill()
        assert ward.free() == 0
        refused = ward.cli("key", "create", "--name", "other", check=False)
        assert (refused.returncode, refused.stdout) != (0, "")
        revoked = ward.cli("key", "revoke", key[11:23])
        assert "this used the reserve" in revoked.stderr
        assert ward.sh("ls").count("-reserve") == 0
        ward.make_room()
        ward.start()
        assert ward.call("echo", {"text": "a"}, key=key).status_code == 401


def test_attack_127_continue_lets_calls_run_unrecorded_and_destructive_ones_never(tmp_path: Path):
    toml = '[traffic]\nwhen_full = "continue"\nqueue = 20\n'
    with small_disk(tmp_path / "site", "20m", toml) as ward:
        ward.key = ward.create_key(name="cleaner", **{"class": "destructive"})
        ward.start()
        ward.fill()
        degraded = (200, '{"status":"ok","degraded":["record"]}')
        until(lambda: ready(ward) == degraded)
        assert ward.call("wipe", {"what": "the disk"}).status_code == 503
        for at in range(40):
            assert ward.call("echo", {"text": f"call {at}"}).status_code == 200
            assert ward.call("store", {"value": "a"}).status_code == 200
        page = httpx2.get(f"http://127.0.0.1:{ward.metrics_port}/metrics", verify=False).text
        numbers = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        assert float(numbers["mcpward_traffic_calls_unrecorded_total"]) >= 40
        assert float(numbers["mcpward_traffic_writable"]) == 0
        assert ward.log().count("calls run unrecorded") == 1
        ward.make_room()
        until(lambda: ready(ward) == (200, '{"status":"ok"}'))
        until(lambda: ward.call("wipe", {"what": "the disk"}).status_code == 200)
        assert not (ward.folder / "wiped.txt").read_text().count("\n") > 1
