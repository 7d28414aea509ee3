"""Repeated requests become a number (attack 126), and nothing that was counted is ever missing from the sums."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.values import AuthMethod
from mcpward.traffic.aggregation import ADDRESS_BYTES, FIRST, MAX_CALLS, MAX_REFUSALS, Aggregation
from mcpward.traffic.record import REFUSALS, Result
from support.clock import ManualClock
from support.records import a_record
from support.values import a_principal

GIB = 1024**3


def refusal(reason="credential-invalid", peer="192.0.2.7", **changes):
    return a_record(Result.REFUSED, reason, peer=peer, chain=REFUSALS, **changes)


def public(peer="192.0.2.7", **changes):
    return a_record(peer=peer, principal=a_principal(key=f"anonymous:{peer}", way=AuthMethod.ANONYMOUS), **changes)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def counted(clock):
    return Aggregation(clock, GIB)


def whole(counted, record, times=1):
    return sum(counted.takes_refusal(record, has_room=True) for _ in range(times))


def test_the_first_few_are_whole_and_the_rest_is_one_row(counted):
    for at in range(1000):
        taken = counted.takes_refusal(refusal(at=float(at), bytes_in=2, bytes_out=3, status=401), has_room=True)
        assert taken is (at < FIRST)
    (row,) = counted.close()
    assert (row.count, row.at, row.last_at) == (1000 - FIRST, float(FIRST), 999.0)
    assert (row.peer, row.reason, row.status, row.chain) == ("192.0.2.7", "credential-invalid", 401, REFUSALS)
    assert (row.bytes_in, row.bytes_out) == (2 * row.count, 3 * row.count)
    assert row.arguments is row.detail is row.trace is None
    assert not list(counted.close())


def test_addresses_reasons_and_servers_are_counted_apart(counted):
    for record in (refusal(), refusal("route-unknown"), refusal(peer="192.0.2.8"), refusal(server="other")):
        assert whole(counted, record, 100) == FIRST
    assert [row.count for row in counted.close()] == [100 - FIRST] * 4


def test_a_household_of_ipv6_addresses_is_one_and_is_told_of_as_one(counted):
    taken = sum(whole(counted, refusal(peer=f"2001:db8::{n:x}")) for n in range(1, 1000))
    assert taken == FIRST
    assert whole(counted, refusal(peer="2001:db8:0:1::1")) == 1
    (row,) = counted.close()
    assert row.peer == "2001:db8::/64"
    assert whole(counted, refusal(peer="no:address")) == 1


def test_a_caller_with_a_credential_is_one_wherever_it_comes_from(counted):
    mine = a_principal(key="api-key:1")
    assert sum(whole(counted, refusal("tool-unknown", f"192.0.2.{n}", principal=mine)) for n in range(100)) == FIRST
    (row,) = counted.close()
    assert row.subject.principal is mine


def test_more_callers_than_are_counted_apart_share_one_row(counted):
    for n in range(5000):
        peer = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        for _ in range(FIRST + 1):
            counted.takes_refusal(refusal(peer=peer), has_room=True)
    rows = list(counted.close())
    assert len(rows) == MAX_REFUSALS + 1
    assert rows[-1].peer is None
    assert rows[-1].count == (5000 - MAX_REFUSALS) * (FIRST + 1)


def test_strangers_do_not_crowd_out_those_who_are_known(counted):
    for n in range(5000):
        whole(counted, refusal("route-unknown", peer=f"10.0.{n >> 8}.{n & 255}"))
        whole(counted, refusal(peer=f"10.0.{n >> 8}.{n & 255}"))
    assert whole(counted, refusal("rate-exceeded", principal=a_principal()), 100) == FIRST


def test_whole_rows_of_strangers_have_a_budget_together_and_the_rest_is_counted_still(clock):
    counted = Aggregation(clock, 1024**2)
    taken = sum(whole(counted, refusal(peer=f"10.0.{n >> 8}.{n & 255}"), FIRST) for n in range(MAX_REFUSALS))
    assert 0 < taken < MAX_REFUSALS * FIRST
    assert sum(row.count or 0 for row in counted.close()) == MAX_REFUSALS * FIRST - taken
    for _ in range(20):
        clock.advance(60.0)
    assert whole(counted, refusal(), FIRST) == FIRST  # it fills up again


def test_public_calls_of_an_address_are_whole_up_to_its_share_in_bytes(counted):
    small = sum(counted.takes_call(public()) for _ in range(10_000))
    assert 100 < small < 300
    large = sum(counted.takes_call(public("192.0.2.8", arguments=b"x" * 16_384)) for _ in range(10_000))
    assert large == ADDRESS_BYTES // (4096 + 320)
    assert [row.count for row in counted.close()] == [10_000 - small, 10_000 - large]


def test_public_calls_of_many_addresses_are_bounded_together(counted):
    for n in range(5000):
        counted.takes_call(public(f"10.0.{n >> 8}.{n & 255}", arguments=b"x" * 5000))
    rows = list(counted.close())
    assert len(rows) <= MAX_CALLS + 1


def test_a_window_is_over_after_a_minute(clock, counted):
    assert not counted.is_due
    clock.advance(60.0)
    assert counted.is_due
    assert not list(counted.close())
    assert not counted.is_due


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]),
            st.sampled_from(["route-unknown", "credential-invalid"]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_nothing_is_missing_from_the_sums(asked):
    counted = Aggregation(ManualClock(), 1024**2)
    kept: Counter[str] = Counter()
    for peer, reason, has_room, is_over in asked:
        kept[reason] += counted.takes_refusal(refusal(reason, peer), has_room=has_room)
        if is_over:
            for row in counted.close():
                kept[row.reason or ""] += row.count or 0
    for row in counted.close():
        kept[row.reason or ""] += row.count or 0
    assert +kept == Counter(reason for _, reason, _, _ in asked)
