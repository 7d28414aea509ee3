"""Arguments as models and clients send them: taken where JSON Schema, or good sense, says that they are right."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal

import pytest
from msgspec import json
from pydantic import BaseModel, Field

from mcpward import DateRange, Limit, Server
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.sdk.errors import AuthoringError
from mcpward.tools.registry import Defaults, Registry
from mcpward.validation.accept import accept, accept_prompt, accept_variables
from support.calls import call_of
from support.cost import cost_of
from support.facts import facts_of


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Line(BaseModel):
    count: int
    note: str = "none"
    due: datetime | None = None


@dataclass
class Point:
    x: int
    label: str = "p"


class Cat(BaseModel):
    kind: Literal[1]
    lives: int


class Dog(BaseModel):
    kind: Literal[2]
    weight: float


server = Server("shop")


@server.tool(guards=[DateRange("start", "end", max_days=90)])
def act(
    n: Annotated[int, Limit(max=100)] = 20,
    step: Annotated[int, Field(multiple_of=5)] = 5,
    many: list[int] = [],  # noqa: B006  pydantic copies it
    named: dict[str, int] = {},  # noqa: B006
    level: Level = Level.LOW,
    pick: Literal[1, "a"] = "a",
    truth: Literal[True] = True,
    either: int | str = "x",
    maybe: int | None = 7,
    rate: float = 0.5,
    price: Decimal = Decimal(1),
    line: Line | None = None,
    lines: list[Line] = [],  # noqa: B006
    point: Point | None = None,
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None,
    text: str = "",
    free: Any = None,
    at: datetime | None = None,
    day: date | None = None,
    clock: time | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> None: ...


ACT = Registry("shop", server).tools[0]


def take(raw: bytes, tool=ACT) -> dict[str, Any]:
    return dict(accept(call_of(tool.name, raw), tool).arguments)


def refused(raw: bytes, tool=ACT) -> list[dict[str, str]]:
    with pytest.raises(Refusal) as no:
        accept(call_of(tool.name, raw), tool)
    assert no.value.reason is Reason.ARGUMENTS_INVALID
    assert no.value.__context__ is None
    return facts_of(no.value)["problems"]


@pytest.mark.parametrize(
    "raw,name,value",
    [
        (b'{"n": 5.0}', "n", 5),
        (b'{"n": 1e2}', "n", 100),
        (b'{"n": 1E1}', "n", 10),
        (b'{"step": -0.0}', "step", 0),
        (b'{"step": 1.5e1}', "step", 15),
        (b'{"step": 9007199254740995.0}', "step", 9007199254740995),
        (b'{"many": [1.0, 2, 3e0]}', "many", [1, 2, 3]),
        (b'{"named": {"a": 1.0, "b": 2}}', "named", {"a": 1, "b": 2}),
        (b'{"level": 2.0}', "level", Level.HIGH),
        (b'{"pick": 1.0}', "pick", 1),
        (b'{"either": 3.0}', "either", 3),
        (b'{"maybe": 3.0}', "maybe", 3),
        (b'{"line": {"count": 3.0}}', "line", Line(count=3)),
        (b'{"lines": [{"count": 1}, {"count": 2e0}]}', "lines", [Line(count=1), Line(count=2)]),
        (b'{"point": {"x": 1.0}}', "point", Point(1)),
        (b'{"pet": {"kind": 1.0, "lives": 9.0}}', "pet", Cat(kind=1, lives=9)),
        (b'{"pet": {"kind": 2, "weight": 9.0}}', "pet", Dog(kind=2, weight=9)),
    ],
)
def test_an_integer_may_be_written_with_a_point_or_an_exponent(raw, name, value):
    got = take(raw)[name]
    assert got == value
    assert type(got) is type(value)


def test_no_number_that_stays_is_altered():
    raw = b'{"n": 5.0, "rate": -0.0, "price": 12345678901234567890123, "free": [5.0, 1e3, "5.0"], "text": "5.0"}'
    got = take(raw)
    assert str(got["rate"]) == "-0.0"
    assert got["price"] == Decimal(12345678901234567890123)
    assert [type(one) for one in got["free"]] == [float, float, str]
    assert got["text"] == "5.0"
    assert take(b'{"step": 9007199254740995}')["step"] == 9007199254740995
    assert take(b'{"rate": 12345678901234567890123}')["rate"] == 12345678901234567890123.0


@pytest.mark.parametrize(
    "raw,path",
    [
        (b'{"n": 5.5}', "n"), (b'{"n": "5"}', "n"), (b'{"n": "5.0"}', "n"), (b'{"n": true}', "n"),
        (b'{"n": 101.0}', "n"), (b'{"step": 7.0}', "step"), (b'{"many": [1.5]}', "many.0"),
        (b'{"many": [null]}', "many.0"), (b'{"level": 3.0}', "level"), (b'{"level": true}', "level"),
        (b'{"pick": true}', "pick"), (b'{"truth": 1}', "truth"), (b'{"truth": 1.0}', "truth"),
        (b'{"line": {"count": true}}', "line.count"), (b'{"line": {"count": null}}', "line.count"),
    ],
)  # fmt: skip
def test_73_what_is_no_integer_stays_refused(raw, path):
    assert [problem["path"] for problem in refused(raw)] == [path]


@pytest.mark.parametrize("number", [b"1e19", b"1e30", b"9223372036854775808.0", b"1e400000", b"-1e400000"])
def test_73_an_integer_of_more_than_64_bits_is_refused_in_words(number):
    assert refused(b'{"step": %b}' % number) == [{"path": "step", "rule": "an integer within 64 bits"}]


def test_null_counts_as_left_out_where_it_cannot_be_meant():
    defaults = take(b"{}")
    nulls = json.encode(dict.fromkeys(defaults))
    assert take(nulls) == defaults | {"maybe": None}
    assert take(b'{"line": {"count": 1, "note": null, "due": null}}')["line"] == Line(count=1)
    assert take(b'{"point": {"x": 1, "label": null}}')["point"] == Point(1)


def test_null_is_none_where_the_type_has_it():
    assert take(b'{"maybe": null, "n": null}')["maybe"] is None


def test_null_for_what_is_required_is_refused():
    strict = Server("shop")

    @strict.tool
    def must(n: int, more: int = 1) -> None: ...

    tool = Registry("shop", strict).tools[0]
    assert refused(b'{"n": null, "more": null}', tool) == [{"path": "n", "rule": "an integer"}]


@pytest.mark.parametrize(
    "raw,name,value",
    [
        (b'{"at": "2026-03-01T10:00:00"}', "at", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (b'{"at": "2026-03-01 10:00"}', "at", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (b'{"at": "2026-03-01"}', "at", datetime(2026, 3, 1, tzinfo=UTC)),
        (b'{"at": "2026-03-01t08:00:00z"}', "at", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        (b'{"at": "2016-12-31T23:59:60Z"}', "at", datetime(2017, 1, 1, tzinfo=UTC)),
        (b'{"day": "2026-03-01T00:00:00Z"}', "day", date(2026, 3, 1)),
        (b'{"clock": "10:30"}', "clock", time(10, 30, tzinfo=UTC)),
        (
            b'{"line": {"count": 1, "due": "2026-03-01T10:00"}}',
            "line",
            Line(count=1, due=datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ),
    ],
)  # fmt: skip
def test_a_time_without_an_offset_is_in_utc(raw, name, value):
    got = take(raw)[name]
    assert got == value
    assert getattr(got, "tzinfo", UTC) is not None or type(got) is date


def test_a_text_that_looks_like_a_time_stays_as_it_is():
    assert take(b'{"text": "2026-03-01T10:00", "at": "2026-03-01T10:00"}')["text"] == "2026-03-01T10:00"


def test_a_range_may_mix_times_with_and_without_an_offset():
    assert take(b'{"start": "2026-03-01", "end": "2026-03-02T00:00:00+02:00"}')["end"] > datetime(
        2026, 3, 1, tzinfo=UTC
    )


def test_both_kinds_of_mistake_are_mended_at_once_and_what_is_left_is_told():
    raw = b'{"n": 5.0, "text": null, "many": [1.0, 1.5], "toolCallId": "call_1"}'
    assert refused(raw) == [{"path": "many.1", "rule": "an integer"}]


# ---- undeclared arguments --------------------------------------------------------------------------------

N8N = b'{"n": 1, "toolCallId": "call_1", "sessionId": "s", "action": "sendMessage", "chatInput": "x"}'


def tool_with(unknown: Any, of_server: Any = "drop-client", schema: dict[str, Any] | None = None):
    own = Server("shop")
    if schema is None:

        @own.tool(unknown_arguments=unknown)
        def act(n: int = 0, sessionId: str = "") -> None: ...  # noqa: N803  a client's name, declared
    else:

        @own.tool("act", unknown_arguments=unknown, input_schema=schema)
        def acting(arguments: dict[str, Any]) -> None: ...

    return Registry("shop", own, Defaults(unknown_arguments=of_server)).tools[0]


def test_77_what_clients_add_for_themselves_is_dropped_unless_it_is_declared():
    accepted = accept(call_of("act", N8N), tool_with(None))
    assert accepted.arguments == {"n": 1, "sessionId": "s"}
    assert accepted.dropped == ("toolCallId", "action", "chatInput")


def test_77_any_other_name_is_refused_by_default():
    (problem,) = refused(b'{"n": 1, "toolCallId": "x", "admin": true}', tool_with(None))
    assert problem["path"] == "admin"


def test_77_refuse_refuses_what_clients_add_too():
    paths = {problem["path"] for problem in refused(N8N, tool_with("refuse"))}
    assert paths == {"toolCallId", "action", "chatInput"}


@pytest.mark.parametrize("author,operator", [("drop", "drop-client"), (None, "drop"), ("drop", "refuse")])
def test_drop_drops_whatever_is_not_declared_at_the_top(author, operator):
    accepted = accept(call_of("act", b'{"n": 1.0, "admin": true, "a\\nb": {}}'), tool_with(author, operator))
    assert accepted.arguments == {"n": 1, "sessionId": ""}
    assert accepted.dropped == ("admin", "?")


def test_what_is_dropped_is_told_within_bounds():
    raw = json.encode({f"x{at}": at for at in range(500)})
    dropped = accept(call_of("act", raw), tool_with("drop")).dropped
    assert len(dropped) == 17
    assert dropped[-1] == "…"


def test_an_undeclared_name_within_an_argument_is_refused_all_the_same():
    own = Server("shop")

    @own.tool(unknown_arguments="drop")
    def act(line: Line) -> None: ...

    tool = Registry("shop", own).tools[0]
    (problem,) = refused(b'{"line": {"count": 1, "admin": true}, "more": 1}', tool)
    assert problem["path"] == "line.admin"


def test_an_unknown_word_for_unknown_arguments_is_an_authors_mistake():
    with pytest.raises(AuthoringError, match="unknown_arguments is 'refuse', 'drop-client', 'drop'"):
        tool_with("ignore")


# ---- hand-written schemas ------------------------------------------------------------------------------------------

WRITTEN = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "maximum": 100},
        "x": {"type": "number"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "at": {"type": "string", "format": "date-time"},
        "free": {},
    },
    "required": ["n"],
    "additionalProperties": False,
    "$defs": {"tag": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
}


def test_a_hand_written_schemas_integers_are_ints():
    tool = tool_with(None, schema=WRITTEN)
    raw = b'{"n": 5.0, "x": 5.0, "tags": [1.0, "1.0", 2e0], "free": 5.0}'
    got = take(raw, tool)["arguments"]
    assert got == {"n": 5, "x": 5.0, "tags": [1, "1.0", 2], "free": 5.0}
    assert [type(one) for one in (got["n"], got["x"], got["tags"][0], got["free"])] == [int, float, int, float]


def test_a_hand_written_schema_takes_nulls_times_and_n8n_as_others_do():
    tool = tool_with(None, schema=WRITTEN)
    raw = b'{"n": 1, "x": null, "at": "2026-03-01", "toolCallId": "x"}'
    accepted = accept(call_of("act", raw), tool)
    assert accepted.arguments == {"arguments": {"n": 1, "at": "2026-03-01T00:00:00Z"}}
    assert accepted.dropped == ("toolCallId",)
    assert refused(b'{"n": null}', tool) == [{"path": "n", "rule": "an integer of at most 100"}]
    assert refused(b'{"n": 1e30}', tool) == [{"path": "n", "rule": "an integer within 64 bits"}]


def test_an_open_schema_keeps_what_clients_add():
    tool = tool_with("drop", schema={"type": "object"})
    assert take(b'{"toolCallId": "x", "more": 1}', tool) == {"arguments": {"toolCallId": "x", "more": 1}}


# ---- prompts and templates -----------------------------------------------------------------------------------------


@server.prompt
def ask(week: int, tone: str = "short", since: datetime | None = None) -> str: ...


@server.resource("shop://weeks/{week}/{since}")
def weeks(week: int, since: datetime) -> str: ...


PROMPT = Registry("shop", server).prompts[0]


@pytest.mark.parametrize("text", ["7", "7.0", "7e0", "0.7e1"])
def test_a_prompts_integers_may_be_written_likewise(text):
    raw = json.encode({"week": text, "tone": None, "since": "2026-03-01T10:00"})
    bound = accept_prompt(call_of("ask", raw, method="prompts/get"), PROMPT.bind, PROMPT.schema)
    assert bound == {"week": 7, "tone": "short", "since": datetime(2026, 3, 1, 10, tzinfo=UTC)}


def test_a_templates_variables_may_be_written_likewise():
    resource = Registry("shop", server).find_resource("shop://weeks/1e1/2026-03-01")
    assert resource is not None
    assert accept_variables(resource.bind, resource.schema) == {"week": 10, "since": datetime(2026, 3, 1, tzinfo=UTC)}
    broken = Registry("shop", server).find_resource("shop://weeks/canary/2026-03-01")
    assert broken is not None
    with pytest.raises(Refusal) as no:
        accept_variables(broken.bind, broken.schema)
    assert facts_of(no.value)["problems"] == [{"path": "week", "rule": "an integer"}]


# ---- cost ----------------------------------------------------------------------------------------------------------


def taken(*what) -> None:
    with suppress(Refusal):
        take(*what)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"many": [' + b",".join([b"1.0"] * 99_000) + b"]}",
        b'{"many": [' + b",".join([b"1.5"] * 99_000) + b"]}",
        b'{"free": [' + b",".join([b"null"] * 99_000) + b'], "n": 1.0}',
        b'{"lines": [' + b",".join([b'{"count": 1.0, "note": null}'] * 30_000) + b"]}",
        b'{"n": 1' + b"0" * 3_000_000 + b"}",
        b'{"n": 1.' + b"0" * 3_000_000 + b"}",
    ],
)  # fmt: skip
def test_55_a_close_look_at_the_largest_body_is_short(raw):
    assert cost_of(lambda: taken(raw)) < 6


@pytest.mark.parametrize("item", [b"{}", b'{"n1": 1.0}', b'{"other": 1.0}'])
def test_55_a_close_look_at_objects_of_many_alternatives_is_short(item):
    parts = [{"type": "object", "properties": {f"n{at}": {"type": "integer"} for at in range(20)}} for _ in range(60)]
    schema = {"type": "object", "properties": {"items": {"type": "array", "items": {"anyOf": parts}}}}
    tool = tool_with(None, schema=schema | {"additionalProperties": False})
    raw = b'{"items": [' + b",".join([item] * 30_000) + b'], "toolCallId": 1.0}'
    assert cost_of(lambda: taken(raw, tool)) < 9
