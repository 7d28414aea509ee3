"""Which numbers are integers: by their value, exactly, and at no cost for exponents."""

from decimal import Decimal
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.integral import exact, integral, is_long


@pytest.mark.parametrize(
    "text,whole",
    [
        ("5.0", 5), ("1e3", 1000), ("1E+2", 100), ("-0.0", 0), ("12.50e1", 125), ("0e5", 0),
        ("9007199254740993.0", 2**53 + 1),
        ("9223372036854775807.0", 2**63 - 1), ("-9223372036854775808.0", -(2**63)), ("-2e0", -2),
        ("5.5", None), ("1e-1", None), ("9223372036854775808.0", None), ("1e19", None), ("1e400000", None),
        ("1e-400000", None), ("0.1e-30", None),
    ],
)  # fmt: skip
def test_a_number_is_the_integer_that_it_equals(text: str, whole: int | None):
    assert integral(Decimal(text)) == whole


def test_integers_of_more_than_64_bits_are_told_from_fractions():
    assert is_long(Decimal("1e30"))
    assert is_long(Decimal("9223372036854775808.0"))
    assert is_long(Decimal("1e400000"))
    assert not is_long(Decimal("9223372036854775807.0"))
    assert not is_long(Decimal("9223372036854775808.5"))
    assert not is_long(Decimal("1e-30"))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 30))
def test_no_integer_is_altered_however_it_is_written(number: int, zeros: int):
    assert integral(Decimal(f"{number}.{'0' * zeros}0")) == number
    assert integral(Decimal(f"{number}{'0' * zeros}e-{zeros}")) == number


def test_a_float_stands_for_an_integer_only_where_it_cannot_have_been_rounded():
    assert exact(5.0) == 5
    assert exact(5.5) is None
    assert exact(2.0**53) == 2**53
    assert exact(2.0**54) is None


def test_exponents_cost_nothing():
    numbers = [Decimal("1e400000"), Decimal("-1e400000"), Decimal("1e-400000"), Decimal("9" * 400 + "e399000")]
    begun = perf_counter()
    for _ in range(1000):
        for number in numbers:
            integral(number)
            is_long(number)
    assert perf_counter() - begun < 1
