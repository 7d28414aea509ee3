import pytest

from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.url_cache import UrlCache
from support.clock import ManualClock

BOOK = UrlCache(Pepper(b"p" * 32), ManualClock())


async def test_a_rotation_ends_every_older_url_at_the_latest_with_the_grace(opener) -> None:
    one, two = await opener(), await opener()
    first, second, third, other = (BOOK.issue(server)[1] for server in ("a", "a", "a", "b"))
    await one.urls.add(first)
    await one.urls.add(other)
    followed = two.urls.follow()
    await followed.news()
    await one.urls.rotate("a", second, grace_until=50.0)
    await one.urls.rotate("a", third, grace_until=90.0)
    assert [(each.id, each.expires_at) for each in await two.urls.list("a")] == sorted(
        [(first.id, 50.0), (second.id, 90.0), (third.id, None)], key=lambda pair: pair[0]
    )
    _, changed = await followed.news()
    assert {each.id for each in changed} == {first.id, second.id, third.id}
    assert [each.expires_at for each in await two.urls.list("b")] == [None]


async def test_a_url_of_another_server_is_not_rotated_in(store) -> None:
    with pytest.raises(ValueError, match="another server"):
        await store.urls.rotate("a", BOOK.issue("b")[1], grace_until=1.0)
    assert await store.urls.list("a") == []


async def test_a_shorter_grace_wins_over_a_longer_one(store) -> None:
    first, second, third = (BOOK.issue("a")[1] for _ in range(3))
    await store.urls.add(first)
    await store.urls.rotate("a", second, grace_until=90.0)
    await store.urls.rotate("a", third, grace_until=50.0)
    assert {each.expires_at for each in await store.urls.list("a") if each.id != third.id} == {50.0}
