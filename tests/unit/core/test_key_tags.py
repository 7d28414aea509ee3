"""Tags of keys as names and values."""

import pytest

from mcpward.core.key_tags import repeated_name, tag_values


def test_a_tag_has_a_value_after_the_first_sign():
    assert dict(tag_values(["tenant=acme", "vip", "q=a=b", "empty="])) == {
        "tenant": "acme", "vip": "", "q": "a=b", "empty": "",
    }  # fmt: skip


def test_a_name_with_two_values_has_none():
    assert dict(tag_values(["tenant=acme", "tenant=beta", "vip"])) == {"vip": ""}


@pytest.mark.parametrize(
    "words,name", [(["a=1", "a=2"], "a"), (["a", "a=1"], "a"), (["a=1", "b=1"], None), (["a", "b"], None)]
)
def test_a_name_that_comes_twice_is_found(words: list[str], name: str | None):
    assert repeated_name(words) == name
