"""Shares of threads: no caller has more than what is free, and a caller with none is never last."""

import pytest

from mcpward.tools.shares import Shares


def taken_by(shares: Shares, caller: str) -> int:
    """Take all that the caller may have."""
    while shares.may(caller):
        shares.take(caller)
    return shares.of(caller)


@pytest.mark.parametrize("size,most", [(1, 1), (2, 1), (3, 2), (32, 16), (64, 32)])
def test_one_caller_alone_has_half(size, most):
    assert taken_by(Shares(size), "a") == most


def test_each_further_caller_leaves_something_for_the_next():
    shares = Shares(64)
    assert [taken_by(shares, caller) for caller in "abcdef"] == [32, 16, 8, 4, 2, 1]


def test_callers_who_come_together_have_the_same_share_and_leave_as_much():
    shares, callers = Shares(64), ("a", "b", "c")
    for _ in range(64):
        for caller in callers:
            if shares.may(caller):
                shares.take(caller)
    assert [shares.of(caller) for caller in callers] == [16, 16, 16]


def test_who_has_none_gets_one_beside_the_threads_of_the_pool_to_a_bound():
    shares = Shares(4)
    crowd = [f"{number}" for number in range(20)]
    assert sum(taken_by(shares, caller) for caller in crowd) == 8
    assert not shares.may("late")
    shares.give_back("0")
    assert shares.may("late")


def test_what_is_owed_is_counted_and_nothing_is_left_behind():
    shares = Shares(2)
    for _ in range(5):
        shares.take("a")
    assert not shares.may("a")
    for _ in range(5):
        shares.give_back("a")
    assert (shares.taken, shares.of("a"), shares._held) == (0, 0, {})
