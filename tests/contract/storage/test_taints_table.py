"""Marks of conversations on SQLite and PostgreSQL: seen by every worker at once, renewed, and forgotten."""

import asyncio


async def test_a_mark_is_found_by_another_worker_since_a_moment_and_the_latest_origin_is_named(opener) -> None:
    one, two = await opener(), await opener()
    await one.taints.mark(["a"], 100.0, "mail", 0.0)
    await one.taints.mark(["b"], 120.0, "the web", 0.0)
    assert await two.taints.find(["a"], 100.0) == "mail"
    assert await two.taints.find(["a"], 100.1) is None
    assert await two.taints.find(["a", "b"], 50.0) == "the web"
    assert await two.taints.find(["c"], 0.0) is None


async def test_a_mark_is_renewed_and_never_made_older(store) -> None:
    await store.taints.mark(["a"], 100.0, "mail", 0.0)
    await store.taints.mark(["a"], 90.0, "files", 0.0)
    assert await store.taints.find(["a"], 95.0) == "mail"
    await store.taints.mark(["a"], 130.0, "files", 0.0)
    assert await store.taints.find(["a"], 125.0) == "files"


async def test_old_marks_are_dropped_when_another_comes(store) -> None:
    await store.taints.mark([f"old {number}" for number in range(50)], 100.0, "mail", 0.0)
    for number in range(50):
        await store.taints.mark(["new"], 300.0 + number, "mail", 200.0)
    assert await store.taints.find([f"old {number}" for number in range(50)], 0.0) is None


async def test_workers_that_mark_the_same_conversation_at_once_all_succeed(opener) -> None:
    stores = [await opener() for _ in range(3)]
    await asyncio.gather(*(stores[n % 3].taints.mark(["a", "b"], 100.0 + n, "mail", 0.0) for n in range(12)))
    assert await stores[0].taints.find(["a"], 111.0) == "mail"
