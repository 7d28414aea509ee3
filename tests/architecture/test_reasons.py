"""Every refusal has a row in the wire table and a row for people, and no row speaks of a refusal that is no more."""

import re
from pathlib import Path

import pytest

from mcpward.core.reasons import WIRE, Channel, Reason

ROW = re.compile(
    r"^\| `([a-z-]+)` \| (\d{3}) \|(?: (\d{3}) \|)? (-?\d+)(?:, in a session (-\d+))? \| .+ \| .+ \|$", re.MULTILINE
)


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
    status, session_status, code, session_code = rows[reason.value].groups()[1:]
    assert (status, code) == (str(wire.status), str(wire.code))
    assert session_status == (str(wire.session_status) if wire.channel is Channel.RPC else None)
    assert session_code == (str(wire.session_code) if wire.session_code != wire.code else None)


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_only_what_concerns_the_connection_has_an_error_status_in_a_session(reason: Reason):
    wire = WIRE[reason]
    assert wire.status >= 400
    if wire.channel is Channel.HTTP:
        assert (wire.session_status, wire.session_code) == (wire.status, wire.code)
    else:
        kept = {"session-missing", "session-unknown", "message-unparsable", "version-unsupported", "header-mismatch"}
        assert wire.session_status == (wire.status if reason.value in kept else 200)


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_own_codes_stay_out_of_the_reserved_range_and_others_are_the_specifications(reason: Reason):
    specified = {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}
    wire = WIRE[reason]
    assert wire.code in specified or wire.code // 100 == wire.status
    assert wire.session_code in {wire.code, -32602, -32002}


def test_no_two_reasons_of_the_channel_http_share_a_code():
    codes = [wire.code for wire in WIRE.values() if wire.channel is Channel.HTTP]
    assert len(set(codes)) == len(codes)
    assert not {wire.code for wire in WIRE.values() if wire.channel is not Channel.HTTP} & set(codes)


def test_a_public_sentence_is_one_sentence_without_placeholders():
    for wire in WIRE.values():
        assert wire.sentence
        assert wire.sentence == wire.sentence.strip().rstrip(".")
        assert "{" not in wire.sentence
        assert "%" not in wire.sentence
