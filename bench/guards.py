"""The cost of one guard in the binding of a call's arguments: with it, less without it, in microseconds of CPU."""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table

from mcpward import (
    Argv,
    DateRange,
    Email,
    HttpUrl,
    Length,
    Limit,
    OneOf,
    Page,
    ParameterGuard,
    Pattern,
    SafeFile,
    SafePath,
    SafeUrl,
    Server,
    TimeWindow,
    Unique,
    Uuid,
)  # fmt: skip
from mcpward.config.limits import ToolSettings
from mcpward.tools.registry import Defaults, Registry

#: Many short turns: some of them have the processor to themselves.
CALLS = 1_000
TURNS = 150
MOST_US = 3.0


class Even(ParameterGuard):
    """A guard of an author's own."""

    def check(self, value: int) -> str | None:
        """Return the rule."""
        return None if value % 2 == 0 else "an even number"


def ordered(a: int, b: int) -> str | None:
    """a is at most b."""
    return None if a <= b else "a must not exceed b"


def measure(console: Console) -> None:
    """Print the table."""
    table = Table("guard", "µs", title="a guard in the binding of a call (without it: 0)")
    for name, cost in costs().items():
        table.add_row(name, f"{cost:.2f}", style="red" if cost > MOST_US else "")
    console.print(table)
    console.print(f"opening, looking at and closing a file below a folder: {opened_us():.1f} µs")


def costs() -> dict[str, float]:
    """Return the µs of each guard: the least of several turns, as ``timeit`` has it."""
    return {name: _difference(guarded, plain) for name, (guarded, plain) in _cases().items()}


def opened_us() -> float:
    """Return what it costs to hand a file over, in µs."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "deep").mkdir()
        (Path(folder) / "deep" / "file.txt").write_text("text")
        bind = _bind([("value", Annotated[SafeFile, SafePath(folder)])])
        raw = b'{"value":"deep/file.txt"}'

        def once() -> None:
            file = bind(raw)["value"]
            file.open()
            os.fstat(file.fd)
            file.close()

        return _difference(once, lambda: bind(raw))


def _cases() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    text, number = b'{"value":"DE-0042"}', b'{"value":42}'
    dates = b'{"a":"2026-01-01","b":"2026-02-01"}'
    mail, uuid = b'{"value":"someone@example.com"}', b'{"value":"123e4567-e89b-42d3-a456-426614174000"}'
    moment, url = b'{"value":"2026-02-01T10:00:00Z"}', b'{"value":"https://api.example.com/orders?page=2"}'
    several = b'{"value":["a","b","c","d","e"]}'
    pair = [("a", date), ("b", date)]
    numbers = [("a", int), ("b", int)]
    texts = [("a", str), ("b", str)]
    one = [("value", str)]
    folder = tempfile.gettempdir()
    return {
        "DateRange": (_call(pair, dates, [DateRange("a", "b", max_days=90)]), _call(pair, dates)),
        "TimeWindow": _on(datetime, TimeWindow(last_days=36_500), moment),
        "Limit": _on(int, Limit(max=100), number),
        "Length": _on(str, Length(max=100), text),
        "OneOf, a list": _on(str, OneOf(["DE-0042", "b"]), text),
        "Pattern": _on(str, Pattern("[A-Z]{2}-[0-9]{4}"), text),
        "Email": _on(str, Email(domains=["example.com"]), mail),
        "Uuid": _on(str, Uuid(), uuid),
        "Unique, of 5": _on(list[str], Unique(), several),
        "Argv": _on(str, Argv(), text),
        "SafePath, the name": (
            _call([("value", Annotated[SafeFile, SafePath(folder)])], b'{"value":"deep/file.txt"}'),
            _call(one, b'{"value":"deep/file.txt"}'),
        ),
        "HttpUrl": (_call([("value", Annotated[SafeUrl, HttpUrl(["api.example.com"])])], url), _call(one, url)),
        "Page": (_call(numbers, b'{"a":0,"b":20}', [Page("a", "b", max=100)]), _call(numbers, b'{"a":0,"b":20}')),
        "a rule of two parameters": (_call(numbers, b'{"a":0,"b":20}', [ordered]), _call(numbers, b'{"a":0,"b":20}')),
        "one of an author's own": _on(int, Even(), number),
        "DateRange of the file, on texts": (
            _call(texts, dates, tables=[{"guard": "date-range", "start": "a", "end": "b", "max_days": 90}]),
            _call(texts, dates),
        ),
    }  # fmt: skip


def _on(kind: Any, guard: Any, raw: bytes) -> tuple[Callable[[], Any], Callable[[], Any]]:
    return _call([("value", Annotated[kind, guard])], raw), _call([("value", kind)], raw)


def _call(
    parameters: Sequence[tuple[str, Any]], raw: bytes, guards: Sequence[Any] = (), tables: Sequence[Any] = ()
) -> Callable[[], Any]:
    bind = _bind(parameters, guards, tables)
    return lambda: bind(raw)


def _bind(
    parameters: Sequence[tuple[str, Any]], guards: Sequence[Any] = (), tables: Sequence[Any] = ()
) -> Callable[[bytes], dict[str, Any]]:
    names = ", ".join(name for name, _ in parameters)
    space: dict[str, Any] = {}
    exec(f"def take({names}):\n    '''Take.'''", space)
    take = space["take"]
    take.__annotations__ = dict(parameters) | {"return": str}
    server = Server("bench")
    server.tool("take", read_only=True, guards=guards)(take)
    settings = ToolSettings.model_validate({"guards": list(tables)})
    return Registry("bench", server, Defaults(tools={"take": settings})).tools[0].bind


def _difference(guarded: Callable[[], Any], plain: Callable[[], Any]) -> float:
    """Return what the one costs more than the other, in turns that alternate."""
    turns = [(_turn(guarded), _turn(plain)) for _ in range(TURNS)]
    return min(first for first, _ in turns) - min(second for _, second in turns)


def _turn(once: Callable[[], Any]) -> float:
    gc.collect(0)
    gc.disable()
    try:
        started = time.process_time()
        for _ in range(CALLS):
            once()
        return (time.process_time() - started) / CALLS * 1e6
    finally:
        gc.enable()
