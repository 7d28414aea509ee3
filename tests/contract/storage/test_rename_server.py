"""The data of a server under its name move to a new name, and other workers see it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Untrusted
from mcpward.core.ids import base62
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue
from mcpward.identity.keys.records import KeyRecord
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.storage.mark import Mark
from mcpward.storage.opening import Older
from mcpward.storage.traffic_filter import TrafficFilter
from support.clock import ManualClock
from support.records import keep
from support.store import integrity_of, open_store

PEPPER = Pepper(b"p" * 32)
CLOCK = ManualClock()


def make(*servers: str) -> KeyRecord:
    return issue(PEPPER, CLOCK, name="ann", servers=servers)[1]


def row(**fields: Any) -> dict[str, Any]:
    return {"id": base62(6), "phase": "done"} | fields


async def found(store, server: str) -> list[float]:
    rows = await store.traffic.select(TrafficFilter(server=server, newest_first=False))
    return [each["at"] for each in rows]


async def test_every_key_that_names_the_server_names_the_other_one_and_no_other_key_is_changed(opener) -> None:
    one, two = await opener(), await opener()
    keys = [make("orders"), make("orders", "notes"), make("notes", "shop", "orders"), make("orders-2"), make("*")]
    for key in keys:
        await one.keys.add(key)
    followed = two.keys.follow()
    await followed.news()
    assert await one.keys.rename_server("orders", "shop") == 3
    _, changed = await followed.news()
    assert {key.id for key in changed} == {key.id for key in keys[:3]}
    servers = {key.id: key.servers for key in await two.keys.list()}
    assert [servers[key.id] for key in keys] == [("shop",), ("shop", "notes"), ("notes", "shop"), ("orders-2",), ("*",)]
    assert await one.keys.rename_server("orders", "shop") == 0
    assert await followed.news() == (False, [])


async def test_a_secret_url_goes_along_for_a_worker_that_knew_it_before(opener) -> None:
    one, two = await opener(), await opener()
    book = UrlCache(PEPPER, CLOCK)
    secret, record = book.issue("orders")
    await one.urls.add(record)
    followed = two.urls.follow()
    book.apply((await followed.news())[1], whole=True)
    assert await one.urls.rename_server("orders", "shop") == 1
    book.apply((await followed.news())[1])
    book.mark_fresh(CLOCK.monotonic())
    assert book.verify(secret.reveal(), "orders") is None
    assert book.verify(secret.reveal(), "shop") is not None
    assert await two.urls.servers(CLOCK.now()) == {"shop": 1}


async def test_records_are_found_by_the_present_name_as_long_as_the_server_had_the_earlier_one(store) -> None:
    for at, server in ((1.0, "orders"), (3.0, "shop"), (5.0, "store"), (6.0, "orders"), (2.0, "notes")):
        await keep(store.traffic, row(at=at, server=server))
    assert await found(store, "store") == [5.0]
    await store.renamed.add("orders", "shop", 2.0)
    assert await found(store, "shop") == [1.0, 3.0]
    await store.renamed.add("shop", "store", 4.0)
    await store.renamed.add("shop", "store", 4.0)
    assert await found(store, "store") == [1.0, 3.0, 5.0]
    assert await found(store, "orders") == [1.0, 6.0]  # the later one is of another server of that name
    await store.renamed.add("store", "orders", 5.5)
    assert await found(store, "orders") == [1.0, 3.0, 5.0, 6.0]
    assert (await store.traffic.verify()).findings == ()


#: The step of ``migrations`` that gave renames their codes; the one after it made the vault.
CODES_OF_RENAMES = 13
BEFORE_THE_VAULT = """
    DROP TABLE approvals;
    DROP TABLE pins;
    DROP TABLE taints;
    DROP TABLE vault;
    CREATE TABLE secrets (
        server TEXT NOT NULL, name TEXT NOT NULL, blob BLOB NOT NULL, set_at DOUBLE PRECISION NOT NULL, mac BLOB,
        PRIMARY KEY (server, name)
    );
    DELETE FROM revisions WHERE name IN ('vault', 'approvals', 'pins');
    INSERT INTO revisions (name, value) VALUES ('secrets', 0);
"""


async def before_codes(path: Path, mark: Mark) -> None:
    """Leave a site with one renamed server as the release before codes of renames left it."""
    store = await open_store(f"sqlite:///{path}", CLOCK)
    await store.keys.add(make("shop"))
    await store.renamed.add("orders", "shop", 2.0)
    await store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE renamed_servers DROP COLUMN mac")
        database.execute("DELETE FROM revisions WHERE name = 'renames'")
        database.executescript(BEFORE_THE_VAULT)
        database.execute("DELETE FROM mcpward_schema WHERE version >= ?", (CODES_OF_RENAMES,))
        database.commit()
    marked = mark.read()
    assert marked is not None
    earlier = {
        name: one for name, one in marked.standings.items() if name not in {"renames", "vault", "approvals", "pins"}
    }
    mark.write(replace(marked, standings=earlier))


async def test_renames_of_an_earlier_release_get_their_codes_once_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    url = f"sqlite:///{path}"
    mark = integrity_of(url, CLOCK).mark
    await before_codes(path, mark)
    for _ in range(2):
        store = await open_store(url, CLOCK)
        await keep(store.traffic, row(at=1.0, server="orders"))
        assert await found(store, "shop")
        await store.close()
    marked = mark.read()
    assert marked is not None
    assert "renames" in marked.standings
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE renamed_servers SET mac = NULL")
        database.execute("UPDATE revisions SET mac = NULL WHERE name = 'renames'")
        database.commit()
    with pytest.raises(Untrusted, match="renamed_servers"):
        await open_store(url, CLOCK)


async def test_renames_of_an_earlier_backup_are_kept_where_the_mark_came_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    url = f"sqlite:///{path}"
    mark = integrity_of(url, CLOCK).mark
    await before_codes(path, mark)
    marked = mark.read()
    assert marked is not None
    mark.write(replace(marked, is_restored=True))
    seen = []

    def accept(older: Older) -> bool:
        seen.append(older)
        return True

    store = await open_store(url, CLOCK, accept=accept)
    await keep(store.traffic, row(at=1.0, server="orders"))
    assert await found(store, "shop") == [1.0]
    assert not any(seen[0].foreign.values())
    await store.close()
