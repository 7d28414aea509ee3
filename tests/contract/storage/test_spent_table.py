import asyncio

from support.store import open_store


async def test_a_state_is_used_once_by_whichever_worker(opener) -> None:
    one, two = await opener(), await opener()
    assert await one.spent.spend("s1", 10.0) is True
    assert await one.spent.spend("s1", 10.0) is False
    assert await two.spent.spend("s1", 99.0) is False
    assert await two.spent.spend("s2", 20.0) is True


async def test_of_many_that_try_at_once_one_succeeds(opener) -> None:
    stores = [await opener() for _ in range(4)]
    for state in ("s1", "s2", "s3"):
        tried = await asyncio.gather(*(store.spent.spend(state, 10.0) for store in stores for _ in range(5)))
        assert tried.count(True) == 1


async def test_a_used_state_stays_used_after_a_restart(database, opener, clock) -> None:
    before = await open_store(database, clock)
    assert await before.spent.spend("s1", 10.0)
    await before.close()
    assert not await (await opener()).spent.spend("s1", 10.0)


async def test_a_used_state_is_forgotten_when_its_time_has_come(opener) -> None:
    one, two = await opener(), await opener()
    for n in range(3):
        await one.spent.spend(f"s{n}", 10.0 + n)
    await two.spent.prune(11.0)
    await two.spent.prune(11.0)
    assert [await one.spent.spend(f"s{n}", 99.0) for n in range(3)] == [True, True, False]


async def test_an_id_is_there_for_the_other_worker_too(opener) -> None:
    one, two = await opener(), await opener()
    assert await one.spent.spend("s1", 10.0)
    assert [await two.spent.has(each) for each in ("s1", "s2")] == [True, False]
