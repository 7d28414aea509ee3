"""Input that a published schema allows is accepted: inputs made from the schemas of every type that authors write."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    IPvAnyAddress,
    NaiveDatetime,
    NonNegativeInt,
    SecretStr,
)
from typing_extensions import TypedDict

from mcpward import Limit, Server
from mcpward.tools.local import load_server
from mcpward.tools.registry import Registry
from mcpward.validation.accept import accept
from support.calls import call_of
from support.generated import arguments_of, require_takes_what_it_publishes

ROOT = Path(__file__).resolve().parents[3]


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Mixed(Enum):
    ONE = 1
    WORD = "word"
    HALF = 0.5


class Item(BaseModel):
    model_config = ConfigDict(frozen=True)
    count: Annotated[int, Field(ge=1, le=1000)]
    note: str = "none"
    due: datetime | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Version(BaseModel):
    kind: Literal[2]
    weight: float
    born: date = date(2026, 1, 1)


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Loose(TypedDict):
    size: int
    unit: NotRequired[Literal["m", "ft"]]


@dataclass
class Point:
    x: int
    y: float = 0.0


class Pair(NamedTuple):
    left: int
    right: str


TYPES: dict[str, Any] = {
    "int": int,
    "bounded": Annotated[int, Limit(max=100)],
    "multiple": Annotated[int, Field(multiple_of=7, gt=-700, lt=700)],
    "float": float,
    "rate": Annotated[float, Field(ge=0, lt=1)],
    "int_or_float": int | float,
    "int_or_str": int | str,
    "int_or_none": int | None,
    "bool": bool,
    "bool_or_int": bool | int,
    "str": str,
    "short": Annotated[str, Field(min_length=1, max_length=5)],
    "patterned": Annotated[str, Field(pattern=r"^[a-z]{1,8}-[0-9]{2}$")],
    "bytes": bytes,
    "base64": Base64Bytes,
    "secret": SecretStr,
    "path": Path,
    "choice": Literal["a", "b"],
    "numbers": Literal[1, 2, "three"],
    "true": Literal[True],
    "int_enum": Number,
    "mixed_enum": Mixed,
    "decimal": Decimal,
    "price": Annotated[Decimal, Field(ge=0, le=100)],
    "datetime": datetime,
    "aware": AwareDatetime,
    "date": date,
    "time": time,
    "day_or_moment": date | datetime,
    "timedelta": timedelta,
    "uuid": UUID,
    "email": EmailStr,
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
    "ip": IPvAnyAddress,
    "any": Any,
    "object": dict[str, Any],
    "by_name": dict[str, int],
    "by_number": dict[int, str],
    "by_date": dict[date, int],
    "by_choice": dict[Literal["a", "b"], float],
    "list": list[int],
    "few": Annotated[list[int], Field(min_length=1, max_length=3)],
    "set": set[int],
    "frozenset": frozenset[Number],
    "tuple": tuple[int, str],
    "ints": tuple[int, ...],
    "sequence": Sequence[NonNegativeInt],
    "deque": deque[int],
    "mapping": Mapping[str, list[int]],
    "model": Item,
    "models": list[Item],
    "model_or_int": Item | int,
    "tagged": Annotated[Cat | Version, Field(discriminator="kind")],
    "untagged": Cat | Item | None,
    "tree": Tree,
    "typed_dict": Loose,
    "dataclass": Point,
    "named_tuple": Pair,
}


def tool_of(annotation: Any, default: Any = ...):
    server = Server("shop")

    def act(value: Any) -> None: ...

    act.__annotations__["value"] = annotation
    if default is not ...:
        act.__defaults__ = (default,)
    server.tool(act)
    return Registry("shop", server).tools[0]


TOOLS = {name: tool_of(annotation) for name, annotation in TYPES.items()}


def take(tool, raw: bytes):
    return accept(call_of(tool.name, raw), tool).arguments


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_schema_of_a_type_allows_is_accepted(name: str, data):
    tool = TOOLS[name]
    take(tool, data.draw(arguments_of(tool.listing["inputSchema"])))


def test_a_naive_type_promises_no_offset():
    schema = tool_of(NaiveDatetime).listing["inputSchema"]["properties"]["value"]
    assert "format" not in schema
    assert take(tool_of(NaiveDatetime), b'{"value": "2026-03-01T10:00:00"}')


@pytest.mark.parametrize("name", TYPES)
def test_only_formats_of_json_schema_are_published(name: str):
    known = {"date-time", "date", "time", "duration", "uuid", "email", "ipv4", "ipv6", "uri", "password"}
    text = str(TOOLS[name].listing["inputSchema"])
    assert set(re.findall(r"'format': '([^']*)'", text)) <= known


@pytest.mark.parametrize("source", ["examples/orders/tools.py", "tests/interop/everything.py"])
def test_what_the_schemas_of_real_servers_allow_is_accepted(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    require_takes_what_it_publishes(Registry("shop", load_server(str(ROOT / source))).tools)
