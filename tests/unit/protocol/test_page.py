"""Pages of lists: every entry once, and no cursor but our own."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.protocol.page import cut

NAMES = [f"tool_{number}" for number in range(23)]


def pages(names, size):
    cursor: str | None = None
    while True:
        page = cut(names, cursor, str, size)
        yield list(page.items)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


@given(st.integers(0, 40), st.integers(1, 15))
def test_walking_the_pages_gives_every_entry_once_and_in_order(count, size) -> None:
    names = [f"n{number}" for number in range(count)]
    walked = list(pages(names, size))
    assert [name for page in walked for name in page] == names
    assert all(len(page) <= size for page in walked)


def test_a_short_list_has_no_cursor() -> None:
    assert cut(NAMES, None, str).next_cursor is None


@pytest.mark.parametrize("cursor", [None, ""])
def test_no_cursor_and_the_empty_one_mean_the_first_page(cursor) -> None:
    assert list(cut(NAMES, cursor, str, 5).items) == NAMES[:5]


def test_a_cursor_of_another_list_is_refused() -> None:
    cursor = cut(NAMES, None, str, 5).next_cursor
    with pytest.raises(Refusal) as no:
        cut(NAMES[1:], cursor, str, 5)
    assert no.value.reason is Reason.PARAMS_INVALID


@given(st.text(min_size=1, max_size=40))
def test_any_other_cursor_is_refused(cursor) -> None:
    with pytest.raises(Refusal) as no:
        cut(NAMES, cursor, str, 5)
    assert no.value.reason is Reason.PARAMS_INVALID


def test_a_damaged_cursor_shows_nothing_but_the_callers_own_list() -> None:
    cursor = cut(NAMES, None, str, 5).next_cursor
    assert cursor is not None
    shown: list[str] = []
    for at in range(len(cursor)):
        damaged = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        with suppress(Refusal):
            shown += cut(NAMES, damaged, str, 5).items
    assert set(shown) <= set(NAMES)


@pytest.mark.parametrize("place", [0, len(NAMES), len(NAMES) + 1, 2**32 - 1])
def test_a_place_outside_of_the_list_is_refused(place) -> None:
    cursor = cut(NAMES, None, str, 5).next_cursor
    assert cursor is not None
    forged = base64.urlsafe_b64encode(place.to_bytes(4, "big") + base64.urlsafe_b64decode(cursor)[4:]).decode()
    with pytest.raises(Refusal) as no:
        cut(NAMES, forged, str, 5)
    assert no.value.reason is Reason.PARAMS_INVALID
