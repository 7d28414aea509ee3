"""Each attack that the first foundation must stand has a test that is named by its number."""

import re
from functools import cache

import pytest

from support.sources import ROOT

NAMED = re.compile(r"^\s*(?:async )?def test_attack_(\d+)_[a-z]", re.MULTILINE)
#: attacks: tokens, keys and URLs, transport, messages, arguments, output, limits, records, stops.
ATTACKS = (
    *range(1, 47), *range(48, 94), *range(102, 109), 110, 113, *range(118, 138), 148,
)  # fmt: skip


@cache
def named() -> set[int]:
    texts = (
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests").glob("*/**/test_*.py")
        if "node_modules" not in path.parts
    )
    return {int(number) for text in texts for number in NAMED.findall(text)}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_has_a_test_that_is_named_by_its_number(attack: int):
    assert attack in named()
