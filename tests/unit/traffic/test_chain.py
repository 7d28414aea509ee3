"""The codes of the record: what they cover, and how the state goes on from what is found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.record_mac import RecordMacs
from mcpward.storage.traffic import COLUMNS
from mcpward.traffic.chain import COVERED, State, begin, code, extended, opened, resumed, sealed, shortened
from mcpward.traffic.verification import Report, Verification
from support.records import MACS

VALUES = st.one_of(
    st.none(), st.text(max_size=3), st.integers(-2, 300), st.floats(allow_nan=False), st.binary(max_size=2)
)
PLAIN = dict.fromkeys(COVERED) | {"id": "i", "at": 1.0, "phase": "done"}


def a_row(**values: Any) -> tuple[Any, ...]:
    return tuple((PLAIN | values).values())


def test_every_column_of_the_table_is_covered_and_in_an_order_that_never_changes() -> None:
    assert {*COVERED, "chain"} == set(COLUMNS)
    assert COVERED[:26] == (
        "server", "method", "tool", "era", "version", "way", "principal", "client", "key_id", "id", "at", "peer",
        "phase", "reason", "error_id", "status", "bytes_in", "bytes_out", "consent", "outcome", "duration_us",
        "arguments", "trace", "limit_name", "would_refuse", "detail",
    )  # fmt: skip


def test_a_code_is_what_it_was_in_every_release() -> None:
    """A change of the encoding would make every record that was written before look changed."""
    row = a_row(server="orders", status=200, bytes_out=2**40, detail="é")
    assert code(MACS.mac, "calls", 7, 9, b"before", row).hex() == "611d70b6b292da18e84ab7f1a50fd163"


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_rows_that_differ_have_different_codes(one: list[Any], other: list[Any]) -> None:
    def bare(values: list[Any]) -> list[tuple[type, Any]]:
        while values and values[-1] is None:
            values = values[:-1]
        return [(type(value), repr(value)) for value in values]

    codes = [code(MACS.mac, "calls", 1, 1, b"", tuple(values)) for values in (one, other)]
    assert (codes[0] == codes[1]) == (bare(one) == bare(other))


def test_a_code_covers_the_place_and_what_came_before() -> None:
    row = a_row()
    codes = {
        code(MACS.mac, *place, row)
        for place in [("calls", 1, 1, b"a"), ("refusals", 1, 1, b"a"), ("calls", 2, 1, b"a"), ("calls", 1, 2, b"a"),
                      ("calls", 1, 1, b"b")]
    }  # fmt: skip
    assert len(codes) == 5


def test_a_column_that_is_new_changes_no_code_of_before() -> None:
    assert code(MACS.mac, "calls", 1, 1, b"", (*a_row(), None)) == code(MACS.mac, "calls", 1, 1, b"", a_row())


def test_a_state_opens_as_it_was_and_for_its_keys_only() -> None:
    state, _, _ = extended(begin(MACS, "r"), MACS, COVERED, [a_row(), a_row(outcome="refused")])
    assert opened(MACS, sealed(MACS, state)) == state
    other = RecordMacs(KeyRing([b"x" * 32]), "traffic record")
    assert opened(other, sealed(MACS, state)) is None
    assert opened(MACS, None) is None


def test_a_row_that_says_its_chain_is_believed() -> None:
    state, columns, rows = extended(begin(MACS, "r"), MACS, (*COVERED, "chain"), [(*a_row(outcome="refused"), "calls")])
    assert (columns.count("chain"), state.ends[0].last, state.ends[1].last) == (1, 1, 0)
    assert len(rows[0]) == len(columns)


def verify(state: State, rows: list[tuple[Any, ...]], columns: tuple[str, ...], mark: State | None) -> Report:
    verification = Verification(MACS, state, mark)
    for row in rows:
        named = dict(zip(columns, row, strict=True))
        verification.add((named["seq"], named["chain"], named["pos"], named["mac"], *(named[name] for name in COVERED)))
    return verification.report()


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.data())
def test_any_batches_verify_from_any_point_that_was_cut_and_not_without_a_record(
    is_refused: list[bool], data: Any
) -> None:
    rows = [a_row(id=str(n), outcome="refused" if refused else "ok") for n, refused in enumerate(is_refused)]
    cut = data.draw(st.integers(0, len(rows)))
    state = begin(MACS, "r")
    placed = []
    for batch in (rows[:cut], rows[cut:]):
        state, columns, more = extended(state, MACS, COVERED, batch)
        placed += more
    assert not verify(state, placed, columns, state).findings
    first = dict(zip(columns, placed[0], strict=True))
    shorter = shortened(state, first["chain"], 2, first["mac"], 2)
    assert not verify(shorter, placed[1:], columns, shorter).findings
    assert verify(state, placed[1:], columns, state).findings
    assert verify(state, placed[:-1], columns, state).findings
    assert verify(shorter, placed, columns, shorter).findings


@pytest.mark.parametrize(
    "found, known, word",
    [
        (1, 1, None),
        (2, 1, None),
        (1, 3, "2 records are missing"),
        (0, None, "the mark"),
        (None, 2, "changed or removed"),
    ],
)
def test_the_state_goes_on_from_the_newest_that_is_known(
    found: int | None, known: int | None, word: str | None
) -> None:
    states = [begin(MACS, "r")]
    for _ in range(3):
        states.append(extended(states[-1], MACS, COVERED, [a_row()])[0])
    here, there = (None if number is None else states[number] for number in (found, known))
    state, what = resumed(here, there)
    assert state is not None
    assert (word in what) if word is not None and what is not None else what is word
    assert state.number == max(number for number in (found, known) if number is not None)
    assert state.ends[0].last == state.number
    if here is not None:
        assert state.ends[0].mac == here.ends[0].mac


def test_a_fork_and_another_record_are_noticed() -> None:
    state = begin(MACS, "r")
    one, other = (extended(state, MACS, COVERED, [a_row(id=name)])[0] for name in ("1", "2"))
    assert resumed(one, other)[1] is not None
    assert "another record" in str(resumed(one, replace(one, record="else"))[1])
    assert resumed(None, None)[0] is None


def test_positions_after_a_gap_are_not_those_of_the_lost_records() -> None:
    old, columns, rows = extended(begin(MACS, "r"), MACS, COVERED, [a_row()])
    newer, _, _ = extended(old, MACS, COVERED, [a_row(), a_row()])
    state, _ = resumed(old, newer)
    assert state is not None
    assert not verify(state, rows, columns, state).findings
    assert verify(state, rows, columns, state).missing == 2
    state, _, more = extended(state, MACS, COVERED, [a_row(phase="gap", detail="why")])
    report = verify(state, [*rows, *more], columns, state)
    assert (report.findings, report.missing, [gap.detail for gap in report.gaps]) == ((), 2, ["why"])
    assert verify(newer, rows, columns, newer).findings[0].kind == "removed"
