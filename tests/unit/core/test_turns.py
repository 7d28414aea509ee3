"""Waits for scarce slots: whose turn it is, and which call finds the queue full."""

from mcpward.core.turns import Turns


def line_of(*callers: str, most: int = 100) -> Turns[str]:
    turns: Turns[str] = Turns(most)
    for number, caller in enumerate(callers):
        turns.join(caller, f"{caller}{number}")
    return turns


def all_of(turns: Turns[str]) -> list[str]:
    out = []
    while (caller := turns.least(lambda _: 0)) is not None:
        out.append(turns.next(caller))
    return out


def test_callers_take_turns_and_each_ones_own_come_in_their_order():
    assert all_of(line_of("a", "a", "a", "b", "c", "c")) == ["a0", "b3", "c4", "a1", "c5", "a2"]


def test_the_fewest_running_come_first():
    turns = line_of("a", "b", "c")
    assert turns.least({"a": 2, "b": 1, "c": 1}.__getitem__) == "b"


def test_who_leaves_leaves_at_once_and_may_leave_twice():
    turns = line_of("a", "a", "b")
    for _ in range(2):
        turns.leave("a", "a0")
        turns.leave("b", "b2")
    assert (len(turns), all_of(turns), len(turns)) == (1, ["a1"], 0)


def test_a_full_line_turns_away_the_last_of_whoever_has_most():
    turns = line_of("a", "a", "a", "b", most=4)
    assert turns.join("b", "b4") == "a2"
    assert turns.join("a", "a5") == "a5"
    assert turns.join("c", "c6") == "a1"
    assert turns.join("d", "d7") == "b4"
    assert turns.join("e", "e8") == "e8"
    assert all_of(turns) == ["a0", "b3", "c6", "d7"]


def test_a_line_without_a_bound_takes_all():
    turns = line_of("a", most=1)
    assert turns.join("b", "b1", bounded=False) is None
    assert len(turns) == 2
