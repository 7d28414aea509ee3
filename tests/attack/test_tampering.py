"""An attacker who can write the files of a site, but has no master key, cannot change the record unnoticed (attack
128).

Sources: Schneier & Kelsey, "Secure Audit Logs to Support Computer Forensics" (1999); RFC 5848 (signed syslog messages);
CWE-354, OWASP ASVS 5.0 §16.4.
"""

import asyncio
import base64
import io
import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mcpward.cli.main import run as command
from mcpward.config.load import load
from mcpward.operations.site import Site, open_site
from mcpward.storage import migrations
from mcpward.traffic.record import Result
from mcpward.traffic.row import COLUMNS, RowMaker
from support import tampering
from support.records import a_record
from support.tampering import DATA, EARLIER, TAMPERS
from support.ward import environment, serving

HERE = Path(__file__)
DAY_S = 86_400.0
NOW = 1_800_000_000.0
RECORDS = 60


def rows(luck: random.Random, count: int, at: float = NOW) -> list[Any]:
    made = RowMaker(bytes)
    return [
        made.of(
            a_record(
                Result.REFUSED if luck.random() < 0.4 else luck.choice([Result.OK, Result.ERROR]),
                reason=luck.choice([None, "rate-exceeded"]),
                id=f"{luck.getrandbits(64):016x}",
                at=at + n,
                arguments=luck.choice([None, b'{"text":"hello"}']),
                detail=luck.choice([None, "why"]),
            )
        )
        for n in range(count)
    ]


async def write(site: Site, luck: random.Random, count: int = RECORDS, at: float = NOW) -> None:
    """Batches of several sizes, and an intent now and then."""
    left = rows(luck, count, at)
    while left:
        size = luck.randint(1, 9)
        await site.store.traffic.append(COLUMNS, left[:size])
        del left[:size]
        if left and luck.random() < 0.3:
            await site.store.traffic.append_intent(COLUMNS, left.pop(0))


def in_folder(folder: Path, work: Callable[[Site], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with open_site(load(folder / "mcpward.toml", {}, {})) as site:
            await work(site)

    asyncio.run(opened())


def copy_aside(folder: Path) -> None:
    (folder / EARLIER).mkdir(exist_ok=True)
    shutil.copy(tampering.database(folder), folder / EARLIER)


def plain(folder: Path) -> None:
    in_folder(folder, lambda site: write(site, random.Random(1)))


def restarted(folder: Path) -> None:
    for seed in (2, 3):
        in_folder(folder, partial(write, luck=random.Random(seed)))


def rotated(folder: Path) -> None:
    """Half of it under a master key, half under the next one; both are in the ring."""
    in_folder(folder, lambda site: write(site, random.Random(4)))
    key = folder / DATA / "master.key"
    newer = base64.urlsafe_b64encode(random.Random(5).randbytes(32)).decode().rstrip("=")
    key.write_text(f"{newer},{key.read_text().strip()}")
    in_folder(folder, lambda site: write(site, random.Random(6)))


def pruned(folder: Path) -> None:
    async def work(site: Site) -> None:
        await write(site, random.Random(7), at=NOW - 40 * DAY_S)
        await write(site, random.Random(8))
        assert await site.store.traffic.prune(NOW - 30 * DAY_S) == RECORDS

    in_folder(folder, work)


def shared(folder: Path) -> None:
    async def both() -> None:
        settings = load(folder / "mcpward.toml", {}, {})
        async with open_site(settings) as one, open_site(settings) as two:
            await asyncio.gather(*(write(site, random.Random(n)) for n, site in enumerate((one, two))))

    asyncio.run(both())


KILLED = """
import asyncio, random, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from mcpward.operations.site import open_site
from mcpward.config.load import load
from mcpward.storage import migrations
from attack.test_tampering import write

async def main():
    async with open_site(load(Path(sys.argv[1]), {}, {})) as site:
        for n in range(100_000):
            await write(site, random.Random(n), 20)
            print(n, flush=True)

asyncio.run(main())
"""


def killed(folder: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(folder / "mcpward.toml"), str(HERE.parents[1])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    in_folder(folder, lambda site: write(site, random.Random(9), 10))


STATES = (plain, restarted, rotated, pruned, shared, killed)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A site in each state, and beside each the database as it was before its newest records."""
    made = {}
    for state in STATES:
        folder = made[state.__name__] = tmp_path_factory.mktemp(state.__name__)
        (folder / "mcpward.toml").write_text(f'[site]\ndata = "{folder / DATA}"\n')
        state(folder)
        copy_aside(folder)
        in_folder(folder, lambda site: write(site, random.Random(10), 15))
    return made


def a_copy(site: Path, folder: Path) -> Path:
    shutil.copytree(site, folder)
    (folder / "mcpward.toml").write_text(f'[site]\ndata = "{folder / DATA}"\n')
    return folder


def verified(folder: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """What ``mcpward log verify --json`` says: its exit code, its answer, and what stands on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = command(["log", "verify", "--json", "--config", str(folder / "mcpward.toml"), *options])
    return int(code), json.loads(out.getvalue() or "{}"), err.getvalue()


@pytest.mark.parametrize("state", [state.__name__ for state in STATES])
def test_a_record_that_nobody_touched_is_intact(sites: dict[str, Path], tmp_path: Path, state: str) -> None:
    folder = a_copy(sites[state], tmp_path / "site")
    code, said, err = verified(folder)
    assert (code, said["findings"], said["gaps"], said["missing"], err) == (0, [], [], 0, "")
    assert said["records"] == len(tampering.kept(folder)) >= RECORDS
    assert [chain["chain"] for chain in said["chains"]] == ["calls", "refusals"]


@pytest.mark.parametrize("number", range(100))
def test_attack_128_a_change_behind_mcpward_s_back_is_found_and_named(
    sites: dict[str, Path], tmp_path: Path, number: int
) -> None:
    luck = random.Random(number)
    state = STATES[number % len(STATES)].__name__
    tamper = TAMPERS[number % len(TAMPERS)]
    folder = a_copy(sites[state], tmp_path / "site")
    kind, seq = tamper(folder, luck)
    code, said, err = verified(folder)
    assert code == 1, (tamper.__name__, state)
    found = [(finding["kind"], finding["seq"]) for finding in said["findings"]]
    assert not said["intact"]
    if kind is not None:
        assert kind in [one for one, _ in found], (tamper.__name__, found)
    if seq is not None:
        assert found[0] == (kind, seq), (tamper.__name__, found)
        assert f"record {seq}" in err


@pytest.mark.parametrize(
    "tamper", [one for one in TAMPERS if one is not tampering.drop_a_table], ids=lambda tamper: tamper.__name__
)
def test_attack_128_a_server_that_goes_on_writing_does_not_cover_it_up(
    sites: dict[str, Path], tmp_path: Path, tamper: tampering.Tamper
) -> None:
    folder = a_copy(sites["restarted"], tmp_path / "site")
    tamper(folder, random.Random(1))
    in_folder(folder, lambda site: write(site, random.Random(11), 20))
    code, said, _ = verified(folder)
    assert code == 1
    assert said["findings"] or said["gaps"]


def test_attack_128_the_oldest_records_cannot_be_made_to_look_past_their_time(
    sites: dict[str, Path], tmp_path: Path
) -> None:
    """An attacker who dates records back has mcpward itself remove them; the change of the rows is on record."""
    folder = a_copy(sites["plain"], tmp_path / "site")
    tampering.run(folder, ("UPDATE traffic SET at = 1.0 WHERE seq <= 20",))

    async def prune(site: Site) -> None:
        assert await site.store.traffic.prune(NOW - 30 * DAY_S) == 20

    in_folder(folder, prune)
    code, said, err = verified(folder)
    assert (code, said["findings"]) == (1, [])
    assert {gap["detail"].partition(": ")[0] for gap in said["gaps"]} == {
        "expired records differed from what was written"
    }
    assert "record" in err


def test_a_database_that_lost_its_newest_records_tells_so_and_goes_on(sites: dict[str, Path], tmp_path: Path) -> None:
    """A power cut may take the newest records: that does not count as an attack indefinitely, and is not hidden
    either.
    """
    folder = a_copy(sites["plain"], tmp_path / "site")
    tampering.bring_back_an_earlier_database(folder, random.Random(0))
    code, said, err = verified(folder)
    (finding,) = said["findings"]
    assert (code, finding["kind"], finding["count"]) == (1, "removed", 15)
    assert "the newest 15 are gone" in err

    in_folder(folder, lambda site: write(site, random.Random(12), 30))
    code, said, err = verified(folder)
    assert (code, said["findings"], said["missing"]) == (1, [], 15)
    (gap,) = said["gaps"]
    assert gap["detail"] == "the database is older than the mark of its end: 15 records are missing"
    assert "records are missing: 15" in err
    assert verified(folder, "--allow-gaps")[0] == 0
    tampering.change_a_value(folder, random.Random(0))
    assert verified(folder, "--allow-gaps")[0] == 1


def test_records_of_a_master_key_that_is_gone_are_told_apart(sites: dict[str, Path], tmp_path: Path) -> None:
    folder = a_copy(sites["rotated"], tmp_path / "site")
    key = folder / DATA / "master.key"
    newer, _, older = key.read_text().partition(",")
    key.write_text(newer)
    code, said, err = verified(folder)
    assert (code, said["findings"]) == (3, [])
    assert sum(chain["unverifiable"] for chain in said["chains"]) == RECORDS
    assert said["records"] == RECORDS + 15
    (lost,) = {name for chain in said["chains"] for name in chain["keys"]}
    assert f"without the master key {lost}" in err
    tampering.run(folder, "DELETE FROM traffic WHERE seq = 10")  # its code is gone, though it could not be checked
    assert verified(folder)[0] == 1

    key.write_text(older)  # only the first key: what the newer one has signed is not its own, nor is the site's mark
    code, said, err = verified(folder)
    assert (code, said) == (2, {})
    assert "master key" in err


def test_another_master_key_is_told_in_one_line(sites: dict[str, Path], tmp_path: Path) -> None:
    folder = a_copy(sites["plain"], tmp_path / "site")
    (folder / DATA / "master.key").write_text(base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="))
    code, said, err = verified(folder)
    assert (code, said) == (2, {})
    assert "the master key is not the one that this database was made with" in err


def test_records_from_before_the_codes_are_counted_and_none_can_become_one_of_them(
    sites: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    (folder / DATA).mkdir(parents=True, mode=0o700)
    (folder / "mcpward.toml").write_text(f'[site]\ndata = "{folder / DATA}"\n')
    tampering.database(folder).touch(0o600)
    shutil.copy(next(iter(sites.values())) / DATA / "master.key", folder / DATA)  # that release had one, too
    steps = [sql for step in range(1, migrations.CHAINED) for sql in migrations.statements(step, "sqlite")]
    numbers = [("INSERT INTO mcpward_schema VALUES (?)", step) for step in range(1, migrations.CHAINED)]
    old = [("INSERT INTO traffic (id, at, phase) VALUES ('old', ?, 'done')", NOW - n) for n in range(5)]
    tampering.run(folder, "CREATE TABLE mcpward_schema (version INTEGER PRIMARY KEY)", *steps, *numbers, *old)
    in_folder(folder, lambda site: write(site, random.Random(13)))
    code, said, _ = verified(folder)
    assert (code, said["uncovered"], said["records"]) == (0, 5, RECORDS)
    for forged in (
        "UPDATE traffic SET pos = NULL, mac = NULL WHERE seq = 6",
        "INSERT INTO traffic (seq, id, at, phase) VALUES (-1, 'old', 1.0, 'done')",
        "INSERT INTO traffic (seq, id, at, phase) VALUES (1000, 'old', 1.0, 'done')",
    ):
        copy = a_copy(folder, tmp_path / f"copy{len(forged)}")
        tampering.run(copy, forged)
        assert verified(copy)[0] == 1, forged


def test_attack_128_the_record_of_a_running_site_is_intact_after_kill_9_and_a_change_is_found(tmp_path: Path) -> None:
    with serving(tmp_path) as ward:
        for _ in range(3):
            ward.call("echo", {"text": "x"})
            ward.call("no such tool")
        ward.kill()
        ward.start()
        ward.call("echo", {"text": "y"})
        ward.stop()
        said = json.loads(ward.cli("log", "verify", "--json").stdout)
        assert (said["intact"], said["missing"]) == (True, 0)
        assert said["records"] == len(tampering.kept(tmp_path)) > 0
        tampering.run(tmp_path, "UPDATE traffic SET tool = 'other' WHERE seq = (SELECT MAX(seq) FROM traffic)")
        wrong = ward.cli("log", "verify", check=False)
        assert wrong.returncode == 1
        assert wrong.stdout.startswith("calls: ")
        assert "changed: record" in wrong.stdout
        assert "it differs from what was written" in wrong.stderr
