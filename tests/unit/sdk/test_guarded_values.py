"""Guards of single values: what each publishes, lets through and refuses, through everything that decides on a call."""

import asyncio
import json
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from uuid import UUID

import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel

from mcpward import (
    Argv,
    Email,
    Length,
    Limit,
    OneOf,
    Page,
    ParameterGuard,
    Pattern,
    Server,
    TimeWindow,
    Unique,
    Uuid,
)
from mcpward.sdk.errors import AuthoringError
from mcpward.testing import client
from support.clock import ManualClock

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


class Contact(BaseModel):
    mail: Annotated[str, Email()]


class Even(ParameterGuard):
    """Ten lines of an author's own."""

    kinds = frozenset({"integer"})

    def check(self, value: int) -> str | None:
        return None if value % 2 == 0 else "an even number"

    def describe(self) -> str:
        return "An even number."


def tool_of(annotation: Any, **options: Any) -> Server:
    server = Server("shop")

    async def take(value: Any) -> str:
        """Take it."""
        return type(value).__name__

    take.__annotations__["value"] = annotation
    server.tool("take", read_only=True, **options)(take)
    return server


async def outcome(server: Server, value: Any) -> tuple[str | None, str]:
    async with client(server) as shop:
        result = await shop.call("take", {"value": value})
        return result.reason, result.text


def published(server: Server) -> dict[str, Any]:
    schema = server.tools[0].arguments.schema()
    assert json.loads(json.dumps(schema)) == schema
    Draft202012Validator(schema)
    part: dict[str, Any] = schema["properties"]["value"]
    return part


CLOCK = ManualClock(NOW.timestamp())
SINCE = TimeWindow(last_days=90, next_days=0, clock=CLOCK)
AT_WORK = TimeWindow(between=("08:00", "18:00"), zone="Europe/Berlin", clock=CLOCK)
AT_NIGHT = TimeWindow(between=("22:00", "06:00"), clock=CLOCK)
GOOD = [
    (Annotated[str, Email()], "obrien@example.com"),
    (Annotated[str, Email(domains=["example.com", "*.example.org"])], "a.b+c@mail.example.org"),
    (Annotated[str, Uuid()], "123E4567-E89B-12D3-A456-426614174000"),
    (Annotated[UUID, Uuid(version=4)], "123e4567-e89b-42d3-a456-426614174000"),
    (Annotated[str, Argv()], 'O\'Brien; rm -rf $(HOME) `id` && a="b"'),
    (Annotated[str, Argv()], "1 OR 2 people"),
    (Annotated[str, Pattern(r"\w{2}-\d{4}")], "DE-0042"),
    (Annotated[str, Pattern(r"[\w.]+")], "a_b.c"),
    (Annotated[list[str], Unique()], ["a", "b", "A"]),
    (Annotated[list[bool | int], Unique()], [1, True, 0, False]),
    (Annotated[list[dict[str, int]], Unique(by="id")], [{"id": 1}, {"id": 2}, {}, {}]),
    (Annotated[str, OneOf(["draft", "paid"])], "paid"),
    (Annotated[int, OneOf([1, 2])], 2),
    (Annotated[str, Length(max=3)], "äöü"),
    (Annotated[list[int], Length(max=2, min=1)], [1, 2]),
    (Annotated[datetime, SINCE], "2026-06-15T12:00:00Z"),
    (Annotated[datetime, SINCE], "2026-03-17T12:00:00Z"),
    (Annotated[date, SINCE], "2026-06-15"),
    (Annotated[time, AT_WORK], "08:00:00Z"),
    (Annotated[datetime, AT_WORK], "2026-07-01T15:59:00Z"),
    (Annotated[datetime, AT_NIGHT], "2026-07-01T23:00:00Z"),
    (Annotated[int, Even()], 4),
    (Annotated[str | None, Email()], None),
]
BAD = [
    (Annotated[str, Email()], "a@b", "arguments-invalid", "an email address such as name@example.com"),
    (Annotated[str, Email()], "a@b.example\nBcc: c@d.example", "arguments-invalid", "an email address"),
    (Annotated[str, Email()], "A <a@b.example>", "arguments-invalid", "an email address"),
    (Annotated[str, Email(domains=["x.example"])], "a@y.example", "arguments-invalid", "an email address at x.example"),
    (Annotated[str, Email(domains=["*.x.example"])], "a@evilx.example", "arguments-invalid", "at *.x.example"),
    (Annotated[str, Uuid()], "{123e4567-e89b-12d3-a456-426614174000}", "arguments-invalid", "a UUID such as"),
    (Annotated[str, Uuid(version=4)], "123e4567-e89b-12d3-a456-426614174000", "arguments-invalid", "of version 4"),
    (Annotated[str, Argv()], "--output=/etc/passwd", "argument-dangerous", "a text that does not begin with -"),
    (Annotated[str, Argv()], "a\nb", "argument-dangerous", "one line, without a NUL"),
    (Annotated[str, Argv()], "a\0", "argument-dangerous", "one line, without a NUL"),
    (Annotated[str, Argv(not_first="-@")], "@file", "argument-dangerous", "does not begin with - or @"),
    (Annotated[str, Pattern("[a-z]+", example="abc")], "ab1", "arguments-invalid", "matches ^(?:[a-z]+)$, such as abc"),
    (Annotated[str, Pattern("[a-z]+")], "ab\n", "arguments-invalid", "matches"),
    (Annotated[str, Pattern(r"\d+")], "٣", "arguments-invalid", "matches"),
    (Annotated[str, Pattern(r"[\w]+")], "ä", "arguments-invalid", "matches"),
    (Annotated[list[str], Unique()], ["a", "b", "a"], "argument-dangerous", "item 3 repeats an earlier one"),
    (Annotated[list[dict[str, int]], Unique(by="id")], [{"id": 1}, {"id": 1}], "argument-dangerous", "each id once"),
    (Annotated[str, OneOf(["draft", "paid"])], "sent", "arguments-invalid", "one of draft, paid"),
    (Annotated[str, Length(max=3)], "four", "arguments-invalid", "a string of at most 3 characters"),
    (Annotated[list[int], Length(max=2)], [1, 2, 3], "arguments-invalid", "an array of at most 2 items"),
    (Annotated[int, Limit(max=5)], 6, "arguments-invalid", "an integer of 1 to 5"),
    (
        Annotated[datetime, SINCE],
        "2025-06-15T12:00:00Z",
        "argument-dangerous",
        "last 90 days, not in the future; you asked for 365 days ago",
    ),
    (Annotated[datetime, SINCE], "2026-06-20T12:00:00Z", "argument-dangerous", "you asked for 5 days ahead"),
    (Annotated[datetime, SINCE], "0001-01-01T00:00:00Z", "argument-dangerous", "within the last 90 days"),
    (Annotated[time, AT_WORK], "18:00:00Z", "argument-dangerous", "between 08:00 and 18:00 (Europe/Berlin)"),
    (Annotated[datetime, AT_WORK], "2026-07-01T16:00:00Z", "argument-dangerous", "between 08:00 and 18:00"),
    (Annotated[datetime, AT_NIGHT], "2026-07-01T12:00:00Z", "argument-dangerous", "between 22:00 and 06:00 (UTC)"),
    (Annotated[int, Even()], 3, "argument-dangerous", "an even number"),
    (Annotated[list[Annotated[int, Even()]], Length(max=9)], [2, 3], "argument-dangerous", "value.1: an even number"),
    (Contact, {"mail": "nobody"}, "arguments-invalid", "value.mail: an email address"),
]


@pytest.mark.parametrize("annotation,value", GOOD)
async def test_a_value_within_its_guard_reaches_the_tool(annotation, value):
    reason, text = await outcome(tool_of(annotation), value)
    assert (reason, text) == (None, text)


@pytest.mark.parametrize("annotation,value,reason,rule", BAD)
async def test_a_value_beyond_its_guard_is_refused_with_the_rule_and_without_the_value(annotation, value, reason, rule):
    refused, text = await outcome(tool_of(annotation), value)
    assert refused == reason, text
    assert rule in text
    assert str(value) not in text


@pytest.mark.parametrize(
    "annotation,said",
    [
        (Annotated[str, Email(domains=["x.example"])], {"format": "email", "description": "An address at x.example."}),
        (Annotated[str, Uuid()], {"format": "uuid"}),
        (
            Annotated[str, Argv()],
            {"maxLength": 1000, "description": "One line, taken literally, that does not begin with -."},
        ),
        (Annotated[str, Pattern("[a-z]+")], {"pattern": "^(?:[a-z]+)$"}),
        (Annotated[list[str], Unique()], {"uniqueItems": True}),
        (Annotated[str, OneOf(["a", "b"])], {"enum": ["a", "b"]}),
        (Annotated[str, Length(max=9)], {"maxLength": 9}),
        (
            Annotated[datetime, SINCE],
            {"format": "date-time", "description": "Within the last 90 days, not in the future."},
        ),
        (Annotated[int, Even()], {"description": "An even number."}),
    ],
)
def test_the_rule_is_in_the_published_schema(annotation, said):
    assert said.items() <= published(tool_of(annotation)).items()


@pytest.mark.parametrize(
    "make,what",
    [
        (lambda: Email(domains="example.com"), "Email: domains is a list of domains"),
        (lambda: Uuid(version=9), "Uuid: version is 1 to 8"),
        (lambda: Argv(not_first="@"), "Argv: not_first contains the hyphen"),
        (lambda: Argv(max=0), "Argv: max is a whole number of characters"),
        (lambda: Pattern("(?=a)"), "Pattern: '(?=a)' is not supported"),
        (lambda: Pattern("a", example="b"), "Pattern: its example does not match it"),
        (lambda: OneOf([]), "OneOf: the values are a list of texts or whole numbers"),
        (lambda: OneOf("abc"), "OneOf: the values are a list of texts or whole numbers"),
        (lambda: OneOf(list, ttl_s=-1), "OneOf: ttl_s is 0 to 86400 seconds"),
        (lambda: Length(max=-1), "Length: max and min are whole numbers of 0 or more"),
        (lambda: Length(max=1, min=2), "Length: min is 2, which is above max, 1"),
        (TimeWindow, "TimeWindow has no bound"),
        (lambda: TimeWindow(zone="Mars", last_days=1), "TimeWindow: there is no zone 'Mars'"),
        (lambda: TimeWindow(between=("8", "9")), "TimeWindow: between is two times of day"),
        (lambda: Page("a", "b", max=0), "Page: max and depth are whole numbers, and max is not above depth"),
        (
            lambda: tool_of(Annotated[int, Email()]),
            "'value': Email reads texts, and the type is int",
        ),
        (lambda: tool_of(Annotated[str, SINCE]), "TimeWindow reads dates and times, and the type is str"),
        (lambda: tool_of(Annotated[int, Length(max=3)]), "a length bounds texts and lists, and int is neither"),
        (lambda: tool_of(Annotated[dict[str, int], Unique()]), "Unique reads lists"),
        (lambda: tool_of(list[Annotated[str, OneOf(lambda: ["a"])]]), "OneOf cannot stand within another type"),
        (lambda: tool_of(str, guards=[Email()]), "Email guards one value, and stands in the annotation"),
    ],
)
def test_a_guard_that_cannot_hold_is_told_at_registration_with_a_hint(make, what):
    with pytest.raises(AuthoringError) as wrong:
        make()
    assert what in wrong.value.what
    assert wrong.value.hint


async def test_a_list_from_a_query_is_fetched_once_for_all_and_again_when_it_is_old():
    asked: list[int] = []
    begun, gate = asyncio.Event(), asyncio.Event()

    async def codes() -> list[dict[str, str]]:
        asked.append(1)
        begun.set()
        await gate.wait()
        return [{"code": f"W{number}"} for number in range(len(asked) + 1)]

    clock = ManualClock()
    server = tool_of(Annotated[str, OneOf(codes, ttl_s=60, shows=True, says="a warehouse code", clock=clock)])
    assert published(server)["description"] == "a warehouse code."
    async with client(server) as shop:
        first, second = (asyncio.ensure_future(shop.call("take", {"value": name})) for name in ("W1", "W2"))
        await begun.wait()
        gate.set()
        assert (await first).reason is None
        refused = await second
        assert refused.reason == "argument-dangerous"
        assert "value: one of the 2 values that exist: W0, W1 (a warehouse code)" in refused.text
        assert asked == [1]
        clock.advance(61)
        assert (await shop.call("take", {"value": "W2"})).reason is None
        assert asked == [1, 1]


@pytest.mark.parametrize("fetch", [lambda: ["a", 1.5], lambda: 1 // 0, lambda: ["a"] * 3, lambda: None])
async def test_a_list_that_cannot_be_had_fails_the_call_and_says_nothing(fetch):
    server = tool_of(Annotated[str, OneOf(fetch, max_values=2)])
    async with client(server) as shop:
        failed = await shop.call("take", {"value": "a"})
        assert failed.reason == "tool-failed"
        assert "ZeroDivision" not in failed.text


async def test_a_sync_list_is_fetched_in_a_thread_and_a_slow_one_ends_at_the_deadline():
    async def never() -> list[str]:
        await asyncio.Event().wait()
        return []

    server = tool_of(Annotated[str, OneOf(lambda: ["a"])])
    assert (await outcome(server, "a"))[0] is None
    assert (await outcome(tool_of(Annotated[str, OneOf(never)], deadline_s=0.05), "a"))[0] == "tool-timeout"


async def test_rules_over_several_parameters_are_plain_functions():
    server = Server("shop")

    def ordered(from_price: int, to_price: int) -> str | None:
        """from_price is at most to_price"""
        return None if from_price <= to_price else "from_price must not exceed to_price"

    async def known(to_price: int) -> str | None:
        return "a price that was paid before" if to_price == 13 else None

    @server.tool(read_only=True, guards=[ordered, known])
    async def find(from_price: int, to_price: int = 100) -> int:
        """Find."""
        return to_price - from_price

    async with client(server) as shop:
        assert (await shop.call("find", from_price=1)).value == 99
        refused = await shop.call("find", from_price=101)
        assert (refused.reason, "from_price must not exceed" in refused.text) == ("argument-dangerous", True)
        assert (await shop.call("find", from_price=1, to_price=13)).reason == "argument-dangerous"
        (tool,) = await shop.tools()
        assert tool["description"] == "Find.\n\nfrom_price is at most to_price."


@pytest.mark.parametrize(
    "rule,what",
    [
        (lambda form_price: None, "names 'form_price', which is not a parameter"),
        (lambda: None, "does not name its parameters"),
        (lambda *prices: None, "does not name its parameters"),
    ],
)
def test_a_rule_over_no_parameter_is_told_at_registration(rule, what):
    server = Server("shop")
    with pytest.raises(AuthoringError, match=what):
        server.tool("find", guards=[rule])(_priced)


def _priced(from_price: int) -> None: ...


async def test_a_rule_that_answers_yes_or_no_and_one_that_raises_fail_closed():
    for rule in (lambda value: True, lambda value: 1 // 0):
        reason, text = await outcome(tool_of(int, guards=[rule]), 1)
        assert reason == "fault"
        assert "ZeroDivision" not in text


async def test_a_page_is_bounded_in_size_and_depth():
    server = Server("shop")

    @server.tool(read_only=True, guards=[Page("offset", "limit", max=100, depth=1000)])
    async def rows(offset: int = 0, limit: int = 20) -> int:
        """Rows."""
        return limit

    async with client(server) as shop:
        (tool,) = await shop.tools()
        assert tool["inputSchema"]["properties"]["offset"] | {"default": 0} == {
            "type": "integer", "default": 0, "minimum": 0, "maximum": 999,
        }  # fmt: skip
        assert tool["description"].endswith("offset + limit is at most 1000.")
        assert (await shop.call("rows", offset=900, limit=100)).value == 100
        deep = await shop.call("rows", offset=901, limit=100)
        assert "offset + limit is at most 1000; filter more" in deep.text
        assert "limit: an integer of 1 to 100" in (await shop.call("rows", limit=101)).text
        assert "offset: an integer of at least 0" in (await shop.call("rows", offset=-1)).text


async def test_a_guard_that_waits_and_returns_no_text_fails_its_call_and_no_more():
    class Wrong(ParameterGuard):
        async def check(self, value: str) -> Any:
            return 5 if value == "five" else None

    tool = tool_of(Annotated[str, Wrong()])
    assert (await outcome(tool, "five"))[0] == "tool-failed"
    assert (await outcome(tool, "fine"))[0] is None
