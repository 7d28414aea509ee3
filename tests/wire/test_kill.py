"""The machine dies at any moment: what was acknowledged is there, nothing was destroyed unrecorded (attack 109)."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from support.ward import Ward, environment, serving

KILLS = int(os.environ.get("MCPWARD_TEST_KILLS", "8"))
#: Makes keys one after the other, and says of each one that it is there once the store has said so.
KEY_MAKER = """
import asyncio, sys
from pathlib import Path
from mcpward.operations.site import open_site
from mcpward.config.load import load
from mcpward.core.clock import SystemClock
from mcpward.identity.keys.api_key import issue

async def main():
    async with open_site(load(Path("mcpward.toml"), {}, {})) as site:
        while True:
            _, record = issue(site.pepper_keys, SystemClock(), name="made", servers=["demo"])
            await site.store.keys.add(record)
            print(record.id, flush=True)

asyncio.run(main())
"""


class Destroyer(threading.Thread):
    """Calls the destructive tool without a pause until the connection breaks."""

    def __init__(self, ward: Ward, first: int) -> None:
        super().__init__(daemon=True)
        self.ward = ward
        self.number = first
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.ward.call("wipe", {"what": f"item-{self.number}"})
            except httpx2.HTTPError:
                return
            self.number += 1


def rows(ward: Ward, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(ward.folder / ".mcpward" / "mcpward.db")) as database:
        return database.execute(statement).fetchall()


@pytest.mark.slow
@pytest.mark.timeout(60 + 6 * KILLS)
def test_kill_9_under_load_loses_no_acknowledged_key_and_no_record_of_a_destructive_call(tmp_path: Path) -> None:
    moments = random.Random(8)
    acknowledged: set[str] = set()
    with serving(tmp_path) as ward:
        ward.stop()
        ward.key = ward.create_key(name="destroyer", **{"class": "destructive"})
        number = 0
        for _ in range(KILLS):
            ward.start()
            destroyers = [Destroyer(ward, number + 100_000 * worker) for worker in range(2)]
            maker = subprocess.Popen(
                [sys.executable, "-c", KEY_MAKER],
                cwd=ward.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            for destroyer in destroyers:
                destroyer.start()
            assert maker.stdout is not None
            acknowledged.add(maker.stdout.readline().strip())  # it has begun
            time.sleep(moments.uniform(0.0, 0.4))  # the random moment itself, not a wait for something
            ward.kill()
            maker.kill()
            acknowledged.update(line.strip() for line in maker.stdout if len(line.strip()) == 12)
            maker.wait(10)
            maker.stdout.close()
            for destroyer in destroyers:
                destroyer.join(10)
            number = max(destroyer.number % 100_000 for destroyer in destroyers) + 1
        ward.start()  # and the next start is clean
        assert ward.call("echo", {"text": "back"}).status_code == 200
        ward.stop()
        kept = {key_id for (key_id,) in rows(ward, "SELECT id FROM api_keys")}
        assert acknowledged - {""} <= kept
        wiped = (ward.folder / "wiped.txt").read_text().split()
        recorded = {
            json.loads(arguments)["what"]
            for (arguments,) in rows(ward, "SELECT arguments FROM traffic WHERE tool = 'wipe' AND phase = 'intent'")
        }
        assert wiped
        assert set(wiped) <= recorded
        assert rows(ward, "PRAGMA integrity_check") == [("ok",)]
