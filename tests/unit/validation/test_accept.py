"""Arguments from raw bytes: strict, closed, explained by path and rule and never by value (attacks 73, 77, 83)."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from pydantic import BaseModel, ConfigDict, Field

from mcpward import Limit, Server
from mcpward.core.errors import Fault, Refusal
from mcpward.core.reasons import Reason
from mcpward.tools.registry import Registry
from mcpward.validation.accept import accept, accept_prompt
from support.calls import call_of
from support.facts import facts_of


class Inner(BaseModel):
    id: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


class Colour(Enum):
    RED = "red"


server = Server("shop")


@server.tool
def act(
    n: int = 0,
    limit: Annotated[int, Limit(max=100)] = 20,
    rate: float = 0.0,
    on: bool = False,
    text: Annotated[str, Field(max_length=5, pattern=r"^[a-z]*$")] = "",
    at: datetime | None = None,
    mode: Literal["a", "b"] = "a",
    colour: Colour = Colour.RED,
    inner: Inner | None = None,
    orders: list[Inner] = [],  # noqa: B006  pydantic copies it
    free: Open | None = None,
    any_text: str = "",
) -> None: ...


@server.tool
def must(n: int) -> None: ...


@server.prompt
def ask(week: int, name: str = "x") -> str: ...


registry = Registry("orders", server)
ACT, MUST, ASK = registry.tools[0], registry.tools[1], registry.prompts[0]


STRANGE = "not an argument of this tool; there are "
STRANGE += "n, limit, rate, on, text, at, mode, colour, inner, orders, free, any_text"


def refused(raw: bytes | None, tool=ACT):
    with pytest.raises(Refusal) as refusal:
        accept(call_of(tool.name, raw), tool)
    assert refusal.value.reason is Reason.ARGUMENTS_INVALID
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
    return facts_of(refusal.value)["problems"]


@pytest.mark.parametrize("raw", [None, b"{}", b" { } "])
def test_defaults_fill_what_is_not_given(raw):
    accepted = accept(call_of("act", raw), ACT)
    assert accepted.arguments["limit"] == 20
    assert accepted.tool is ACT


@pytest.mark.parametrize(
    "raw,path,rule",
    [
        (b'{"n": "1"}', "n", "an integer"),
        (b'{"n": 1.5}', "n", "an integer"),
        (b'{"n": 1e-1}', "n", "an integer"),
        (b'{"n": 1e19}', "n", "an integer within 64 bits"),
        (b'{"n": 1e30}', "n", "an integer within 64 bits"),
        (b'{"n": 1e400000}', "n", "an integer within 64 bits"),
        (b'{"n": 9223372036854775808.0}', "n", "an integer within 64 bits"),
        (b'{"n": true}', "n", "an integer"),
        (b'{"n": 9223372036854775808}', "n", "an integer within 64 bits"),
        (b'{"n": -9223372036854775809}', "n", "an integer within 64 bits"),
        (b'{"n": 1' + b"0" * 400 + b"}", "n", "an integer within 64 bits"),
        (b'{"rate": 1e999}', "rate", "a finite number"),
        (b'{"rate": "1"}', "rate", "a number"),
        (b'{"on": 1}', "on", "true or false"),
        (b'{"on": "true"}', "on", "true or false"),
        (b'{"limit": 101}', "limit", "an integer of 1 to 100"),
        (b'{"limit": 0}', "limit", "an integer of 1 to 100"),
        (b'{"text": "abcdef"}', "text", "a string of at most 5 characters that matches ^[a-z]*$"),
        (b'{"text": "A"}', "text", "a string of at most 5 characters that matches ^[a-z]*$"),
        (b'{"text": 5}', "text", "a string of at most 5 characters that matches ^[a-z]*$"),
        (b'{"mode": "canary"}', "mode", 'one of "a", "b"'),
        (b'{"colour": "canary"}', "colour", '"red"'),
        (b'{"at": "canary"}', "at", "an RFC 3339 date-time such as 2026-03-01T00:00:00Z or null"),
        (b'{"zzz": 1}', "zzz", STRANGE),
        (b'{"limits": 1}', "limits", "not an argument of this tool; did you mean limit?"),
        (b'{"inner": {"id": 1, "extra": "canary"}}', "inner.extra", "not a member of this object; there are id"),
        (b'{"free": {"id": 1, "extra": "canary"}}', "free.extra", "not a member of this object; there are id"),
        (b'{"orders": [{"id": 1}, {"id": "canary"}]}', "orders.1.id", "an integer"),
        (b'{"inner": {"id": "1"}}', "inner.id", "an integer"),
        (b'{"inner": {"id": true}}', "inner.id", "an integer"),
        (b"[]", "", "an object"),
        (b"null", "", "an object"),
        (b'"text"', "", "an object"),
        (b"{", "", "valid JSON"),
    ],
)
def test_what_does_not_fit_is_named_by_path_and_rule(raw, path, rule):
    problems = refused(raw)
    assert problems == [{"path": path, "rule": rule}]


def test_a_missing_argument_is_required():
    assert refused(b"{}", MUST) == [{"path": "n", "rule": "required: an integer"}]


def test_all_problems_are_told_but_not_without_end():
    assert len(refused(b'{"n": "x", "rate": "x"}')) == 2
    many = json.encode({f"x{number}": 1 for number in range(1000)})
    assert len(refused(many)) == 16
    assert len(refused(json.encode({"orders": [{"id": 2**70}] * 1000}))) == 8


@pytest.mark.parametrize("name", ["a" * 65, "a\r\nset-cookie: b", "\x1b[31m", "\u202e", "<script>", "a b", ""])
def test_a_name_that_the_caller_made_up_is_not_echoed(name):
    assert refused(json.encode({name: 1})) == [{"path": "?", "rule": STRANGE}]


@pytest.mark.parametrize(
    "text", ["a\r\nX-Admin: 1", "{self.__class__}", "{{7*7}}", "\u202e", "' OR 1=1 --", "12345678901234567890"]
)
def test_a_text_is_taken_as_it_is(text):
    accepted = accept(call_of("act", json.encode({"any_text": text})), ACT)
    assert accepted.arguments["any_text"] == text


def test_integers_of_64_bits_are_fine():
    for number in (2**63 - 1, -(2**63)):
        assert accept(call_of("must", json.encode({"n": number})), MUST).arguments == {"n": number}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=70), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(list(ACT.listing["inputSchema"]["properties"])) | st.text(max_size=70), json_values)
)
def test_whatever_comes_is_accepted_or_refused_and_never_quoted(arguments):
    for problem in problems_of_any(json.encode(arguments)):
        assert set(problem) == {"path", "rule"}
        assert problem["path"].isprintable()
        assert len(problem["rule"]) < 310
        assert "canary" not in problem["rule"]


def problems_of_any(raw: bytes) -> list[dict[str, str]]:
    try:
        accept(call_of("act", raw), ACT)
    except Refusal as refusal:
        return facts_of(refusal)["problems"]
    return []


def test_a_prompts_arguments_are_texts_read_as_their_types():
    call = call_of("ask", b'{"week": "7"}', method="prompts/get")
    assert accept_prompt(call, ASK.bind, ASK.schema) == {"week": 7, "name": "x"}


@pytest.mark.parametrize(
    "raw,path,rule",
    [
        (b'{"week": "canary"}', "week", "an integer"),
        (b'{"week": 7}', "", "an object of strings"),
        (b'{"week": "7", "more": "canary"}', "more", "not an argument of this tool; there are week, name"),
        (b"{}", "week", "required: an integer"),
        (b"[]", "", "an object of strings"),
    ],
)
def test_a_prompts_wrong_arguments_are_wrong_params(raw, path, rule):
    with pytest.raises(Refusal) as refusal:
        accept_prompt(call_of("ask", raw, method="prompts/get"), ASK.bind, ASK.schema)
    assert refusal.value.reason is Reason.PARAMS_INVALID
    assert facts_of(refusal.value)["problems"] == [{"path": path, "rule": rule}]


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_guard_that_exits_is_a_fault_and_ends_nothing(raised):
    class Exits:
        parameters = ()

        def check(self, _arguments):
            raise raised

    careless = Server("shop")

    @careless.tool(guards=[Exits()])
    def act() -> None: ...

    with pytest.raises(Fault):
        accept(call_of("act", b"{}"), Registry("orders", careless).tools[0])


def test_a_flood_of_unknown_names_is_told_in_one_line():
    raw = b"{" + b",".join(b'"n%d":1' % at for at in range(5000)) + b"}"
    assert refused(raw) == [{"path": "", "rule": "fewer than 1000 things wrong at once"}]
