"""Guards of the site's file, on tools whose source is not ours to edit: with annotations, with aliases, and without."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import AnyHttpUrl, Field, SecretStr

from mcpward import HttpUrl, SafeUrl, Server
from mcpward.config.limits import ToolSettings
from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.values import Tool
from mcpward.tools.registry import Defaults, Registry
from support.facts import facts_of

RANGE = {"guard": "date-range", "start": "from_date", "end": "to_date", "max_days": 90}
WRITTEN = {
    "type": "object",
    "properties": {
        "from_date": {"type": "string"}, "to_date": {"type": "string"}, "q": {"type": "string", "maxLength": 500},
        "tags": {"type": "array"}, "page": {"type": "integer"}, "size": {"type": "integer"},
        "state": {"type": "string"}, "path": {"type": "string"}, "note": {"type": ["string", "null"]},
    },
    "required": ["q"],
}  # fmt: skip


def others() -> Server:
    server = Server("shop")

    @server.tool(read_only=True)
    async def typed(from_date: date, to_date: date = date(2026, 12, 31)) -> str:
        """Typed."""
        return "typed"

    @server.tool(read_only=True)
    async def moments(from_date: datetime | None = None, to_date: datetime | None = None) -> str:
        """Moments."""
        return "moments"

    @server.tool(read_only=True)
    async def texts(from_date: str, to_date: str, q: Annotated[str, Field(alias="query")] = "") -> str:
        """Texts"""
        return "texts"

    @server.tool(read_only=True, input_schema=WRITTEN)
    async def written(arguments: dict[str, Any]) -> str:
        """Written."""
        return "written"

    return server


def served(tool: str, *tables: dict[str, Any]) -> Tool:
    additions = {tool: ToolSettings.model_validate({"guards": list(tables)})}
    found = Registry("shop", others(), Defaults(tools=additions)).find(tool)
    assert found is not None
    Draft202012Validator(found.listing["inputSchema"])
    return found


def refused(tool: Tool, raw: bytes) -> list[dict[str, str]]:
    with pytest.raises(Refusal) as no:
        tool.bind(raw)
    problems: list[dict[str, str]] = facts_of(no.value)["problems"]
    return problems


def typed(annotation: Any, guard: dict[str, Any]) -> Tool:
    server = Server("typed")

    @server.tool(read_only=True)
    async def echo(value: annotation) -> str:
        """Echo."""
        return "echo"

    additions = {"echo": ToolSettings.model_validate({"guards": [{"parameter": "value", **guard}]})}
    found = Registry("typed", server, Defaults(tools=additions)).find("echo")
    assert found is not None
    return found


LENGTH = {"guard": "length", "max": 2}
URLS = {"guard": "http-url", "hosts": ["a.example"]}
CODES = {"guard": "one-of", "values": ["a", 1]}


@pytest.mark.parametrize(
    "annotation,guard,good,bad",
    [
        (set[str], LENGTH, b'["a"]', b'["a", "b", "c"]'),
        (tuple[str, ...], LENGTH, b'["a"]', b'["a", "b", "c"]'),
        (SecretStr, LENGTH, b'"ab"', b'"abc"'),
        (AnyHttpUrl, URLS, b'"https://a.example/x"', b'"https://b.example/x"'),
        (Annotated[SafeUrl, HttpUrl(["*"])], URLS, b'"https://a.example/x"', b'"https://b.example/x"'),
        (Decimal, {"guard": "limit", "max": 5}, b"3", b"6"),
        (Path, {"guard": "argv"}, b'"a"', b'"-a"'),
        (Path, {"guard": "safe-path", "root": str(Path(__file__).parent)}, b'"a"', b'"../a"'),
        (str | list[str], CODES, b'"a"', b'["a"]'),
        (int | list[int], {"guard": "unique"}, b"[1, 2]", b"1"),
    ],
)
def test_a_guard_reads_what_the_call_sent_whatever_its_annotation_makes_of_it(annotation, guard, good, bad):
    tool = typed(annotation, guard)
    tool.bind(b'{"value": %b}' % good)
    assert refused(tool, b'{"value": %b}' % bad)[0]["path"] == "value"


@pytest.mark.parametrize("tool", ["typed", "texts", "written"])
def test_a_range_of_dates_holds_whatever_their_type_is(tool):
    guarded = served(tool, RANGE)
    more = b', "q": "x"' if tool == "written" else b""
    guarded.bind(b'{"from_date": "2026-01-01", "to_date": "2026-04-01"%b}' % more)
    (problem,) = refused(guarded, b'{"from_date": "2025-01-01", "to_date": "2026-01-01"%b}' % more)
    assert problem == {"path": "to_date", "rule": "date range cannot exceed 90 days; you asked for 365"}
    assert guarded.listing["description"].endswith("\n\nfrom_date to to_date is at most 90 days, and both are needed.")
    assert [guard[:10] for guard in guarded.guards] == ["DateRange("]


def test_a_default_of_the_author_is_part_of_the_range_and_an_open_range_is_refused():
    assert refused(served("typed", RANGE), b'{"from_date": "2026-01-01"}')[0]["rule"].startswith("date range cannot")
    assert refused(served("moments", RANGE), b"{}")[0]["path"] == "from_date"
    assert refused(served("written", RANGE), b'{"q": "x", "from_date": "2026-01-01"}')[0]["path"] == "to_date"
    served("moments", {**RANGE, "both": False}).bind(b"{}")


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "2026-02-30", "9" * 200, "2026-01-01T00:00:00+99:00"])
def test_a_text_that_is_no_date_is_refused_where_the_tool_takes_any_text(text):
    raw = b'{"from_date": "2026-01-01", "to_date": "%b"}' % text.encode()
    assert refused(served("texts", RANGE), raw) == [
        {"path": "to_date", "rule": "from_date and to_date are dates such as 2026-03-01"}
    ]


@pytest.mark.parametrize("text", ["2026-01-05 10:00", "2026-01-05T10:00:00.5+02:00", "2026-01-05"])
def test_dates_are_read_as_callers_write_them(text):
    served("texts", RANGE).bind(b'{"from_date": "2026-01-01", "to_date": "%b"}' % text.encode())


CASES: list[tuple[dict[str, Any], bytes, str, dict[str, Any]]] = [
    ({"guard": "length", "parameter": "q", "max": 5}, b'"q": "123456"', "at most 5 characters", {"maxLength": 5}),
    ({"guard": "length", "parameter": "tags", "max": 1}, b'"tags": [1, 2]', "at most 1 items", {"maxItems": 1}),
    (
        {"guard": "limit", "parameter": "size", "max": 9},
        b'"size": 10',
        "a number of 1 to 9",
        {"minimum": 1, "maximum": 9},
    ),
    (
        {"guard": "one-of", "parameter": "state", "values": ["a", "b"]},
        b'"state": "c"',
        "one of a, b",
        {"enum": ["a", "b"]},
    ),
    ({"guard": "email", "parameter": "note"}, b'"note": "x"', "an email address", {"format": "email"}),
    ({"guard": "uuid", "parameter": "q"}, b'"q": "x"', "a UUID", {"format": "uuid"}),
    ({"guard": "argv", "parameter": "q"}, b'"q": "-x"', "does not begin with -", {"maxLength": 500}),
    ({"guard": "pattern", "parameter": "q", "pattern": "[a-z]+"}, b'"q": "A"', "matches", {"pattern": "^(?:[a-z]+)$"}),
    ({"guard": "unique", "parameter": "tags"}, b'"tags": [1, 1]', "item 2 repeats", {"uniqueItems": True}),
    (
        {"guard": "http-url", "parameter": "q", "hosts": ["a.example"]},
        b'"q": "https://b.example/"',
        "an https URL of a.example",
        {"format": "uri"},
    ),
    (
        {"guard": "time-window", "parameter": "from_date", "last_days": 9},
        b'"from_date": "2001-01-01"',
        "within the last 9 days; you asked",
        {},
    ),
    (
        {"guard": "page", "offset": "page", "limit": "size", "max": 10, "depth": 50},
        b'"page": 45, "size": 10',
        "page + size is at most 50",
        {"maximum": 49},
    ),
]


@pytest.mark.parametrize("table,sent,rule,published", CASES, ids=[case[0]["guard"] for case in CASES])
def test_each_guard_is_published_and_refuses(table, sent, rule, published):
    guarded = served("written", table)
    (problem,) = refused(guarded, b"{%b%b}" % (sent, b"" if sent.startswith(b'"q"') else b', "q": "x"'))
    assert rule in problem["rule"]
    name = table.get("parameter") or table["offset"]
    assert problem["path"] == name
    assert published.items() <= guarded.listing["inputSchema"]["properties"][name].items()
    if not sent.startswith(b'"q"'):
        guarded.bind(b'{"q": "x"}')


def test_a_path_stays_below_a_folder_for_a_tool_that_opens_it_by_itself(tmp_path: Path):
    (tmp_path / "link").symlink_to("/etc")
    guarded = served("written", {"guard": "safe-path", "parameter": "path", "root": str(tmp_path)})
    for good in ("new.txt", "..data", f"{tmp_path}/a/b"):
        guarded.bind(b'{"q": "x", "path": "%b"}' % good.encode())
    for bad in ("../x", "/etc/passwd", "link", "link/passwd", f"{tmp_path}/../x", f"{tmp_path}x/y", "a\\\\b"):
        assert refused(guarded, b'{"q": "x", "path": "%b"}' % bad.encode())[0]["path"] == "path", bad


def test_a_parameter_with_an_alias_goes_by_the_name_that_callers_write():
    guarded = served("texts", {"guard": "length", "parameter": "query", "max": 3})
    assert guarded.listing["inputSchema"]["properties"]["query"]["maxLength"] == 3
    raw = b'{"from_date": "", "to_date": "", "query": "long"}'
    assert refused(guarded, raw)[0]["rule"] == "at most 3 characters"


@pytest.mark.parametrize(
    "table,what,hint",
    [
        ({**RANGE, "start": "form_date"}, "there is no parameter 'form_date'", "did you mean from_date?"),
        ({"guard": "email", "parameter": "tags"}, "'tags' is of type array", "this guard is for string"),
        ({"guard": "limit", "parameter": "q", "max": 1}, "'q' is of type string", "integer or number"),
        ({"guard": "page", "offset": "q", "limit": "size", "max": 1}, "'q' is of type string", "integer"),
        ({"guard": "length", "parameter": "q", "max": 1, "min": 2}, "Length: min is 2", "write Length"),
        ({"guard": "pattern", "parameter": "q", "pattern": "(?=a)"}, "is not supported", "no lookaround"),
        ({"guard": "safe-path", "parameter": "q", "root": "docs"}, "root is no folder", "absolute path"),
        ({"guard": "http-url", "parameter": "q", "hosts": ["https://x"]}, "hosts is a list of hosts", "write HttpUrl"),
    ],
)
def test_a_guard_that_does_not_fit_the_tool_is_a_finding_with_its_key(table, what, hint):
    with pytest.raises(Misconfigured) as wrong:
        served("written", table)
    (finding,) = wrong.value.findings
    assert what in finding.what
    assert hint in finding.hint
    assert finding.where == "servers.shop.tools.written.guards"
