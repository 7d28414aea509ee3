"""Arguments that the model cannot set: filled from the caller (``FromCaller``, ``bind``), or ``fixed`` by the operator.

They are in no published schema, so that a value of the model's is refused or dropped like any undeclared one. The
values are put in after the model's own arguments were accepted.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Struct
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from mcpward.config.limits import ToolSettings
from mcpward.config.names import nearest
from mcpward.core.caller_path import CallerPath, read_caller_path
from mcpward.core.caller_values import CallerValues
from mcpward.core.errors import Finding, Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.reasons import Reason
from mcpward.core.values import Principal
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.author_schema import PARAMETER, Written
from mcpward.sdk.schema.caller_value import converter
from mcpward.sdk.signature import Parameter

_LONGEST_TOLD: Final = 100
_UNDECLARED: Final = "not an argument of this tool"
Check = Callable[[Mapping[str, Any]], None]
Bind = Callable[[bytes], dict[str, Any]]


class FilledArgument(Struct, frozen=True, eq=False):
    """One argument, filled from the caller's ``path``, or with ``value`` if there is no path.

    ``is_member``: the function takes all arguments as one dict, and this is a member of it.
    """

    name: str
    convert: Callable[[Any], Any]
    path: CallerPath | None
    value: Any = None
    is_member: bool = False

    def fill(self, principal: Principal) -> Any:
        """Return the argument's value for a caller.

        Raises:
            Refusal: tool-unknown; the caller has no such value, or one of another type.
        """
        found = self._find(principal)
        if found is not None:
            try:
                return self.convert(found)
            except ValueError:
                pass  # outside of it: the error may quote the value
        raise Refusal(Reason.TOOL_UNKNOWN, self._problem(is_there=found is not None))

    def told(self, principal: Principal) -> str:
        """Return the argument with the caller's value, for the record."""
        written = to_json(self._find(principal), fallback=_plain).decode()
        return f"{self.name}={written if len(written) <= _LONGEST_TOLD else f'{written[:_LONGEST_TOLD]}…'}"

    def _find(self, principal: Principal) -> Any:
        return self.value if self.path is None else self.path.find(principal)

    def _problem(self, *, is_there: bool) -> str:
        if is_there:
            return f"the caller's {self.path} does not fit {self.name}, which it fills"
        return f"the caller has no {self.path}, which fills {self.name}"


class FilledArguments(Struct, frozen=True, eq=False):
    """A tool's arguments: ``arguments`` are left to the model, ``filled`` are not."""

    arguments: Arguments | Written
    filled: tuple[FilledArgument, ...] = ()

    def refusing(self, bind: Bind) -> Bind:
        """Return ``bind`` with a refusal of filled names: a written schema may take names that it does not list."""
        names = {one.name for one in self.filled if one.is_member}
        if not names:
            return bind

        def bind_refusing(raw: bytes) -> dict[str, Any]:
            bound = bind(raw)
            sent = names & bound[PARAMETER].keys()
            if sent:
                problems = Problems(tuple(Problem(name, _UNDECLARED) for name in sorted(sent)))
                raise Refusal(Reason.ARGUMENTS_INVALID, "an argument that is filled by mcpward", problems)
            return bound

        return bind_refusing

    def caller_values(self, check: Check | None, owners: tuple[CallerPath, ...] = ()) -> CallerValues | None:
        """Return what fills the arguments, and then has them checked; None if there is nothing to fill.

        ``owners`` are the values by which a result's rows are the caller's: without them it gets none.
        """
        if not self.filled:
            return CallerValues({}, partial(_unowned, owners), _as_they_are, _untold) if owners else None
        sources = {one.name: "" if one.path is None else f"caller.{one.path}" for one in self.filled}
        own = tuple(one for one in self.filled if one.path is not None)
        own_rows = tuple(FilledArgument("the owner of its rows", _same, path) for path in owners)
        missing = partial(_missing, (*own, *own_rows))
        return CallerValues(sources, missing, partial(_fill, self.filled, check), partial(_told, own))


def bound_arguments(
    server: str, definition: ToolDefinition, added: ToolSettings, findings: list[Finding]
) -> FilledArguments:
    """Return a tool's arguments without those that its author or the operator binds. What cannot be is a finding."""
    own = tuple(FilledArgument(one.name, one.convert, one.path) for one in definition.bound)
    if not added.bind and not added.fixed:
        return FilledArguments(definition.arguments, own)
    operator = _Operator(server, definition, added)
    bound = operator.bound(own)
    findings += operator.findings
    return bound or FilledArguments(definition.arguments, own)


class _Operator:
    """Reads ``bind`` and ``fixed`` of one tool."""

    def __init__(self, server: str, definition: ToolDefinition, added: ToolSettings) -> None:
        self.findings: list[Finding] = []
        self._definition = definition
        self._added = added
        self._key = f"servers.{server}.tools.{definition.name}"
        self._who = f"tool {definition.name!r} of server {server}"

    def bound(self, own: tuple[FilledArgument, ...]) -> FilledArguments | None:
        """Return the arguments, ``own`` are those that the author bound; None with findings."""
        arguments = self._definition.arguments
        try:
            if isinstance(arguments, Written):
                filled = tuple(self._members(arguments))
                left: Arguments | Written = arguments.without({one.name for one in filled})
            else:
                filled = tuple(self._parameters(arguments))
                left = self._without({one.name for one in filled})
        except AuthoringError as wrong:
            word = "bind" if self._added.bind else "fixed"
            finding = Finding(f"{self._who}: {word}: {wrong.what}", f"{self._key}.{word}", wrong.hint)
            self.findings.append(finding)
            return None
        return None if self.findings else FilledArguments(left, (*own, *filled))

    def _without(self, names: set[str]) -> Arguments:
        parameters = self._definition.signature.parameters
        left = tuple(one for one in parameters if one.name not in names)
        return Arguments(left, f"tool {self._definition.name!r}", self._definition.where)

    def _parameters(self, arguments: Arguments) -> Iterator[FilledArgument]:
        names = {alias: name for name, alias in arguments.written().items()}
        kinds = {one.name: _whole(one) for one in self._definition.signature.parameters}
        for word, name, path, value in self._entries(names):
            try:
                filled = FilledArgument(names[name], converter(kinds[names[name]], path), path, value)
                if path is None:
                    filled.convert(value)
            except ValueError as error:
                self._find(word, name, f"cannot be filled so: {error}", "see mcpward tools --schema")
            else:
                yield filled

    def _members(self, arguments: Written) -> Iterator[FilledArgument]:
        for word, name, path, value in self._entries(arguments.schema().get("properties", {})):
            convert = arguments.member(name, is_text=path is not None and path.is_text)
            filled = FilledArgument(name, convert, path, value, is_member=True)
            try:
                if path is None:
                    filled.convert(value)
            except ValueError as error:
                self._find(word, name, f"cannot be filled so: {error}", "see mcpward tools --schema")
            else:
                yield filled

    def _entries(self, known: Mapping[str, Any]) -> Iterator[tuple[str, str, CallerPath | None, Any]]:
        """Yield each entry of ``bind`` and ``fixed`` that names one of the tool's ``known`` arguments, once."""
        for name, path in self._added.bind.items():
            if self._is_known("bind", name, known):
                yield "bind", name, read_caller_path(path.removeprefix("caller.")), None
        for name, value in self._added.fixed.items():
            if name in self._added.bind:
                self._find("fixed", name, "is in bind too", "keep one of them")
            elif self._is_known("fixed", name, known):
                yield "fixed", name, None, value

    def _is_known(self, word: str, name: str, known: Mapping[str, Any]) -> bool:
        if name in known:
            return True
        if any(one.name == name for one in self._definition.bound):
            self._find(word, name, "is bound by the tool's author already", "remove the line")
            return False
        meant = nearest(name, known)
        hint = f"did you mean {meant}?" if meant else f"its arguments: {', '.join(known) or 'none'}"
        self._find(word, name, "is no argument of the tool", hint)
        return False

    def _find(self, word: str, name: str, problem: str, hint: str) -> None:
        self.findings.append(Finding(f"{self._who}: {word}: {name!r} {problem}", f"{self._key}.{word}.{name}", hint))


def _whole(parameter: Parameter) -> Any:
    """Return a parameter's annotation with what ``= Field(…)`` says of it."""
    own = parameter.default
    return Annotated[parameter.annotation, own] if isinstance(own, FieldInfo) else parameter.annotation


def _fill(
    filled: tuple[FilledArgument, ...], check: Check | None, principal: Principal, arguments: dict[str, Any]
) -> dict[str, Any]:
    whole = dict(arguments)
    for one in filled:
        if one.is_member:
            whole[PARAMETER] = {**whole[PARAMETER], one.name: one.fill(principal)}
        else:
            whole[one.name] = one.fill(principal)
    if check is not None:
        check(whole)
    return whole


def _missing(filled: tuple[FilledArgument, ...], principal: Principal) -> str:
    try:
        for one in filled:
            one.fill(principal)
    except Refusal as no:
        return no.detail
    return ""


def _unowned(owners: tuple[CallerPath, ...], principal: Principal) -> str:
    return _missing(tuple(FilledArgument("the owner of its rows", _same, path) for path in owners), principal)


def _same(value: Any) -> Any:
    return value


def _as_they_are(_principal: Principal, arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


def _untold(_principal: Principal) -> str:
    return ""


def _told(filled: tuple[FilledArgument, ...], principal: Principal) -> str:
    return f"from the caller: {', '.join(one.told(principal) for one in filled)}" if filled else ""


def _plain(value: Any) -> Any:
    """Claims are frozen all the way down."""
    return dict(value) if isinstance(value, Mapping) else None
