"""Whatever an author returns: JSON that every parser takes, or a path and a rule."""

import json
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from mcpward.sdk.schema.jsonable import NotJson, jsonable
from mcpward.sdk.schema.returns import explained, read_returns

NAIVE = datetime.fromisoformat("2026-03-01T12:00:00")
SOMETHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.datetimes()
    | st.times() | st.dates() | st.timedeltas() | st.decimals(allow_nan=False) | st.uuids(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.dictionaries(st.text() | st.integers() | st.datetimes(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


class Colour(Enum):
    RED = NAIVE


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    at: datetime = NAIVE
    inner: Any = None


@dataclass
class Point:
    at: time = time(1)
    inner: Any = None


class Packed(msgspec.Struct, rename="camel"):
    made_at: datetime = NAIVE


@given(SOMETHING)
def test_any_value_becomes_json_or_names_what_is_wrong(value: Any):
    try:
        plain = jsonable(value)
    except NotJson:
        return
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    assert msgspec.json.decode(text) == json.loads(text)


@given(SOMETHING)
def test_a_value_of_any_type_is_the_same_declared_or_not(value: Any):
    encode = read_returns(dict[str, Any], None, "", "").encode
    assert encode is not None
    try:
        plain = jsonable({"x": value})
    except NotJson:
        with pytest.raises(Exception, match="x"):
            encode({"x": value})
    else:
        assert json.loads(encode({"x": value})) == json.loads(json.dumps(plain))


def test_times_have_an_offset_wherever_they_stand():
    value = {
        "model": Open.model_validate({"inner": [Point(inner=Packed())], "more": NAIVE}), "enum": Colour.RED,
        NAIVE: (NAIVE,), time(2): {1},
        "deque": iter(deque([NAIVE])), "ordered": OrderedDict(a=date(2026, 1, 1)),
    }  # fmt: skip
    z = "2026-03-01T12:00:00Z"
    assert jsonable(value) == {
        "model": {"at": z, "inner": [{"at": "01:00:00Z", "inner": {"madeAt": z}}], "more": z},
        "enum": z, z: [z], "02:00:00Z": [1], "deque": [z], "ordered": {"a": "2026-01-01"},
    }  # fmt: skip


def test_other_values_are_written_as_pydantic_does():
    value = [Decimal("1E+30"), UUID(int=1), timedelta(days=-1), b"\xff", {(1, 2): 1, None: 2, Decimal(3): 3}]
    zeros = "00000000-0000-0000-0000-000000000001"
    assert jsonable(value) == ["1E+30", zeros, "-P1D", "/w==", {"1,2": 1, "None": 2, "3": 3}]


@pytest.mark.parametrize(
    "value,told",
    [
        ({"a": [1, {"b": float("nan")}]}, "a.1.b: not a finite number"),
        ({"canary 1": object()}, "*: object is not serializable"),
        (Open(inner=[float("inf")]), "inner.0: not a finite number"),
        (Open(inner={"x": object()}), "inner.x: object is not serializable"),
        (Point(inner=lambda: None), "inner: function is not serializable"),
        ([10**400], "0: a number of more than 308 digits"),
        ({object(): 1}, "object is not serializable as a name"),
    ],
)
def test_what_is_no_json_is_told_by_path_and_rule(value: Any, told: str):
    with pytest.raises(NotJson) as no:
        jsonable(value)
    assert explained(no.value) == told
