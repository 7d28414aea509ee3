"""Results keep the published schema, as foreign clients check it, every format included.

Claude Code, opencode, Gemini CLI, Cline and others check results against ``outputSchema`` with the code of the official
TypeScript client. They refuse a whole result for one time without an offset.
"""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop import forms
from support.clients import environment, node_binary
from support.sources import ROOT
from support.ward import LAVISH, Ward, serving

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
SITE = f"""
[servers.forms]
source = "forms.py"
mode = "public"
[servers.forms.limits]
{LAVISH}
[servers.orders]
source = "orders/tools.py"
[servers.orders.limits]
{LAVISH}
[servers.pages]
source = "pages.py"
[servers.pages.limits]
{LAVISH}
[servers.readme]
source = "readme.py"
[budgets.openai]
rate = "1000/minute"
[budgets.stripe]
rate = "1000/minute"
"""
WEEK = {"from_date": "2026-03-02T00:00:00Z", "to_date": "2026-03-09T00:00:00Z"}
ORDERS = {
    "query_orders": WEEK, "order_summary": WEEK, "search_products": {"words": "oak"}, "slow_report": {"steps": 1},
    "cancel_order": {"order_id": 1},
}  # fmt: skip
PAGES = {
    "orders": {"limit": 1}, "size": {}, "picture": {}, "cancel": {"order_id": 1}, "shelf": {}, "whoami": {},
    "count": {"to": 1}, "wrap": {"order_id": 1}, "verse": {"about": "lamps"}, "places": {}, "empty": {},
    "between": {"start": "2026-01-01", "end": "2026-01-31"}, "products": {"name": "lamp"}, "lamps": {"colour": "red"},
    "describe": {"names": ["lamp"]}, "close_shop": {"closed": False}, "parcels": {},
    "my_shelf": {"contains": "la"}, "parcel": {"parcel_id": 1}, "cancel_order": {"order_id": "1"},
}  # fmt: skip
README = {"find_notes": {"word": "door"}}
FORMS: dict[str, Any] = {name: {} for name in (*forms.SIMPLE, *forms.OBJECTS)}
WITHHELD: dict[str, Any] = {f"no_{name}": {} for name in forms.WITHHELD}
#: They refuse by themselves: the caller has no token, an order was shipped, a parcel is of someone else.
MAY_REFUSE = {"parcels", "parcel", "cancel_order"}
#: Two texts of its author's own, and numbers that lose digits in JavaScript.
NOT_ALIKE = {"by_hand_in_parts", "large_int", "larger_int", "large_ints"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
NO_OFFSET = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?(?![\d.Z+-])")


def code_of(page: str) -> str:
    return "\n\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("results")
    shutil.copy(HERE / "forms.py", folder)
    shutil.copytree(ROOT / "examples" / "orders", folder / "orders", ignore=shutil.ignore_patterns("*.db", ".mcpward"))
    (folder / "pages.py").write_text(code_of("docs/authoring.md"))
    (folder / "readme.py").write_text(code_of("README.md"))
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE products (id INTEGER, name TEXT)")
        connection.execute("INSERT INTO products VALUES (1, 'lamp')")
    with serving(folder, servers=SITE, start=False) as ward:
        ward.key = ward.cli(
            "key", "create", "--name", "all", "--server", "*", "--scope", "*", "--class", "destructive"
        ).stdout.strip()  # fmt: skip
        ward.start()
        yield ward


def seen_by_typescript(ward: Ward, server: str, calls: Mapping[str, Any], home: Path) -> dict[str, Any]:
    key = "" if server == "forms" else ward.key
    words = [str(node_binary()), str(HERE / "results.mjs"), f"{ward.base}/{server}/mcp", key, json.dumps(calls)]
    run = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, env=environment(home), cwd=HERE
    )
    assert run.returncode == 0, run.stderr
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


@pytest.fixture(scope="module")
def seen(ward: Ward, node: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results that the client saw of each server."""
    calls = {"forms": FORMS | WITHHELD, "orders": ORDERS, "pages": PAGES, "readme": README}
    home = tmp_path_factory.mktemp("home")
    return {server: seen_by_typescript(ward, server, each, home) for server, each in calls.items()}


@pytest.mark.parametrize("server", ["forms", "orders", "pages", "readme"])
def test_every_result_keeps_its_schema_for_a_client_that_checks_it(seen: dict[str, Any], server: str):
    found = seen[server]
    assert set(found["listed"]) == set(found["seen"])
    assert found["warnings"] == []
    wrong = {
        name: {word: one[word] for word in one if word != "schema"}
        for name, one in found["seen"].items()
        if "error" in one or one.get("problems") or (one["isError"] and name not in WITHHELD.keys() | MAY_REFUSE)
    }
    assert wrong == {}


@pytest.mark.parametrize("server", ["forms", "orders", "pages", "readme"])
def test_every_result_keeps_its_schema_in_python_too(seen: dict[str, Any], server: str):
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    for name, one in seen[server]["seen"].items():
        if one["schema"] is not None and not one["isError"]:
            jsonschema.Draft202012Validator.check_schema(one["schema"])
            validator = jsonschema.Draft202012Validator(one["schema"], format_checker=checker)
            assert [error.message for error in validator.iter_errors(one["structured"])] == [], name


def test_each_time_has_an_offset_in_structure_and_text(seen: dict[str, Any]):
    for server in ("forms", "orders", "pages"):
        for name, one in seen[server]["seen"].items():
            for said in (json.dumps(one["structured"]), one["text"]):
                assert not NO_OFFSET.search(said), (name, said)
    times = seen["forms"]["seen"]
    assert times["naive"]["structured"] == {"result": "2026-03-01T12:00:00Z"}
    assert times["local"]["structured"] == {"result": "2026-03-01T12:00:00.123456-03:30"}
    assert times["mean"]["structured"] == {"result": "1890-01-01T11:06:32Z"}
    assert times["clock_with_seconds"]["structured"] == {"result": "23:16:32Z"}
    assert times["clock_with_offset"]["structured"] == {"result": "12:30:00.000005+05:45"}
    assert times["by_date"]["structured"] == {"2026-03-01T12:00:00Z": 1, "2026-03-01T12:00:00.123456-03:30": 2}
    assert all(
        RFC_3339.fullmatch(row["created_at"]) for row in seen["orders"]["seen"]["query_orders"]["structured"]["result"]
    )


def test_text_is_what_structure_says(seen: dict[str, Any]):
    for name, one in seen["forms"]["seen"].items():
        if one["isError"] or one["structured"] is None or name in NOT_ALIKE:
            continue
        whole = one["structured"]
        bare = whole["result"] if list((one["schema"] or {}).get("properties", {})) == ["result"] else whole
        assert one["text"] == bare or json.loads(one["text"]) == bare, name


def test_half_a_character_is_replaced_and_the_rest_arrives(seen: dict[str, Any]):
    found = seen["forms"]["seen"]
    assert found["half_text"]["structured"] == {"result": "a \ufffd b"}
    assert found["half_texts"]["structured"] == {"n\ufffd": ["\ufffd x"]}
    assert found["half_model"]["structured"]["result"][0]["name"] == "\ufffd"
    assert found["by_hand_in_parts"]["text"] == "a \ufffd\nb"
    assert json.loads(seen["forms"]["resources"]["forms://times"]) == {"at": "2026-03-01T12:00:00Z", "half": "\ufffd"}
    assert seen["forms"]["resources"]["forms://half"] == "a \ufffd \u2028 b"
    assert "withheld" in seen["forms"]["resources"]["forms://nan"]


def test_what_does_not_fit_is_withheld_and_the_operator_reads_why(ward: Ward, seen: dict[str, Any]):
    for name in WITHHELD:
        one = seen["forms"]["seen"][name]
        assert one["isError"], name
        assert "it does not match the tool's declared return type" in one["text"], name
    reasons = {row["tool"]: row["detail"] for row in ward.records("--reason", "output-refused")}
    assert set(WITHHELD) <= set(reasons)
    for name, words in {
        "no_nan": "not a finite number",
        "no_infinite": "rate: not a finite number",
        "no_nan_in_model": "x: not a finite number",
        "no_nan_in_free": "rate: not a finite number",
        "no_nan_undeclared": "rate: not a finite number",
        "no_beyond_double": "308 digits",
        "no_wrong_type": "name: wanted a valid string, found ",
        "no_changed_model": "name: does not fit the output schema (type string), found ",
        "no_changed_date": "at: does not fit the output schema (format date-time), found a text",
        "no_foreign_type": "p: PurePosixPath is not serializable",
        "no_clock_in_a_zone": "a time in a named zone",
    }.items():
        assert words in reasons[name], (name, reasons[name])
        assert f"forms: tools/call {name}: " in ward.log()
