"""What is kept for a server under its name goes along to another one, and other workers see it."""

from typing import Any

import pytest

from mcpward.core.ids import base62
from mcpward.crypto.digest import Pepper
from mcpward.identity.api_key import issue
from mcpward.identity.records import KeyRecord
from mcpward.identity.unlisted import UrlBook
from mcpward.storage.traffic import TrafficFilter
from support.clock import ManualClock
from support.records import keep

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
    book = UrlBook(PEPPER, CLOCK)
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


async def test_secrets_go_along_as_they_are_sealed_anew_or_not_at_all(store) -> None:
    await store.secrets.set("orders", "A", b"a")
    await store.secrets.set("orders", "B", b"b")
    await store.secrets.set("notes", "B", b"other")

    def reseal(name: str, blob: bytes) -> bytes:
        return name.encode() + blob

    with pytest.raises(LookupError, match="B"):
        await store.secrets.rename_server("orders", "notes", reseal)
    assert await store.secrets.servers() == {"notes": 1, "orders": 2}
    assert await store.secrets.rename_server("orders", "shop", reseal) == 2
    assert await store.secrets.list("shop") == {"A": b"Aa", "B": b"Bb"}
    assert await store.secrets.list("orders") == {}


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
