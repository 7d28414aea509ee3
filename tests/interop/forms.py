"""A tool for each form that a result can have. Strict clients check every one against what ``tools/list`` publishes."""

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path, PurePosixPath
from re import Pattern, compile
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from pydantic import (
    AnyUrl,
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    FilePath,
    HttpUrl,
    Json,
    NaiveDatetime,
    PlainSerializer,
    PostgresDsn,
    RootModel,
    SecretStr,
    SerializeAsAny,
    StringConstraints,
    WithJsonSchema,
    WrapSerializer,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.networks import IPvAnyAddress, IPvAnyNetwork
from typing_extensions import TypedDict

from mcpward import Server, Text, ToolResult

server = Server("forms", version="1.0")
NAIVE = datetime(2026, 3, 1, 12, 0)  # noqa: DTZ001  the form that most authors return
LOCAL = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
#: Local mean time, with seconds in its offset.
MEAN = datetime(1890, 1, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
T = TypeVar("T")
Item = TypeVar("Item")


def gives(annotation: Any, value: Any, name: str) -> None:
    """Declare a tool that returns ``value`` and says that it returns ``annotation``."""

    async def tool() -> Any:
        """Returns one form."""
        return value() if callable(value) else value

    tool.__annotations__["return"] = annotation
    server.tool(name=name, read_only=True)(tool)


class Node(BaseModel):
    name: str
    at: datetime = NAIVE
    children: list["Node"] = []


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    born: datetime = NAIVE


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    walks: list[time] = [time(7, 30)]


class Colour(Enum):
    RED = "red"
    NONE = None


class Level(IntEnum):
    LOW = 1


class Pets(BaseModel):
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    colour: Colour = Colour.RED
    note: str = Field(default="x", alias="theNote")
    kept: int = Field(default=1, validation_alias="in", serialization_alias="out")


class Whole(BaseModel):
    """Members that pydantic leaves out or adds when it serializes."""

    model_config = ConfigDict(extra="allow")

    hidden: Annotated[datetime, Field(exclude=True)] = NAIVE
    often: Annotated[int | None, Field(exclude_if=lambda value: value is None)] = None
    limit: float = math.inf
    name: Annotated[str, StringConstraints(pattern=r"(?i)^[a-z\d]+\z")] = "A1"
    tags: set[str] = {"a"}

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def since(self) -> datetime:
        return NAIVE

    @computed_field(alias="theArea")  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def area(self) -> int:
        return 2


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", use_enum_values=True)
    level: Level = Level.LOW
    colour: Colour = Colour.NONE


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    following: "Page[Item] | None" = None


class Base(BaseModel):
    at: datetime = NAIVE


class More(Base):
    until: datetime = NAIVE


class Holder(BaseModel):
    plain: Base = More()
    anything: SerializeAsAny[Base] = More()
    free: Any = {"more": [More()], "at": (NAIVE, time(1)), "n": Decimal("1.5")}


class Written(BaseModel):
    """Authors who write their values themselves."""

    year: Annotated[datetime, PlainSerializer(lambda value: value.year, return_type=int)] = NAIVE
    unsaid: Annotated[datetime, PlainSerializer(lambda value: f"{value:%Y}")] = NAIVE
    same: Annotated[datetime, PlainSerializer(lambda value: value, return_type=datetime)] = NAIVE
    wrapped: Annotated[datetime, WrapSerializer(lambda value, then: then(value))] = NAIVE
    maybe: Annotated[
        datetime | None, PlainSerializer(lambda value: 1.5, return_type=float, when_used="unless-none")
    ] = None
    at: datetime = NAIVE
    cents: Annotated[Decimal, PlainSerializer(float, return_type=float)] = Decimal("1.5")

    @field_serializer("at")
    def _at(self, value: datetime) -> datetime:
        return value


class Replaced(BaseModel):
    at: datetime = NAIVE

    @model_serializer
    def _all(self) -> dict[str, datetime]:
        return {"moment": self.at}


class Around(BaseModel):
    """Serializers that hand on to pydantic's own."""

    at: datetime = NAIVE
    inner: "Around | None" = None
    clocks: dict[str, list[time]] = {"a": [time(1)]}

    @field_serializer("at", mode="wrap")
    def _at(self, value: datetime, then: Any) -> Any:
        return then(value)

    @model_serializer(mode="wrap")
    def _all(self, then: Any) -> dict[str, Any]:
        return {**then(self), "again": self.at}


class Row(TypedDict):
    at: datetime
    when: NotRequired[time]


class Pair(NamedTuple):
    at: datetime
    number: int = 1


@dataclass(frozen=True)
class Point:
    x: float
    at: datetime = NAIVE


@checked_dataclass
class Checked:
    at: datetime = NAIVE
    note: str = Field(default="n", alias="theNote")


class Packed(msgspec.Struct, rename="camel"):
    made_at: datetime = NAIVE
    later: Annotated[datetime, msgspec.Meta(tz=True)] = LOCAL
    took: timedelta = timedelta(days=-1)
    price: Decimal = Decimal("1E+30")
    clock: time = time(1, 2)
    raw: bytes = b"\xff"
    id: UUID = UUID(int=7)
    inner: "Packed | None" = None


Names = RootModel[dict[str, datetime]]
Nested = RootModel["list[Nested | int]"]
UserId = NewType("UserId", int)
SIMPLE: dict[str, tuple[Any, Any]] = {
    "naive": (datetime, NAIVE),
    "aware": (datetime, NAIVE.replace(tzinfo=UTC)),
    "local": (datetime, LOCAL),
    "mean": (datetime, MEAN),
    "first_year": (datetime, NAIVE.replace(year=1)),
    "naive_only": (NaiveDatetime, NAIVE),
    "aware_only": (AwareDatetime, LOCAL),
    "day": (date, date(2026, 3, 1)),
    "clock": (time, time(12, 30)),
    "clock_with_offset": (time, time(12, 30, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    "clock_with_seconds": (time, time(0, 10, tzinfo=timezone(timedelta(minutes=53, seconds=28)))),
    "took": (timedelta, timedelta(days=400, microseconds=1)),
    "took_back": (timedelta, timedelta(days=-1, seconds=1.5)),
    "price": (Decimal, Decimal("1.10")),
    "large_price": (Decimal, Decimal("1E+30")),
    "bounded_price": (Annotated[Decimal, Field(max_digits=5, decimal_places=2)], Decimal("-0.10")),
    "uuid": (UUID, UUID(int=5)),
    "path": (Path, Path("/a b/ü")),
    "pure_path": (PurePosixPath, PurePosixPath("a")),
    "file_path": (FilePath, Path(__file__)),
    "bytes": (bytes, b"hello"),
    "base64": (Base64Bytes, b"aGVsbG8="),
    "ipv4": (IPv4Address, IPv4Address("10.0.0.1")),
    "ipv6": (IPv6Address, IPv6Address("fe80::1%eth0")),
    "network": (IPv4Network, IPv4Network("10.0.0.0/8")),
    "network6": (IPv6Network, IPv6Network("::/0")),
    "interface": (IPv4Interface, IPv4Interface("10.0.0.1/8")),
    "any_address": (IPvAnyAddress, IPv6Address("::1")),
    "any_network": (IPvAnyNetwork, IPv4Network("10.0.0.0/8")),
    "url": (AnyUrl, AnyUrl("https://example.com/a|b?x={y}")),
    "http_url": (HttpUrl, HttpUrl("https://exämple.com/ü")),
    "dsn": (PostgresDsn, PostgresDsn("postgresql://u:p@a:1,b:2/db")),
    "regex": (Pattern[str], compile(r"(?P<x>a)")),
    "secret": (SecretStr, SecretStr("nobody sees this")),
    "fraction": (Fraction, Fraction(1, 3)),
    "complex": (complex, 1 + 2j),
    "size": (ByteSize, ByteSize(1024)),
    "json": (Json[dict[str, int]], '{"a": 1}'),
    "float": (float, 1e300),
    "whole_float": (float, 3),
    "tenth": (Annotated[float, Field(multiple_of=0.1)], 0.3),
    "large_int": (int, 2**63 + 1),
    "larger_int": (int, -(10**40)),
    "large_ints": (set[int], {2**53, 2**53 + 1}),
    "bool": (bool, True),
    "text": (str, "héllo \U0001f600"),
    "half_text": (str, "a \ud83d b"),
    "half_texts": (dict[str, list[str]], {"n\ud83d": ["\udc00 x"]}),
    "separators": (str, "a\u2028b\u2029c\x85d"),
    "pattern": (Annotated[str, StringConstraints(pattern=r"(?i)\A[a-z]+\z")], "Abc"),
    "set": (set[str], {"a", "b"}),
    "frozen_set": (frozenset[datetime], frozenset({NAIVE})),
    "tuple": (tuple[datetime, str], (NAIVE, "a")),
    "tuples": (tuple[datetime, ...], (NAIVE, LOCAL)),
    "deque": (deque[datetime], deque([NAIVE])),
    "counter": (Counter[str], Counter("aab")),
    "iterable": (Iterable[datetime], lambda: iter([NAIVE])),
    "dates": (dict[str, datetime], {"a": NAIVE}),
    "by_number": (dict[int, str], {1: "a"}),
    "by_date": (dict[datetime, int], {NAIVE: 1, LOCAL: 2}),
    "by_uuid": (dict[UUID, date], {UUID(int=1): date(2026, 1, 1)}),
    "by_path": (dict[Path, int], {Path("/a"): 1}),
    "by_pattern": (dict[Annotated[str, StringConstraints(pattern=r"(?i)^a")], int], {"Abc": 1}),
    "by_level": (dict[Level, int], {Level.LOW: 1}),
    "none": (None, None),
    "maybe": (int | None, None),
    "maybe_date": (datetime | None, NAIVE),
    "date_or_text": (datetime | str, "tomorrow"),
    "text_or_date": (str | datetime, NAIVE),
    "number_or_date": (int | date | datetime, NAIVE),
    "literal": (Literal["a", 1] | None, 1),
    "enum": (Colour, Colour.NONE),
    "int_enum": (Level, Level.LOW),
    "new_type": (UserId, UserId(7)),
    "own_schema": (Annotated[str, WithJsonSchema({"type": "string", "format": "email"})], "a@b.example"),
    "free_dict": (dict, {"at": NAIVE, 1: [time(1)], "d": {date(2026, 1, 1): Decimal("0.1")}, "n": None}),
    "free_values": (dict[str, Any], {"at": NAIVE, "point": Point(1.5), "row": Packed(), "model": Node(name="x")}),
    "free_list": (list, [NAIVE, {"t": LOCAL}, Colour.RED, {1, 2}, UUID(int=1)]),
    "undeclared": (Any, {"at": NAIVE, "node": Node(name="x"), "half": "\ud83d"}),
    "undeclared_list": (Any, [NAIVE, Point(0)]),
}  # fmt: skip
OBJECTS: dict[str, tuple[Any, Any]] = {
    "tree": (Node, Node(name="a", children=[Node(name="b")])),
    "trees": (list[Node], [Node(name="a")]),
    "maybe_tree": (Node | None, Node(name="a")),
    "pets": (Pets, lambda: Pets(pets=[Cat(), Dog()], theNote="y")),
    "pet": (Annotated[Cat | Dog, Field(discriminator="kind")], Dog()),
    "cat_or_dog": (Cat | Dog, Dog()),
    "whole": (Whole, lambda: Whole.model_validate({"limit": 1.5, "more": {"at": NAIVE}})),
    "closed": (Closed, Closed()),
    "page": (Page[datetime], lambda: Page[datetime](items=[NAIVE], following=Page[datetime](items=[]))),
    "page_of_nodes": (Page[Node], lambda: Page[Node](items=[Node(name="x")])),
    "holder": (Holder, Holder()),
    "written": (Written, Written()),
    "replaced": (Replaced, Replaced()),
    "around": (Around, Around(inner=Around())),
    "row": (Row, {"at": NAIVE, "when": time(1)}),
    "rows": (list[Row], [{"at": NAIVE}]),
    "pair": (Pair, Pair(NAIVE)),
    "pairs": (dict[str, Pair], {"a": Pair(LOCAL)}),
    "point": (Point, Point(1.5)),
    "checked": (Checked, Checked()),
    "packed": (Packed, Packed(inner=Packed())),
    "packs": (list[Packed], [Packed()]),
    "names": (Names, Names({"a": NAIVE})),
    "nested": (Nested, Nested([Nested([1]), 2])),
    "from_dict": (Node, {"name": "a", "at": "2026-03-01T12:00:00"}),
    "half_model": (list[Node], [{"name": "\ud83d"}]),
    "by_hand": (ToolResult, lambda: ToolResult(structured={"at": NAIVE}, meta={"com.example/at": "x"})),
    "by_hand_in_parts": (ToolResult, lambda: ToolResult([Text("a \ud83d"), "b"], structured={"n": 1.5})),
}
#: Values that are no JSON, or not what the tool declares: withheld here, before any client sees them.
WITHHELD: dict[str, tuple[Any, Any]] = {
    "nan": (float, math.nan),
    "infinite": (dict[str, float], {"rate": -math.inf}),
    "nan_in_model": (Point, Point(math.nan)),
    "nan_in_free": (dict, {"rate": math.nan}),
    "nan_undeclared": (Any, {"rate": math.inf}),
    "beyond_double": (int, 10**400),
    "wrong_type": (Node, {"name": 1}),
    "changed_model": (Node, lambda: Node.model_construct(name=None)),  # type: ignore[arg-type]  # that is the mistake
    "changed_date": (Node, lambda: Node.model_construct(name="a", at="yesterday")),  # type: ignore[arg-type]  # that is the mistake
    "wrong_serializer": (Annotated[int, PlainSerializer(str, return_type=int)], 1),
    "wrong_own_schema": (Annotated[str, WithJsonSchema({"type": "integer"})], "a"),
    "foreign_type": (dict, {"p": PurePosixPath("/a")}),
    "clock_in_a_zone": (time, time(12, tzinfo=ZoneInfo("Europe/Berlin"))),
}
for forms in (SIMPLE, OBJECTS, {f"no_{name}": form for name, form in WITHHELD.items()}):
    for form, (returned, given) in forms.items():
        gives(returned, given, form)


@server.resource("forms://times")
def times() -> dict[str, Any]:
    """Times in a resource."""
    return {"at": NAIVE, "half": "\ud83d"}


@server.resource("forms://half", annotations={"lastModified": "2026-03-01T12:00:00"})
def half() -> str:
    """Half a character."""
    return "a \ud83d \u2028 b"


@server.resource("forms://nan")
def nan() -> dict[str, float]:
    """No number."""
    return {"rate": math.nan}


@server.prompt()
def talk() -> str:
    """Half a character."""
    return "a \ud83d b"
