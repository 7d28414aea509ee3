"""docs/guards.md: its tools and its settings do what the page says, in the shipped process."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.matches import found
from support.sources import ROOT
from support.ward import Ward, serving, text_of
from support.wire import reason_of

PAGE = (ROOT / "docs" / "guards.md").read_text(encoding="utf-8")
CODE = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
SETTINGS = found(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]
SERVERS = '[servers.reports]\nsource = "tools.py"\n'
GOOD = {"from_date": "2026-01-01", "to_date": "2026-01-31", "warehouse": "BER"}


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Iterator[Ward]:
    folder: Path = tmp_path_factory.mktemp("guards") / "site"
    with serving(folder, "", SERVERS + SETTINGS, start=False) as ward:
        (ward.folder / "reports").mkdir()
        (ward.folder / "reports" / "..data.txt").write_text("inside")
        (ward.folder / "tools.py").write_text(CODE)
        ward.start()
        ward.key = ward.create_key(server="reports")
        yield ward


def said(ward: Ward, tool: str, **arguments: Any) -> tuple[str, str]:
    response = ward.call(tool, arguments)
    return reason_of(response), text_of(response)


@pytest.mark.parametrize(
    "change,rule",
    [
        ({"to_date": "2026-03-01"}, "to_date: date range cannot exceed 31 days; you asked for 59"),
        ({"warehouse": "ROM"}, "warehouse: one of the 2 values that exist"),
        ({"status": "lost"}, "status: "),
        ({"changed": "2001-01-01T00:00:00Z"}, "changed: within the last 365 days"),
        ({"mail": "a@example.org"}, "mail: an email address at *.example.com"),
        ({"number": "de-42"}, "such as DE-0042"),
        ({"tags": ["a", "a"]}, "tags: each item once"),
        ({"customer": "1"}, "customer: a UUID"),
        ({"from_price": 9, "to_price": 8}, "from_price: from_price must not exceed to_price"),
        ({"offset": 9_990}, "offset: offset + limit is at most 10000"),
    ],
)
def test_each_guard_of_the_first_example_refuses(reports, change, rule):
    assert said(reports, "orders", **GOOD) == ("", "BER 2026-01-01 2026-01-31")
    reason, text = said(reports, "orders", **(GOOD | change))
    assert reason in {"argument-dangerous", "arguments-invalid"}
    assert rule in text


def test_files_programs_and_own_guards_work_as_written(reports):
    assert said(reports, "read_report", path="..data.txt") == ("", "inside")
    assert said(reports, "list_reports", path=".")[1] == '["..data.txt"]'
    assert said(reports, "write_report", path="new.txt", text="new") == ("", "new.txt")
    assert said(reports, "write_report", path="new.txt", text="new")[0] == "argument-dangerous"
    assert said(reports, "search", word="inside") == ("", "inside\n")
    assert said(reports, "search", word="--version")[0] == "argument-dangerous"
    assert said(reports, "fetch_page", url="https://evil.example/")[0] == "argument-dangerous"
    assert said(reports, "half", number=4) == ("", "2")
    assert "number: an even number" in said(reports, "half", number=3)[1]


def test_the_settings_of_the_page_hold_and_are_shown(reports):
    assert "number: a number of 1 to 1000" in said(reports, "half", number=1002)[1]
    shown = reports.cli("tools", "reports", "--tool", "half", "--json").stdout
    assert "Limit(max=1000, min=1)" in shown
    assert '"maximum": 1000' in shown or '"maximum":1000' in shown
