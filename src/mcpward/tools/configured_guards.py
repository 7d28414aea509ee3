"""The guards of the site's file (``[servers.<name>.tools.<name>] guards``), checked against the tool's schema.

They stand on the names of the published schema, and read what the call sent: texts where an annotation makes dates.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mcpward.config.names import nearest
from mcpward.config.tool_guards import ToolGuard
from mcpward.core.errors import Finding
from mcpward.core.facts import Problem
from mcpward.core.subschema import Place, Subschemas
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.argv import Argv
from mcpward.sdk.guards.date_range import DateRange
from mcpward.sdk.guards.email_address import Email
from mcpward.sdk.guards.http_url import HttpUrl
from mcpward.sdk.guards.length import Length
from mcpward.sdk.guards.number_limit import Limit
from mcpward.sdk.guards.one_of import OneOf
from mcpward.sdk.guards.page_depth import Page
from mcpward.sdk.guards.parameter_guard import Guard, ParameterGuard
from mcpward.sdk.guards.pattern import Pattern
from mcpward.sdk.guards.placed import Placed, plain
from mcpward.sdk.guards.safe_path import PathName
from mcpward.sdk.guards.time_window import TimeWindow
from mcpward.sdk.guards.unique import Unique
from mcpward.sdk.guards.uuid_text import Uuid
from mcpward.sdk.schema.arguments import Arguments

_OF_VALUES: Final[Mapping[str, Callable[..., ParameterGuard]]] = {
    "argv": Argv,
    "email": Email,
    "http-url": HttpUrl,
    "length": Length,
    "limit": Limit,
    "one-of": OneOf,
    "time-window": TimeWindow,
    "unique": Unique,
    "uuid": Uuid,
}
_KINDS: Final = ("string", "integer", "number", "array", "object", "boolean")
_WHOLE: Final = "arguments"


def configured(
    server: str, definition: ToolDefinition, tables: Sequence[ToolGuard], findings: list[Finding]
) -> tuple[Guard, ...]:
    """Return the guards of a tool's tables. Each that does not fit the tool's schema is a finding."""
    if not tables:
        return ()
    top = Subschemas(definition.arguments.schema()).top
    key = f"servers.{server}.tools.{definition.name}.guards"
    made: list[Guard] = []
    for table in tables:
        try:
            guard = _made(table)
            kinds = _kinds(guard)
            for name in guard.parameters:
                _require(name, kinds, top)
        except AuthoringError as wrong:
            what = f"tool {definition.name!r} of server {server}: guard {table.guard}: {wrong.what}"
            findings.append(Finding(what, key, wrong.hint))
            continue
        made.append(Configured(guard, definition))
    return tuple(made)


def _made(table: ToolGuard) -> Guard:
    options = dict(table.options)
    if table.guard == "date-range":
        return DateRange(
            options.pop("start"), options.pop("end"), options.pop("max_days"), both=options.get("both", True)
        )
    if table.guard == "page":
        return Page(options.pop("offset"), options.pop("limit"), **options)
    parameter = options.pop("parameter")
    if table.guard == "safe-path":
        return Placed(parameter, PathName(_folder(options["root"])))
    if table.guard == "pattern":
        return Placed(parameter, Pattern(options.pop("pattern"), **options))
    if table.guard == "one-of":
        return Placed(parameter, OneOf(options.pop("values"), **options))
    if table.guard == "http-url":
        return Placed(parameter, HttpUrl(options.pop("hosts"), **options))
    return Placed(parameter, _OF_VALUES[table.guard](**options))


def _folder(root: str) -> Path:
    folder = Path(root)
    if not folder.is_absolute() or not folder.is_dir():
        raise AuthoringError("root is no folder", hint="write the absolute path of a folder that is there")
    return folder


def _kinds(guard: Guard) -> frozenset[str]:
    if isinstance(guard, Page):
        return frozenset({"integer"})
    kinds = guard.guard.kinds if isinstance(guard, Placed) else frozenset({"ordered"})
    # Dates are texts to a schema, with a format or without one.
    return kinds - {"ordered"} | {"string"} if "ordered" in kinds else kinds


def _require(name: str, kinds: frozenset[str], top: Place) -> None:
    if name not in top.names:
        meant = nearest(name, top.names)
        hint = f"did you mean {meant}?" if meant else f"its parameters: {', '.join(top.names) or 'none'}"
        raise AuthoringError(f"there is no parameter {name!r}", hint=hint)
    place = top.member(name)
    if kinds and not any(place.admits(kind) for kind in kinds):
        admitted = " or ".join(kind for kind in _KINDS if place.admits(kind)) or "nothing"
        read = " or ".join(sorted(kinds))
        raise AuthoringError(
            f"{name!r} is of type {admitted}", hint=f"this guard is for {read}; choose another parameter"
        )


class Configured:
    """A guard of the file, on the names of the published schema."""

    def __init__(self, guard: Guard, definition: ToolDefinition) -> None:
        self._guard = guard
        self._check: Callable[[Mapping[str, Any]], Any] = guard.check
        written = definition.arguments.written() if isinstance(definition.arguments, Arguments) else {}
        by_alias = {alias: name for name, alias in written.items()}
        #: The function's own names, where those are others, and where the function takes all arguments as one.
        self._is_whole = not isinstance(definition.arguments, Arguments)
        self._names = {name: by_alias.get(name, name) for name in guard.parameters}
        self.parameters = tuple(self._names.values())

    def describe(self) -> str:
        """Return the guard's sentence."""
        describe = getattr(self._guard, "describe", None)
        return str(describe()) if describe is not None else ""

    def keywords(self, parameter: str) -> Mapping[str, Any]:
        """Return the guard's members for the published schema."""
        keywords = getattr(self._guard, "keywords", None)
        name = next(one for one, own in self._names.items() if own == parameter)
        return keywords(name) if keywords is not None else {}

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        """Return the guard's problem with the arguments as they are named in the schema."""
        bound = arguments[_WHOLE] if self._is_whole else arguments
        said: Problem | None = self._check({name: plain(bound.get(own)) for name, own in self._names.items()})
        return said

    def __repr__(self) -> str:
        return repr(self._guard)
