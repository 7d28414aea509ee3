"""No cell of the CSV is a formula (CWE-1236), whatever the spreadsheet separates cells by."""

import csv
import json

import pytest

from mcpward.traffic.formats import csv_line

SIGNS = "=+-@＝＋－＠"
TEXTS = [
    form.format(sign)
    for sign in SIGNS
    for form in ("{}1", "x;{}1", 'x;"{}1"', 'x;""{}1;', "x\t{}1", "x\r\n{}1", "\t{}1")
]


def row(**more):
    return {"at": 1_800_000_000.0, "tool": "find"} | more


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("text", TEXTS)
def test_no_cell_is_a_formula(delimiter, text):
    told = csv_line(row(tool=text, arguments=json.dumps({"a": text}, ensure_ascii=False)))
    assert len(told.splitlines()) == 1
    for cells in csv.reader([told], delimiter=delimiter):
        assert [cell for cell in cells if cell.lstrip('"').startswith(tuple(SIGNS))] == []


@pytest.mark.parametrize("text", ["a-b; c = d", '{"a":-1,"b":"x@y"}', "a=b\tc"])
def test_what_is_no_formula_stays_as_it_is(text):
    (cells,) = csv.reader([csv_line(row(tool=text))])
    assert text.replace("\t", "\\t") in cells
