"""Every refusal has a row in the wire table and a row for people, and no row speaks of a refusal that is no more."""

import re
from pathlib import Path

import pytest

from mcpward.core.reasons import WIRE, Channel, Reason

ROW = re.compile(r"^\| `([a-z-]+)` \| (\d{3}|-) \| (-?\d+|-) \| (.+) \| (.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[str, re.Match[str]]:
    page = (root / "docs" / "reasons.md").read_text(encoding="utf-8")
    return {row[1]: row for row in ROW.finditer(page)}


def test_the_table_and_the_page_name_the_same_reasons(rows: dict[str, re.Match[str]]):
    assert set(WIRE) == set(Reason)
    assert set(rows) == {reason.value for reason in Reason}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_the_page_has_the_status_and_code_of_the_wire(rows: dict[str, re.Match[str]], reason: Reason):
    wire = WIRE[reason]
    assert rows[reason.value][2] == str(wire.status)
    assert rows[reason.value][3] == (str(wire.code) if wire.code else "-")


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_a_reason_is_spoken_on_one_channel_in_its_own_way(reason: Reason):
    wire = WIRE[reason]
    assert (wire.code != 0) == (wire.channel is Channel.RPC)
    assert (wire.status == 200) == (wire.channel is Channel.TOOL)


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_own_codes_stay_out_of_the_reserved_range_and_others_are_the_specifications(reason: Reason):
    specified = {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}
    code = WIRE[reason].code
    assert code in specified or not -32768 <= code <= -32000


def test_a_public_sentence_is_one_sentence_without_placeholders():
    for wire in WIRE.values():
        assert wire.sentence
        assert wire.sentence == wire.sentence.strip().rstrip(".")
        assert "{" not in wire.sentence
        assert "%" not in wire.sentence
