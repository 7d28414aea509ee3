import pytest

from mcpward.config.rate import parse_rate, rate_text
from mcpward.config.size import parse_size, size_text
from mcpward.core.values import Rate


@pytest.mark.parametrize(
    "text,rate",
    [
        ("120/minute", Rate(120, 60.0, 120)),
        ("120/minute burst 20", Rate(120, 60.0, 20)),
        (" 5 / S ", Rate(5, 1.0, 5)),
        ("1/day burst 3", Rate(1, 86400.0, 3)),
        ("7/h", Rate(7, 3600.0, 7)),
    ],
)
def test_a_rate_is_read_and_written_back(text, rate):
    assert parse_rate(text) == rate
    assert parse_rate(rate_text(rate)) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0/minute",
        "120",
        "120/fortnight",
        "-1/minute",
        "1/minute burst 0",
        "1.5/s",
        "١/minute",
        "1/minute burst",
        "1/m\n/",
    ],
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError):
        parse_rate(text)


@pytest.mark.parametrize(
    "text,size", [("4 MiB", 4194304), ("32KiB", 32768), ("1000", 1000), ("2 kb", 2000), ("1 GiB", 2**30)]
)
def test_a_size_is_read_and_written_back(text, size):
    assert parse_size(text) == size
    assert parse_size(size_text(size)) == size


@pytest.mark.parametrize("text", ["", "4 MiBs", "-1", "1.5 MiB", "MiB", "4 parsec"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError):
        parse_size(text)
