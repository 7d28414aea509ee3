import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.config.quota import parse_quota, quota_text
from mcpward.core.values import Period, Quota


@pytest.mark.parametrize(
    "text,quota",
    [
        ("5000/day", Quota(5000, Period.DAY)),
        (" 1 / HOUR ", Quota(1, Period.HOUR)),
        ("999999999/month", Quota(999_999_999, Period.MONTH)),
    ],
)
def test_a_quota_is_a_count_in_a_period(text, quota):
    assert parse_quota(text) == quota


@pytest.mark.parametrize(
    "text",
    ["", "5000", "/day", "0/day", "-1/day", "1.5/day", "5/minute", "5/week", "5/day burst 2", "٣/day", "1/day\n\n2"],
)
def test_nothing_else_is_a_quota(text):
    with pytest.raises(ValueError):
        parse_quota(text)


@given(st.builds(Quota, st.integers(1, 999_999_999), st.sampled_from(Period)))
def test_a_quota_is_written_as_it_is_read(quota):
    assert parse_quota(quota_text(quota)) == quota
