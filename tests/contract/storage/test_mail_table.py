import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mcpward.messaging.bus.outbox import BusMessage
from mcpward.storage.engine import Store
from mcpward.storage.tables import MAIL
from support.clock import ManualClock
from support.store import earlier, open_store


def letter(sender: str = "a", to: str | None = None, sealed: str = "sealed") -> BusMessage:
    return BusMessage(sender, to, "word", sealed)


async def kept(store: Store) -> int:
    async with store._connections.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(MAIL))).scalar_one())


async def all_since(store: Store, seq: int, reader: str) -> list[BusMessage]:
    found: list[BusMessage] = []
    while True:
        seq, letters = await store.mail.since(seq, reader)
        if not letters:
            return found
        found += letters


async def test_letters_are_given_to_those_they_are_for_in_their_order(opener) -> None:
    one, two = await opener(), await opener()
    start = await two.mail.newest()
    sent = [letter("a", "b", "1"), letter("a", None, "2"), letter("a", "c", "3"), letter("b", None, "4")]
    await one.mail.put(sent[:3])
    await two.mail.put(sent[3:])
    assert await all_since(two, start, "b") == sent[:2]
    assert await all_since(one, start, "a") == sent[3:]
    assert await all_since(one, start, "c") == [sent[1], sent[2], sent[3]]


async def test_a_letter_is_given_once_and_no_letters_are_no_news(opener) -> None:
    one, two = await opener(), await opener()
    assert await two.mail.since(0, "b") == (0, [])
    await one.mail.put([letter(sealed="1")])
    seq, first = await two.mail.since(0, "b")
    await one.mail.put([letter(to="c", sealed="2"), letter(sealed="3")])
    after, second = await two.mail.since(seq, "b")
    assert [each.sealed for each in first + second] == ["1", "3"]
    assert await two.mail.since(after, "b") == (after, [])
    assert await one.mail.newest() == after == 3
    await one.mail.put([])
    assert await one.mail.newest() == 3


async def test_many_letters_are_given_in_parts_and_none_twice(opener) -> None:
    one, two = await opener(), await opener()
    for start in range(0, 1000, 100):
        await one.mail.put([letter(sealed=str(n)) for n in range(start, start + 100)])
    _, part = await two.mail.since(0, "b")
    assert len(part) < 1000
    assert [each.sealed for each in await all_since(two, 0, "b")] == [str(n) for n in range(1000)]


async def test_no_letter_is_lost_behind_a_transaction_that_commits_late(opener) -> None:
    """Numbers have the order in which messages become visible, also with simultaneous writers."""
    stores = [await opener() for _ in range(5)]
    reader, writers = stores[0], stores[1:]
    heard: list[str] = []
    writing = asyncio.gather(*(_write(store, name) for store, name in zip(writers, "wxyz", strict=True)))
    seq = 0
    async with asyncio.timeout(50):
        while len(heard) < 4 * 100:
            seq, letters = await reader.mail.since(seq, "reader")
            heard += [each.sealed for each in letters]
    await writing
    assert len(set(heard)) == len(heard) == 400
    for name in "wxyz":
        mine = [int(each[1:]) for each in heard if each[0] == name]
        assert mine == sorted(mine)


async def _write(store: Store, name: str) -> None:
    for n in range(0, 100, 4):
        await store.mail.put([letter(name, None, f"{name}{n + at}") for at in range(4)])


async def test_a_transaction_that_fails_leaves_no_letter_and_no_gap(opener) -> None:
    one, two = await opener(), await opener()
    broken = BusMessage("a", None, "word", None)  # type: ignore[arg-type]  # the table refuses it
    with pytest.raises(Exception, match=r"(?i)null"):
        await one.mail.put([letter(sealed="1"), broken])
    await one.mail.put([letter(sealed="2")])
    assert [each.sealed for each in await all_since(two, 0, "b")] == ["2"]
    assert await two.mail.newest() == 1


async def test_letters_are_forgotten_up_to_a_number(opener) -> None:
    one, two = await opener(), await opener()
    await one.mail.put([letter(sealed=str(n)) for n in range(5)])
    await two.mail.forget(3)
    await two.mail.forget(3)
    assert await kept(one) == 2
    assert [each.sealed for each in await all_since(one, 0, "b")] == ["3", "4"]
    await one.mail.put([letter(sealed="5")])
    assert await one.mail.newest() == 6


async def test_a_reader_ahead_of_a_restored_backup_goes_on_from_there(store) -> None:
    await store.mail.put([letter(sealed="1")])
    assert await store.mail.since(99, "b") == (1, [])


async def test_a_long_letter_is_kept_whole(store) -> None:
    text = "x" * 400_000
    await store.mail.put([letter(sealed=text)])
    assert [each.sealed for each in await all_since(store, 0, "b")] == [text]


async def test_a_database_of_an_earlier_release_is_brought_up_to_date(tmp_path: Path) -> None:
    url, clock = f"sqlite:///{tmp_path / 'a.db'}", ManualClock()
    earlier(tmp_path / "a.db", 1, "INSERT INTO secrets VALUES ('a', 'NAME', CAST('blob' AS BLOB), 1.0)")
    store = await open_store(url, clock)
    assert [(one.server, one.name, one.version, one.blob) for one in await store.vault.entries()] == [
        ("a", "NAME", 1, b"blob")
    ]
    await store.mail.put([letter()])
    assert await store.spent.spend("s1", 1.0)
    await store.close()
