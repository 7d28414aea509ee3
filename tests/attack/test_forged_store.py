"""An attacker writes the database file without the master key: keys are revived, promoted, moved, added, taken back.

The file is edited with SQLite itself, while the server runs and between two starts.
"""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mcpward.config.load import load
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Untrusted
from mcpward.core.scope import Access
from mcpward.identity.keys.api_key import issue
from mcpward.operations.site import open_site
from mcpward.storage.opening import Older
from support.store import earlier
from support.ward import Ward, serving
from support.wire import until

CLOCK = SystemClock()
SERVERS = '[servers.demo]\nsource = "tools.py"\n[servers.orders]\nsource = "tools.py"\n'


def id_of(key: str) -> str:
    return key.removeprefix("sk-mcpward-")[:12]


def database(ward: Ward) -> Path:
    return ward.folder / ".mcpward" / "mcpward.db"


def edit(ward: Ward, *statements: str) -> None:
    with closing(sqlite3.connect(database(ward))) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def backup(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def status(ward: Ward, key: str, path: str = "/demo/mcp", tool: str = "echo") -> int:
    return ward.call(tool, {"text": "x"}, key=key, path=path).status_code


class Site:
    """Two servers, a key that reads at one of them, one that was revoked, and a copy from before it was."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.settings = load(ward.folder / "mcpward.toml", {}, {"site.data": str(ward.folder / ".mcpward")})
        self.copy, self.good = ward.folder / "copy.db", ward.folder / "good.db"
        self.reader = self.other = self.revoked = ""
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        async with open_site(self.settings, CLOCK) as opened:
            made = {}
            for name, server, access in (
                ("reader", "demo", Access.READ),
                ("other", "orders", Access.WRITE),
                ("revoked", "demo", Access.WRITE),
            ):
                secret, record = issue(
                    opened.pepper_keys, CLOCK, name=name, servers=[server], scopes=["*"], access=access
                )
                await opened.store.keys.add(record)
                made[name] = secret.reveal()
            self.reader, self.other, self.revoked = made["reader"], made["other"], made["revoked"]
            backup(database(self.ward), self.copy)
            with closing(sqlite3.connect(self.copy)) as db:
                self.row = db.execute("SELECT * FROM api_keys WHERE id = ?", (id_of(self.revoked),)).fetchone()
            await opened.store.keys.revoke(id_of(self.revoked), CLOCK.now())
        backup(database(self.ward), self.good)

    def mend(self) -> None:
        """Put back what a holder of the master key left."""
        backup(self.good, database(self.ward))

    async def starts(self) -> str:
        """Open the site as every command does; return why it does not open, or nothing."""
        try:
            async with open_site(self.settings, CLOCK):
                return ""
        except Untrusted as problem:
            return f"{problem} {problem.findings[0].hint}"

    def restore(self) -> None:
        """Put the whole older copy in the place of what is there, in one transaction."""
        backup(self.copy, database(self.ward))

    def replay_row(self) -> None:
        """Put the older row of the revoked key back, with the code that it had."""
        marks = ", ".join("?" for _ in self.row)
        with closing(sqlite3.connect(database(self.ward))) as db:
            db.execute("DELETE FROM api_keys WHERE id = ?", (id_of(self.revoked),))
            db.execute(f"INSERT INTO api_keys VALUES ({marks})", self.row)
            db.execute("UPDATE revisions SET value = value + 1 WHERE name = 'keys'")
            db.commit()

    def downgrade(self) -> None:
        """Make it look like a database of a release that knew no codes."""
        self.restore()
        edit(
            self.ward,
            *(f"UPDATE {table} SET mac = NULL" for table in ("api_keys", "unlisted_urls", "revisions")),
            "DELETE FROM mcpward_site",
        )


@pytest.fixture
def site(tmp_path):
    with serving(tmp_path / "site", servers=SERVERS, start=False) as ward:
        yield Site(ward)


def made(folder: Path, toml: str = "") -> Site:
    """A site that is not served."""
    with serving(folder, toml, SERVERS, start=False) as ward:
        return Site(ward)


BUMP = "UPDATE revisions SET value = value + 1 WHERE name = 'keys'"
INSERT = (
    "INSERT INTO api_keys (id, name, digest, servers, scopes, access, networks, created_at, revision, may_confirm, mac)"
    " SELECT 'AAAAAAAAAAAA', 'mine', digest, '[\"*\"]', '[\"*\"]', 3, '[]', created_at, revision + 100, 1, mac"
    " FROM api_keys LIMIT 1"
)
SWAP = (
    "UPDATE api_keys SET digest = (SELECT digest FROM api_keys WHERE name = 'other'),"
    " mac = (SELECT mac FROM api_keys WHERE name = 'other') WHERE name = 'reader'"
)
FORGERIES: dict[str, Callable[[Site], None]] = {
    "revive": lambda site: edit(site.ward, "UPDATE api_keys SET revoked_at = NULL", BUMP),
    "promote": lambda site: edit(site.ward, "UPDATE api_keys SET access = 3 WHERE name = 'reader'", BUMP),
    "move": lambda site: edit(site.ward, "UPDATE api_keys SET servers = '[\"*\"]' WHERE name = 'reader'", BUMP),
    "swap": lambda site: edit(site.ward, SWAP, BUMP),
    "insert": lambda site: edit(site.ward, INSERT, BUMP),
    "delete": lambda site: edit(site.ward, "DELETE FROM api_keys WHERE name = 'revoked'", BUMP),
    "replay": Site.replay_row,
    "no code": lambda site: edit(site.ward, "UPDATE api_keys SET mac = NULL, revoked_at = NULL", BUMP),
    "renumber": lambda site: edit(site.ward, "UPDATE revisions SET value = 0 WHERE name = 'keys'"),
}
#: The counter stays as it is: a running worker, which knows the rows, does not read them; a start does.
QUIET: dict[str, Callable[[Site], None]] = {
    "quiet promotion": lambda site: edit(site.ward, "UPDATE api_keys SET access = 3 WHERE name = 'reader'"),
    "quiet revival": lambda site: edit(site.ward, "UPDATE api_keys SET revoked_at = NULL"),
    "quiet move": lambda site: edit(site.ward, "UPDATE api_keys SET servers = '[\"*\"]' WHERE name = 'reader'"),
}
OLDER: dict[str, Callable[[Site], None]] = {
    "older copy": Site.restore,
    "downgrade": Site.downgrade,
}


@pytest.mark.parametrize("how", [*FORGERIES, *QUIET, *OLDER])
async def test_attack_124_a_store_that_was_written_without_the_master_key_does_not_open(tmp_path, how: str):
    site = await asyncio.to_thread(made, tmp_path)
    (FORGERIES | QUIET | OLDER)[how](site)
    assert "mcpward store accept-older" in await site.starts()
    site.mend()
    assert await site.starts() == ""


def test_attack_124_a_forged_store_is_told_in_one_line(site: Site):
    FORGERIES["revive"](site)
    for words in (["serve"], ["key", "list"]):
        refused = site.ward.cli(*words, check=False)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.count("error: ") == 1
        assert "mcpward store accept-older" in refused.stderr
        assert "Traceback" not in refused.stderr


def ready(ward: Ward) -> bool:
    with ward.client() as client:
        return client.get("/readyz").status_code == 200


def test_attack_124_a_running_server_lets_nobody_in_by_a_store_that_was_written_without_the_key(site: Site):
    ward = site.ward
    ward.start()
    for how, forge in (FORGERIES | {"older copy": Site.restore}).items():
        assert (status(ward, site.reader), status(ward, site.revoked)) == (200, 401), how
        forge(site)
        until(lambda: not ready(ward), seconds=10.0)
        assert status(ward, site.reader) == status(ward, site.revoked) == 503, how
        assert status(ward, site.reader, "/orders/mcp") == 503, how
        site.mend()
        until(lambda: ready(ward), seconds=10.0)
    ward.stop()
    log = (ward.folder / "server.log").read_text()
    assert log.count("every key is refused until that is settled") == len(FORGERIES) + 1


async def test_attack_124_rows_of_ended_sessions_and_used_states_cannot_be_added_or_taken_away(tmp_path):
    site = await asyncio.to_thread(made, tmp_path)
    ends_at = CLOCK.now() + 3600
    async with open_site(site.settings, CLOCK) as opened:
        for name in ("a", "b", "c"):
            await opened.store.sessions.end(name, ends_at)
            assert await opened.store.spent.spend(name, ends_at)
    whole = site.ward.folder / "whole.db"
    backup(database(site.ward), whole)
    for table, name in (("ended_sessions", "sessions"), ("spent_states", "spent")):
        for statements in (
            [f"DELETE FROM {table} WHERE id = 'b'"],
            [f"DELETE FROM {table} WHERE id = 'c'", f"UPDATE revisions SET value = 2 WHERE name = '{name}'"],
            [f"DELETE FROM {table}", f"UPDATE revisions SET floor = 3 WHERE name = '{name}'"],
            [f"UPDATE {table} SET id = 'd' WHERE id = 'b'"],
            [f"UPDATE {table} SET forget_at = 1 WHERE id = 'b'"],
            [f"INSERT INTO {table} (id, forget_at, revision) VALUES ('d', 1e12, 4)"],
        ):
            edit(site.ward, *statements)
            assert await site.starts(), statements
            backup(whole, database(site.ward))
            assert await site.starts() == ""


def test_attack_125_an_older_copy_counts_only_when_an_operator_has_seen_what_it_revives(site: Site):
    ward = site.ward
    ward.start()
    site.restore()
    until(lambda: not ready(ward), seconds=10.0)
    shown = ward.cli("store", "accept-older", check=False)
    assert shown.returncode == 1  # there is no terminal to ask at
    (line,) = [line for line in shown.stdout.splitlines() if id_of(site.revoked) in line]
    assert line.split()[1:6] == ["revoked", "demo", "write", "all", "no"]
    told = json.loads(ward.cli("store", "accept-older", "--yes", "--json").stdout)
    assert [{name: key[name] for name in told["keys"][0] if name != "id"} for key in told["keys"]] == [
        {"name": name, "servers": [server], "class": access, "tools": None, "may_confirm": False}
        for name, server, access in (
            ("reader", "demo", "read"),
            ("other", "orders", "write"),
            ("revoked", "demo", "write"),
        )
    ]
    assert told["revisions"]["keys"]["store"] < told["revisions"]["keys"]["mark"]
    until(lambda: ready(ward), seconds=10.0)
    assert (status(ward, site.reader), status(ward, site.revoked)) == (200, 200)  # the operator has the message
    ward.cli("key", "revoke", id_of(site.revoked))
    until(lambda: status(ward, site.revoked) == 401, seconds=2.0)
    site.restore()
    until(lambda: not ready(ward), seconds=10.0)


PROMOTE = (
    "UPDATE api_keys SET access = 2, servers = '[\"*\"]', tools = NULL, may_confirm = 1, revoked_at = NULL"
    " WHERE name = 'revoked'"
)


def rebuild(site: Site) -> None:
    """Put a database of an earlier release in the place of ours, with a key that opens everything."""
    path, forged = database(site.ward), site.ward.folder / "forged.db"
    with closing(sqlite3.connect(path)) as db:
        ring = db.execute("SELECT key_id, seen_at FROM mcpward_ring").fetchone()
        (digest,) = db.execute("SELECT digest FROM api_keys WHERE name = 'revoked'").fetchone()
    key = (
        "INSERT INTO api_keys (id, name, digest, servers, scopes, access, networks, created_at, revision)"
        f" VALUES ('{id_of(site.revoked)}', 'revoked', x'{digest.hex()}', '[\"*\"]', '[\"*\"]', 2, '[]', 1.0, 1)"
    )
    earlier(forged, 5, f"INSERT INTO mcpward_ring VALUES ('{ring[0]}', {ring[1]})", key)
    backup(forged, path)


#: Each makes the rows look like those of a release that knew no codes; and how many rows are left that are ours.
UNCODED: dict[str, tuple[Callable[[Site], None], set[str]]] = {
    "no site": (lambda site: edit(site.ward, "DELETE FROM mcpward_site", PROMOTE), {"reader", "other"}),
    "no codes": (
        lambda site: edit(site.ward, "DELETE FROM mcpward_site", PROMOTE, "UPDATE api_keys SET mac = NULL"),
        set(),
    ),
    "lower schema": (rebuild, set()),
}


def noting(seen: list[Older], *, accept: bool) -> Callable[[Older], bool]:
    """Return an operator's decision about an older store; the printed text is in ``seen``."""

    def decide(older: Older) -> bool:
        seen.append(older)
        return accept

    return decide


@pytest.mark.parametrize("how", UNCODED)
async def test_attack_124_a_database_that_feigns_to_be_from_before_codes_brings_no_row_in(tmp_path, how: str):
    site = await asyncio.to_thread(made, tmp_path)
    forge, ours = UNCODED[how]
    forge(site)
    assert "mcpward store accept-older" in await site.starts()
    seen: list[Older] = []
    async with open_site(site.settings, CLOCK, noting(seen, accept=True)) as opened:
        assert {key.name for key in await opened.store.keys.list()} == ours
    assert seen[0].foreign["keys"] == (1 if how == "lower schema" else 3 - len(ours))
    assert await site.starts() == ""


async def test_attack_124_no_row_without_a_code_comes_in_beside_a_mark_that_cannot_be_read(tmp_path):
    site = await asyncio.to_thread(made, tmp_path)
    site.settings.store.mark_path.write_bytes(b"")
    edit(site.ward, "DELETE FROM mcpward_site", PROMOTE)
    async with open_site(site.settings, CLOCK, lambda _: True) as opened:
        assert await opened.store.keys.list() == []


async def test_attack_125_rows_that_were_forged_are_dropped_when_the_rest_is_accepted(tmp_path):
    site = await asyncio.to_thread(made, tmp_path)
    edit(site.ward, "UPDATE api_keys SET revoked_at = NULL, access = 3 WHERE name = 'revoked'", BUMP)
    seen: list[Older] = []
    with pytest.raises(Untrusted):
        async with open_site(site.settings, CLOCK, noting(seen, accept=False)):
            pass
    others = ("urls", "vault", "sessions", "spent", "renames", "approvals", "pins")
    assert seen[0].foreign == {"keys": 1} | dict.fromkeys(others, 0)
    async with open_site(site.settings, CLOCK, lambda older: older == seen[0]) as opened:
        assert {key.name for key in await opened.store.keys.list()} == {"reader", "other"}
    assert await site.starts() == ""


def test_attack_125_another_file_in_the_place_of_the_database_is_noticed(site: Site):
    ward = site.ward
    ward.start()
    assert status(ward, site.reader) == 200
    shutil.copy(site.good, ward.folder / "new.db")
    (ward.folder / "new.db").rename(database(ward))
    until(lambda: not ready(ward), seconds=10.0)
    assert status(ward, site.reader) == 503


async def test_attack_125_a_mark_that_is_gone_damaged_or_anothers_is_no_leave_to_start(tmp_path):
    site, another = [await asyncio.to_thread(made, tmp_path / name) for name in ("one", "two")]
    mark = site.settings.store.mark_path
    whole, of_another = mark.read_bytes(), another.settings.store.mark_path.read_bytes()
    for bad in (None, b"", whole.replace(b"site", b"sita"), of_another):
        mark.unlink(missing_ok=True)
        if bad is not None:
            mark.write_bytes(bad)
        assert "mark of the store" in await site.starts()
    mark.write_bytes(whole)
    assert await site.starts() == ""
    mark.unlink()
    async with open_site(site.settings, CLOCK, lambda _: True):
        pass
    assert await site.starts() == ""


async def test_a_mark_elsewhere_is_the_one_that_counts(tmp_path):
    place = tmp_path / "marks" / "store.mark"
    place.parent.mkdir()
    site = await asyncio.to_thread(made, tmp_path / "site", f'[store]\nmark = "{place}"\n')
    assert place.exists()
    assert list((tmp_path / "site" / ".mcpward").glob("*.mark")) == []
    site.restore()
    assert "older copy" in await site.starts()
    # At a place of its own a mark is missed even by a database that looks as if it had never had one.
    place.unlink()
    site.downgrade()
    assert "is missing" in await site.starts()
