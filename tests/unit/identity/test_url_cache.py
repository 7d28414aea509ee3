import re

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.url_cache import UrlCache
from support.clock import ManualClock

PEPPER = Pepper(b"p" * 32)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def book(clock: ManualClock) -> UrlCache:
    book = UrlCache(PEPPER, clock)
    book.mark_fresh(clock.monotonic())
    return book


def test_a_secret_url_is_48_base62_characters_and_only_its_digest_is_kept(book: UrlCache) -> None:
    secret, record = book.issue("orders")
    assert re.fullmatch(r"[0-9A-Za-z]{48}", secret.reveal())
    assert record.digest == PEPPER.digest(secret.reveal())
    assert secret.reveal() not in f"{secret!r} {record!r}"


def test_a_url_whose_server_has_another_name_opens_that_alone(book: UrlCache) -> None:
    secret, record = book.issue("orders")
    book.apply([record])
    book.apply([replace(record, server="shop", revision=2)])
    assert book.verify(secret.reveal(), "orders") is None
    assert book.verify(secret.reveal(), "shop") is not None


def test_only_the_exact_spelling_opens_only_its_server(book: UrlCache) -> None:
    """Attack 39."""
    secret, record = book.issue("orders")
    text = secret.reveal()
    book.apply([record])
    principal = book.verify(text, "orders")
    assert principal is not None
    assert (principal.key, principal.server) == ("unlisted:orders", "orders")
    spellings = (
        text.swapcase(),
        text.upper(),
        text.lower(),
        text[:-1],
        text + "/",
        text + "0",
        "%" + text[1:],
        " " + text[1:],
        f"%{ord(text[0]):x}{text[1:]}",
        text[:-1] + "\n",
        "",
        "é" * 48,
        "٣" * 48,
        "\ud800" * 48,
    )
    assert [each for each in spellings if book.verify(each, "orders") is not None] == []
    assert book.verify(text, "people") is None


def test_a_rotated_url_opens_until_its_grace_ends(book: UrlCache, clock: ManualClock) -> None:
    old, old_record = book.issue("orders")
    new, new_record = book.issue("orders")
    book.apply([old_record])
    book.apply([replace(old_record, expires_at=clock.now() + 1), new_record])
    assert book.verify(old.reveal(), "orders") is not None
    assert book.verify(new.reveal(), "orders") is not None
    clock.advance(1)
    assert book.verify(old.reveal(), "orders") is None
    assert book.verify(new.reveal(), "orders") is not None


def test_a_thousand_rotations_leave_one_url_to_compare_with(book: UrlCache, clock: ManualClock) -> None:
    for _ in range(1000):
        _, record = book.issue("orders")
        book.apply([record])
        book.apply([replace(record, expires_at=clock.now())])
    assert book._records["orders"] == {}


def test_a_stale_snapshot_is_told_to_holders_of_the_secret_alone(book: UrlCache, clock: ManualClock) -> None:
    secret, record = book.issue("orders")
    book.apply([record])
    clock.advance(3.001)
    assert book.verify("0" * 48, "orders") is None
    with pytest.raises(Refusal) as refused:
        book.verify(secret.reveal(), "orders")
    assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
