"""No process signs rows after ones that were written without the master key."""

import pytest
from sqlalchemy import text

from mcpward.core.errors import Refusal, Untrusted
from mcpward.core.reasons import Reason
from mcpward.storage import journal
from mcpward.storage.engine import Store
from mcpward.storage.journal import Journal
from mcpward.storage.sessions import EndedSessions
from mcpward.storage.tables import ENDED, SPENT
from mcpward.storage.used_states import UsedStateTable

#: Changes by a writer of the database to three rows that have run out at 10, 11 and 90.
FORGERIES = {
    "sooner": "UPDATE {table} SET forget_at = 1",
    "gone": "DELETE FROM {table} WHERE id = 'b'",
    "renamed": "UPDATE {table} SET id = 'junk' WHERE id = 'a'",
    "no code": "UPDATE {table} SET mac = NULL WHERE id = 'b'",
    "renumbered": "UPDATE {table} SET revision = 2, forget_at = 11 WHERE id = 'c'",
}


async def edit(store: Store, *statements: str) -> None:
    async with store._connections.bulk() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def standing(store: Store, name: str) -> tuple[int, int]:
    async with store._connections.read() as connection:
        found = await connection.execute(text(f"SELECT value, floor FROM revisions WHERE name = '{name}'"))
        return tuple(found.one())


@pytest.mark.parametrize("how", FORGERIES)
@pytest.mark.parametrize("table, name", [("ended_sessions", "sessions"), ("spent_states", "spent")])
async def test_attack_124_what_somebody_else_has_changed_is_not_forgotten(opener, table: str, name: str, how: str):
    """The code of the floor says that no row under it counts any more: it is not made on the word of a forged row."""
    one, two = await opener(), await opener()
    for row, until in (("a", 10.0), ("b", 11.0), ("c", 90.0)):
        await one.sessions.end(row, until)
        assert await one.spent.spend(row, until)
    await edit(one, FORGERIES[how].format(table=table))
    for store in (one, two):
        with pytest.raises(Untrusted):
            await (store.sessions if name == "sessions" else store.spent).prune(50.0)
    assert await standing(one, name) == (3, 0)
    with pytest.raises(Untrusted):
        await (one.sessions if name == "sessions" else one.spent).follow().news()


async def test_attack_124_a_forged_row_makes_no_room_for_the_next(store):
    table = EndedSessions(Journal(store._connections, store._integrity, "sessions", ENDED, 3))
    for number in range(3):
        await table.end(f"s{number}", 100.0)
    await edit(store, "UPDATE ended_sessions SET id = 'junk' WHERE id = 's0'")
    with pytest.raises(Untrusted):
        await table.end("s3", 100.0)
    assert await standing(store, "sessions") == (3, 0)


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE spent_states SET id = 'junk' WHERE id = 'x'"],
        [
            "DELETE FROM spent_states WHERE id = 'x'",
            "INSERT INTO spent_states (id, forget_at, revision) VALUES ('junk', 99, 1)",
        ],
        ["DELETE FROM spent_states WHERE id = 'x'"],
    ],
)
async def test_attack_133_a_state_whose_row_was_replaced_is_used_by_no_other_worker(opener, statements: list[str]):
    """The other worker has not read the row yet: it judges what it has not seen before it writes after it."""
    one, two = await opener(), await opener()
    assert await one.spent.spend("x", 99.0)
    await edit(one, *statements)
    with pytest.raises(Untrusted):
        await two.spent.spend("x", 99.0)
    assert not await one.spent.spend("x", 99.0)


async def test_attack_133_a_state_that_a_worker_has_seen_used_stays_so_whatever_becomes_of_its_row(opener):
    one, two = await opener(), await opener()
    assert await one.spent.spend("x", 99.0)
    assert await two.spent.spend("y", 99.0)
    await edit(one, "UPDATE spent_states SET id = 'junk' WHERE id = 'x'")
    assert not await two.spent.spend("x", 99.0)


async def test_attack_133_no_state_is_forgotten_for_want_of_room(store):
    spent = UsedStateTable(Journal(store._connections, store._integrity, "spent", SPENT, 3, is_once=True))
    for number in range(3):
        assert await spent.spend(f"s{number}", 10.0 + number)
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            await spent.spend("s3", 99.0)
        assert refused.value.reason is Reason.BUSY
        assert not await spent.spend("s0", 99.0)
    await spent.prune(10.0)
    assert await spent.spend("s3", 99.0)


async def test_a_worker_catches_up_with_what_others_have_added_and_forgotten(opener, monkeypatch):
    monkeypatch.setattr(journal, "_SLICE", 3)
    one, two, three = await opener(), await opener(), await opener()
    for number in range(10):
        assert await one.spent.spend(f"s{number}", 10.0 + number)
    assert not await two.spent.spend("s9", 99.0)
    assert await two.spent.spend("t", 99.0)
    await two.spent.prune(17.0)
    assert await standing(one, "spent") == (11, 8)
    assert not await three.spent.spend("s9", 99.0)
    assert [await three.spent.spend(f"s{number}", 99.0) for number in (7, 8)] == [True, False]
    await three.spent.prune(99.0)
    assert await standing(one, "spent") == (12, 12)
    assert await (await opener()).spent.spend("s8", 99.0)
    assert await one.spent.spend("s9", 99.0)
    assert not await two.spent.spend("s8", 99.0)


async def test_attack_124_an_audit_reads_a_slice_at_a_time_and_finds_what_was_changed_since(opener, monkeypatch):
    monkeypatch.setattr(journal, "_SLICE", 3)
    one, two = await opener(), await opener()
    followed = two.spent.follow()
    for number in range(8):
        assert await one.spent.spend(f"s{number}", 10.0 + number)
    await followed.news()
    assert [await followed.audit() for _ in range(6)] == [False, False, True] * 2
    for row, clean in (("s0", 0), ("s4", 1), ("s7", 2)):
        await edit(one, f"UPDATE spent_states SET id = 'junk' WHERE id = '{row}'")
        assert await followed.news() == []
        assert [await followed.audit() for _ in range(clean)] == [False] * clean
        for _ in range(2):
            with pytest.raises(Untrusted):
                await followed.audit()
        await edit(one, f"UPDATE spent_states SET id = '{row}' WHERE id = 'junk'")
        assert [await followed.audit() for _ in range(3 - clean)] == [False] * (2 - clean) + [True]
    await edit(one, "DELETE FROM spent_states WHERE id = 's7'")
    assert [await followed.audit() for _ in range(2)] == [False, False]
    with pytest.raises(Untrusted):
        await followed.audit()


async def test_an_audit_goes_on_where_rows_were_added_and_forgotten_meanwhile(opener, monkeypatch):
    monkeypatch.setattr(journal, "_SLICE", 3)
    one, two = await opener(), await opener()
    followed = two.spent.follow()
    assert await followed.audit()
    for number in range(8):
        assert await one.spent.spend(f"s{number}", 10.0 + number)
    assert not await followed.audit()
    await one.spent.prune(14.0)
    assert await one.spent.spend("s8", 18.0)
    assert [await followed.audit() for _ in range(4)] == [False, True] * 2
    await one.spent.prune(99.0)
    assert await followed.audit()
