import asyncio
import itertools

import pytest
from msgspec.structs import replace
from sqlalchemy.exc import IntegrityError

from mcpward.core.ended_cache import EndedCache
from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue, reissue
from mcpward.identity.keys.follower import Follower, StoreCaches
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.records import KeyRecord
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.storage import register
from mcpward.storage.integrity import read_counter
from support.clock import ManualClock

PEPPER = Pepper(b"p" * 32)
CLOCK = ManualClock()


def make(name: str = "ann") -> KeyRecord:
    return issue(PEPPER, CLOCK, name=name, servers=["orders"])[1]


async def test_every_field_of_a_key_comes_back(store) -> None:
    full = KeyRecord(
        id="k1",
        name="Ännchen 'x' \u202e",
        digest=bytes(range(32)),
        servers=("a", "b"),
        tools=("t",),
        scopes=("s:r", "s:w"),
        access=Access.DESTRUCTIVE,
        rate=Rate(5, 60.0, 2),
        networks=("10.0.0.0/8", "2001:db8::/32"),
        created_at=1.25,
        expires_at=2.5,
        last_used_at=3.5,
        rotated_from="k0",
        revoked_at=4.5,
        grace_until=5.5,
        revision=99,
    )
    least = KeyRecord(id="k2", name="", digest=b"", servers=("*",), tools=(), created_at=2.0)
    await store.keys.add(full)
    await store.keys.add(least)
    assert await store.keys.get("k1") == replace(full, revision=1)
    assert await store.keys.list() == [replace(full, revision=1), replace(least, revision=2)]
    assert await store.keys.get("k3") is None


async def test_hostile_ids_find_nothing_and_break_nothing(store) -> None:
    await store.keys.add(make())
    for key_id in ("' OR 1=1--", "%", "", "\0", "../../dev/null", "x" * 10_000):
        assert await store.keys.get(key_id) is None
        assert await store.keys.revoke(key_id, 1.0) is False
    assert len(await store.keys.list()) == 1


async def test_two_keys_cannot_share_an_id(store) -> None:
    record = make()
    await store.keys.add(record)
    with pytest.raises(IntegrityError):
        await store.keys.add(record)
    assert [key.revision for key in await store.keys.list()] == [1]


async def test_every_change_is_seen_once_by_the_other_worker(opener) -> None:
    one, two = await opener(), await opener()
    first, second = make(), make()
    await one.keys.add(first)
    followed = two.keys.follow()
    is_whole, records = await followed.news()
    assert is_whole
    assert [record.id for record in records] == [first.id]
    assert await followed.news() == (False, [])
    await two.keys.add(second)
    await one.keys.revoke(first.id, 7.0)
    is_whole, records = await followed.news()
    assert not is_whole
    assert [(record.id, record.revoked_at) for record in records] == [(second.id, None), (first.id, 7.0)]
    assert await followed.news() == (False, [])
    assert await followed.news(whole=True) == (False, [])


async def test_a_revoked_key_is_refused_by_the_second_worker(opener) -> None:
    """Attack 36: revoked through one store, refused after one poll of the other."""
    one, two = await opener(), await opener()
    secret, record = issue(PEPPER, CLOCK, name="ann", servers=["orders"])
    book = KeyCache(PEPPER, CLOCK)
    reader = two.reader()
    worker = Follower(reader, StoreCaches(book, UrlCache(PEPPER, CLOCK), EndedCache(), EndedCache()), CLOCK)
    await one.keys.add(record)
    await worker.poll()
    assert book.verify(secret.reveal(), "orders", "192.0.2.7") is not None
    await one.keys.revoke(record.id, CLOCK.now())
    await worker.poll()
    assert book.verify(secret.reveal(), "orders", "192.0.2.7") is None
    await reader.close()


async def test_the_counters_that_workers_look_at_change_with_everything_they_follow(opener) -> None:
    one, two = await opener(), await opener()
    reader = two.reader()
    key = make()
    changes = (
        lambda: one.keys.add(key),
        lambda: one.keys.revoke(key.id, 7.0),
        lambda: one.urls.add(UrlCache(PEPPER, CLOCK).issue("orders")[1]),
        lambda: one.sessions.end("s1", 2e9),
        lambda: one.spent.spend("t1", 2e9),
    )
    seen = [await reader.counters()]
    for change in changes:
        await change()
        seen.append(await reader.counters())
        assert seen[-1] == await reader.counters()
    await one.keys.touch({key.id: 8.0})
    assert seen[-1] == await reader.counters()
    assert all(before != after for before, after in itertools.pairwise(seen))
    await reader.close()


async def test_a_second_revocation_changes_nothing(store) -> None:
    record = make()
    await store.keys.add(record)
    assert await store.keys.revoke(record.id, 7.0)
    followed = store.keys.follow()
    await followed.news()
    assert await store.keys.revoke(record.id, 8.0)
    assert (await store.keys.get(record.id)).revoked_at == 7.0
    assert await followed.news() == (False, [])


async def test_a_rotation_is_both_records_or_none(store) -> None:
    old = make()
    await store.keys.add(old)
    _, new = reissue(PEPPER, CLOCK, old)
    await store.keys.rotate(old.id, new, grace_until=9.0)
    assert (await store.keys.get(old.id)).grace_until == 9.0
    assert (await store.keys.get(new.id)).rotated_from == old.id
    _, third = reissue(PEPPER, CLOCK, new)
    with pytest.raises(IntegrityError):
        await store.keys.rotate(new.id, replace(third, id=old.id), grace_until=9.0)
    assert (await store.keys.get(new.id)).grace_until is None


@pytest.mark.parametrize("state", ["unknown", "revoked", "rotated"])
async def test_only_a_living_key_without_a_successor_is_rotated(store, state: str) -> None:
    old = make()
    if state != "unknown":
        await store.keys.add(old)
    if state == "revoked":
        await store.keys.revoke(old.id, 1.0)
    if state == "rotated":
        await store.keys.rotate(old.id, make(), grace_until=9.0)
    before = await store.keys.list()
    with pytest.raises(LookupError):
        await store.keys.rotate(old.id, make(), grace_until=9.0)
    assert await store.keys.list() == before


async def test_noting_the_last_use_is_no_change_and_never_goes_back(store) -> None:
    record = make()
    await store.keys.add(record)
    followed = store.keys.follow()
    await followed.news()
    await store.keys.touch({record.id: 5.0, "unknown": 5.0})
    await store.keys.touch({record.id: 4.0})
    await store.keys.touch({})
    assert (await store.keys.get(record.id)).last_used_at == 5.0
    assert await followed.news() == (False, [])


async def test_workers_that_write_at_once_lose_nothing_and_skip_no_number(opener) -> None:
    stores = [await opener() for _ in range(3)]
    records = [make() for _ in range(60)]
    seen: dict[str, int] = {}
    done = asyncio.Event()

    async def watch() -> None:
        """A worker that polls all the while must see every record, whatever the order of commits."""
        followed = stores[0].keys.follow()
        while True:
            is_last = done.is_set()
            _, changed = await followed.news()
            seen.update({record.id: record.revision for record in changed})
            if is_last:
                return

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(stores[n % 3].keys.add(record) for n, record in enumerate(records)))
    done.set()
    await watcher
    assert sorted(seen.values()) == list(range(1, 61))
    assert set(seen) == {record.id for record in records}


async def test_a_reader_has_one_whole_picture_however_often_others_write(opener, monkeypatch) -> None:
    """Between any two of its statements another worker changes the rows."""
    store, other = await opener(), await opener()
    await store.keys.add(make("first"))
    changes = itertools.count()
    in_time = read_counter

    async def changed_after(connection, name, **options):
        found = await in_time(connection, name, **options)
        if not options and name == "keys" and next(changes) < 40:
            monkeypatch.setattr(register, "read_counter", in_time)
            await other.keys.add(make("another"))
            monkeypatch.setattr(register, "read_counter", changed_after)
        return found

    followed = store.keys.follow()
    monkeypatch.setattr(register, "read_counter", changed_after)
    for whole in (False, False, True):
        _, rows = await followed.news(whole=whole)
        assert rows
    monkeypatch.setattr(register, "read_counter", in_time)
    known = {row.id for row in (await followed.news(whole=True))[1]}
    assert known == {one.id for one in await store.keys.list()}
    assert next(changes) >= 3
