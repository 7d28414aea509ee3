from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AuthMethod, Rate
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue, reissue
from mcpward.identity.keys.key_cache import STALE_AFTER_S, KeyCache
from mcpward.identity.keys.records import KeyRecord
from support.clock import ManualClock

PEPPER = Pepper(b"p" * 32)
PEER = "192.0.2.7"


class CountingPepper(Pepper):
    """The real pepper, noting each digest that it compares with."""

    __slots__ = ("compared",)

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.compared: list[bytes] = []

    def matches(self, text: str, digest: bytes) -> bool:
        self.compared.append(digest)
        return super().matches(text, digest)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def book(clock: ManualClock) -> KeyCache:
    book = KeyCache(PEPPER, clock)
    book.mark_fresh(clock.monotonic())
    return book


def make(clock: ManualClock, **rights: Any) -> tuple[str, KeyRecord]:
    secret, record = issue(PEPPER, clock, **({"name": "ann", "servers": ["orders"]} | rights))
    return secret.reveal(), record


def test_a_key_that_is_older_than_the_bound_is_refused_whatever_end_it_was_given(clock: ManualClock) -> None:
    book = KeyCache(PEPPER, clock, max_age_s=3600.0)
    kept = [make(clock), make(clock, expires_at=clock.now() + 86_400), make(clock, expires_at=clock.now() + 60)]
    book.apply([record for _, record in kept])
    for seconds, open_ in ((59.0, 3), (1.0, 2), (3539.0, 2), (1.0, 0)):
        clock.advance(seconds)
        book.mark_fresh(clock.monotonic())
        assert sum(book.verify(text, "orders", PEER) is not None for text, _ in kept) == open_
    secret, successor = reissue(PEPPER, clock, kept[0][1])
    book.apply([successor])
    assert book.verify(secret.reveal(), "orders", PEER) is not None


def test_a_key_gives_its_principal(book: KeyCache, clock: ManualClock) -> None:
    text, record = make(
        clock,
        tools=["query"],
        scopes=["orders:read"],
        access=Access.WRITE,
        rate=Rate(5, 60.0, 2),
        networks=["192.0.2.0/24"],
    )
    book.apply([record])
    principal = book.verify(text, "orders", PEER)
    assert principal is not None
    assert (principal.key, principal.key_id) == ("api-key:" + record.id, record.id)
    assert (principal.way, principal.server, principal.client) == (AuthMethod.API_KEY, "orders", "ann")
    assert (principal.tools, principal.scopes) == (frozenset({"query"}), frozenset({"orders:read"}))
    assert (principal.access, principal.rate) == (Access.WRITE, Rate(5, 60.0, 2))


def test_two_keys_of_one_name_are_two_users(book: KeyCache, clock: ManualClock) -> None:
    (one, first), (two, second) = make(clock), make(clock)
    book.apply([first, second])
    found = [book.verify(text, "orders", PEER) for text in (one, two)]
    assert [principal and principal.subject for principal in found] == [first.id, second.id]
    assert [principal and principal.client for principal in found] == ["ann", "ann"]


def test_a_key_of_one_server_opens_no_other(book: KeyCache, clock: ManualClock) -> None:
    """Attack 37."""
    text, record = make(clock, servers=["orders", "stock"])
    star, everywhere = make(clock, servers=["*"])
    book.apply([record, everywhere])
    assert [book.verify(text, server, PEER) is not None for server in ("orders", "stock", "people", "*", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert book.verify(star, "people", PEER) is not None


def test_an_unknown_id_costs_the_same_digest_and_comparison_as_a_wrong_secret(clock: ManualClock) -> None:
    """Attack 33: unknown id, known id with a wrong secret, and revoked id take one comparison each."""
    pepper = CountingPepper(b"p" * 32)
    book = KeyCache(pepper, clock)
    book.mark_fresh(clock.monotonic())
    right, record = make(clock)
    wrong, forged = make(clock)
    unknown, _ = make(clock)
    revoked, dead = make(clock)
    book.apply([record, replace(forged, digest=record.digest), replace(dead, revoked_at=1.0)])
    for text in (unknown, wrong, revoked, right):
        before = len(pepper.compared)
        book.verify(text, "orders", PEER)
        assert len(pepper.compared) == before + 1
    assert {len(digest) for digest in pepper.compared} == {32}


def test_a_text_with_a_wrong_checksum_reaches_neither_digest_nor_book(clock: ManualClock) -> None:
    """Attack 35."""
    pepper = CountingPepper(b"p" * 32)
    book = KeyCache(pepper, clock)
    book.mark_fresh(clock.monotonic())
    text, record = make(clock)
    book.apply([record])

    class Untouchable(dict[Any, Any]):
        def __getitem__(self, key: object) -> None:
            raise AssertionError("looked up")

        def get(self, *key: object) -> None:
            raise AssertionError("looked up")

    book._entries = Untouchable()
    assert book.verify(text[:-1] + ("0" if text[-1] != "0" else "1"), "orders", PEER) is None
    assert pepper.compared == []


def test_a_key_ends_at_the_edge_of_its_second(book: KeyCache, clock: ManualClock) -> None:
    """Attack 36."""
    text, record = make(clock, expires_at=clock.now() + 2)
    book.apply([record])
    clock.advance(1.999)
    assert book.verify(text, "orders", PEER) is not None
    clock.shift_wall(0.001)
    assert book.verify(text, "orders", PEER) is None


def test_a_revoked_key_is_refused_with_the_next_snapshot(book: KeyCache, clock: ManualClock) -> None:
    text, record = make(clock)
    book.apply([record])
    assert book.verify(text, "orders", PEER) is not None
    book.apply([replace(record, revoked_at=clock.now() + 100)])
    assert book.verify(text, "orders", PEER) is None


def test_a_rotated_key_lives_on_until_its_grace_ends_and_stays_the_same_caller(
    book: KeyCache, clock: ManualClock
) -> None:
    text, first = make(clock)
    secret, second = reissue(PEPPER, clock, first)
    third_secret, third = reissue(PEPPER, clock, second)
    book.apply([third])
    book.apply([second, replace(first, grace_until=clock.now() + 1)])
    found = [book.verify(each, "orders", PEER) for each in (text, secret.reveal(), third_secret.reveal())]
    assert [principal and principal.key for principal in found] == ["api-key:" + first.id] * 3
    assert [principal and principal.subject for principal in found] == [first.id] * 3
    assert [principal and principal.key_id for principal in found] == [first.id, second.id, third.id]
    clock.advance(1)
    assert book.verify(text, "orders", PEER) is None
    assert book.verify(secret.reveal(), "orders", PEER) is not None


def test_grace_does_not_lengthen_a_life(book: KeyCache, clock: ManualClock) -> None:
    text, record = make(clock, expires_at=clock.now() + 1)
    book.apply([replace(record, grace_until=clock.now() + 100)])
    clock.advance(1)
    assert book.verify(text, "orders", PEER) is None


def test_rotations_in_a_circle_are_no_endless_walk(book: KeyCache, clock: ManualClock) -> None:
    text, one = make(clock)
    _, two = make(clock)
    book.apply([replace(one, rotated_from=two.id), replace(two, rotated_from=one.id)])
    assert book.verify(text, "orders", PEER) is not None


@pytest.mark.parametrize(
    "networks, peer, opens",
    [
        (["192.0.2.0/24"], "192.0.2.7", True),
        (["192.0.2.0/24"], "192.0.3.7", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.7", True),
        (["192.0.2.0/24"], "::192.0.2.7", False),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "192.0.2.7, 10.0.0.1", False),
        (["0.0.0.0/0"], "192.0.2.007", False),
    ],
)
def test_a_key_is_good_within_its_networks_alone(book: KeyCache, clock: ManualClock, networks, peer, opens) -> None:
    text, record = make(clock, networks=networks)
    book.apply([record])
    assert (book.verify(text, "orders", peer) is not None) is opens


def test_an_unreadable_network_in_the_store_opens_nothing(book: KeyCache, clock: ManualClock) -> None:
    text, record = make(clock)
    book.apply([replace(record, networks=("nonsense",))])
    assert book.verify(text, "orders", PEER) is None


def test_a_stale_snapshot_lets_nobody_in_and_says_so(book: KeyCache, clock: ManualClock) -> None:
    text, record = make(clock)
    book.apply([record])
    clock.advance(STALE_AFTER_S)
    assert book.verify(text, "orders", PEER) is not None
    clock.advance(0.001)
    with pytest.raises(Refusal) as refused:
        book.verify(text, "orders", PEER)
    assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
    book.mark_fresh(clock.monotonic())
    assert book.verify(text, "orders", PEER) is not None


def test_a_book_never_filled_lets_nobody_in(clock: ManualClock) -> None:
    with pytest.raises(Refusal):
        KeyCache(PEPPER, clock).verify("anything", "orders", PEER)


def test_setting_the_wall_clock_does_not_make_a_snapshot_fresh(book: KeyCache, clock: ManualClock) -> None:
    clock.advance(STALE_AFTER_S + 1)
    clock.shift_wall(-3600)
    with pytest.raises(Refusal):
        book.verify("anything", "orders", PEER)


def test_use_is_noted_for_those_let_in_alone(book: KeyCache, clock: ManualClock) -> None:
    text, record = make(clock)
    other, dead = make(clock)
    book.apply([record, replace(dead, revoked_at=1.0)])
    book.verify(text, "elsewhere", PEER)
    book.verify(other, "orders", PEER)
    assert book.used == {}
    book.verify(text, "orders", PEER)
    clock.advance(1)
    book.verify(text, "orders", PEER)
    assert book.used == {record.id: clock.now()}
