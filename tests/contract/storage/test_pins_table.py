"""Pins on SQLite and PostgreSQL: kept, followed by other workers, carried to another name, and not to be forged."""

import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, update

from mcpward.core.errors import Untrusted
from mcpward.operations.pinned_offers import approve_pins, pending_pins
from mcpward.storage.tables import PINS
from mcpward.tools.pin import Pin


def pin(name: str, seen: str = "a", server: str = "shop") -> Pin:
    return Pin(id=f"{server}/tool/{name}", server=server, kind="tool", name=name, seen=seen, seen_entry=b"\x00z")


async def put(store, *pins: Pin) -> None:
    async with store.pins.changing(pins[0].server) as transaction:
        for one in pins:
            await transaction.put(one)


async def test_pins_are_kept_changed_removed_and_seen_by_another_worker(opener) -> None:
    one, two = await opener(), await opener()
    followed = two.pins.follow()
    await put(one, pin("price"), pin("stock"))
    is_whole, pins = await followed.news()
    assert (is_whole, {each.name for each in pins}) == (True, {"price", "stock"})
    approved = replace(pin("price"), approved="a", approved_entry=b"\x01", approved_by="command", approved_at=5.0)
    await put(one, approved)
    assert [(each.name, each.approved) for each in (await followed.news())[1]] == [("price", "a")]
    async with one.pins.changing("shop") as transaction:
        await transaction.remove(transaction.pins["shop/tool/stock"])
    is_whole, pins = await followed.news()
    assert (is_whole, [each.name for each in pins]) == (True, ["price"])
    (kept,) = await two.pins.list("shop")
    assert replace(kept, revision=0) == approved
    assert await two.pins.list("other") == []


async def test_pins_go_along_with_a_servers_name_in_the_place_of_those_that_were_there(store) -> None:
    await put(store, pin("price", "a"), pin("stock"))
    await put(store, pin("price", "b", server="store"), pin("gone", server="store"))
    assert await store.pins.rename_server("shop", "store") == 2
    assert [(one.id, one.seen) for one in await store.pins.list("store")] == [
        ("store/tool/price", "a"),
        ("store/tool/stock", "a"),
    ]
    assert await store.pins.list("shop") == []


async def test_only_what_was_shown_is_approved_and_not_what_it_has_become_meanwhile(store, clock) -> None:
    site: Any = SimpleNamespace(store=store)
    entry = zlib.compress(b'{"name": "price"}')
    await put(store, replace(pin("price", "a"), seen_entry=entry), replace(pin("stock", "a"), seen_entry=entry))
    shown, _ = await pending_pins(site, "shop", [], pin=True)
    await put(store, replace(pin("price", "b"), seen_entry=entry))
    assert [one.name for one in await approve_pins(site, "shop", shown, clock)] == ["stock"]
    assert {one.name: one.approved for one in await store.pins.list("shop")} == {"price": None, "stock": "a"}


@pytest.mark.parametrize(
    "change",
    [
        update(PINS).where(PINS.c.name == "price").values(approved="a"),
        update(PINS).where(PINS.c.name == "price").values(id="other/tool/price", server="other"),
        delete(PINS).where(PINS.c.name == "price"),
    ],
    ids=["approved", "moved", "removed"],
)
async def test_a_pin_that_was_changed_moved_or_removed_without_the_master_key_is_not_taken(opener, change) -> None:
    one, two = await opener(), await opener()
    await put(one, pin("price"), pin("stock"))
    followed = two.pins.follow()
    await followed.news()
    async with one._connections.bulk() as connection:
        await connection.execute(change)
    with pytest.raises(Untrusted):
        await followed.news(whole=True)
    with pytest.raises(Untrusted):  # rows of other servers are not looked at by a change of this one
        await (one.pins.list("other") if "other" in str(change.compile().params) else put(one, pin("extra")))
