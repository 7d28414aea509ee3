"""The guards of one tool as its author declared them: in ``guards=``, and in annotations, if they have to wait."""

import inspect
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any

from mcpward.sdk.checks import no_parameter
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.function_rule import Rule
from mcpward.sdk.guards.parameter_guard import Guard, ParameterGuard, name_of
from mcpward.sdk.guards.placed import Placed
from mcpward.sdk.guards.safe_path import SafePath
from mcpward.sdk.schema.bounds import annotated, is_native
from mcpward.sdk.signature import Signature

_LISTS = (list, tuple, set, frozenset)


def read_guards(guards: Any, signature: Signature, what: str, place: str) -> tuple[Guard, ...]:
    """Return the guards. One over a parameter that does not exist would check nothing.

    Raises:
        AuthoringError: no list, something that is no guard, or a parameter that is not there or of another type.
    """
    if not isinstance(guards, list | tuple):
        problem = f"{what}: guards is a list"
        raise AuthoringError(problem, place, f"write guards=[{type(guards).__name__}(…)]")
    annotations = {parameter.name: parameter.annotation for parameter in signature.parameters}
    read: list[Guard] = []
    for given in guards:
        guard = _read(given, what, place)
        kind = repr(given.__name__) if isinstance(guard, Rule) else name_of(guard)
        for name in guard.parameters:
            if name not in annotations:
                raise no_parameter(f"{what}: {kind}", name, annotations, place)
        require_types = getattr(guard, "require_types", None)
        if require_types is not None:
            try:
                require_types(annotations)
            except AuthoringError as wrong:
                raise AuthoringError(f"{what}: {wrong.what}", place, wrong.hint) from None
        read.append(guard)
    return (*read, *_waiting(annotations, what, place))


def value_guards(signature: Signature) -> tuple[str, ...]:
    """Return the guards in annotations of which the published schema does not have all, as an operator reads them."""
    return tuple(
        dict.fromkeys(
            f"{parameter.name}: {_written(guard)}"
            for parameter in signature.parameters
            for _, metadata in annotated(parameter.annotation, set())
            for guard in metadata
            if isinstance(guard, ParameterGuard) and not (guard.is_published or guard.waits or is_native(guard))
        )
    )


def _written(guard: ParameterGuard) -> str:
    return name_of(guard) if type(guard).__repr__ is object.__repr__ else repr(guard)


def openings_of(signature: Signature) -> tuple[str, ...]:
    """Return the parameters whose values are files, to be opened when the call runs."""
    return tuple(
        parameter.name
        for parameter in signature.parameters
        if any(isinstance(guard, SafePath) for guard in _within(parameter.annotation))
    )


def _read(given: Any, what: str, place: str) -> Guard:
    kind = given.__name__ if isinstance(given, type) else name_of(given)
    if isinstance(given, ParameterGuard):
        problem = f"{what}: {kind} guards one value, and stands in the annotation of its parameter"
        raise AuthoringError(problem, place, f"write name: Annotated[str, {kind}(…)]")
    if inspect.isroutine(given):
        try:
            return Rule(given)
        except AuthoringError as wrong:
            raise AuthoringError(f"{what}: {wrong.what}", place, wrong.hint) from None
    if isinstance(given, type) or not callable(getattr(given, "check", None)) or not hasattr(given, "parameters"):
        problem = f"{what}: {kind} is not a guard: a guard is an object with parameters and check(arguments), or a rule"
        raise AuthoringError(problem, place, 'write guards=[DateRange("from_date", "to_date", max_days=90)]')
    guard: Guard = given
    return guard


def _waiting(annotations: dict[str, Any], what: str, place: str) -> Iterator[Guard]:
    """Yield the guards in annotations that pydantic cannot wait for, and refuse those that nothing would ask."""
    for name, annotation in annotations.items():
        own = list(_own(annotation))
        within = list(_within(annotation))
        for _, metadata in annotated(annotation, set()):
            for guard in metadata:
                if not isinstance(guard, ParameterGuard):
                    continue
                is_file = isinstance(guard, SafePath)
                if (guard.waits and guard not in own) or (is_file and guard not in within):
                    kind = name_of(guard)
                    hint = f"write {name}: Annotated[str, {kind}(…)]" if guard.waits else "take it as a parameter"
                    of = "another type" if guard.waits else "a model"
                    problem = f"{what}: parameter {name!r}: {kind} cannot stand within {of}"
                    raise AuthoringError(problem, place, hint)
        yield from (Placed(name, guard, is_shown=False) for guard in own if guard.waits)


def _own(annotation: Any) -> Iterator[ParameterGuard]:
    """Yield the guards of the value itself, through ``Annotated`` and unions."""
    if typing.get_origin(annotation) is Annotated:
        inner, *metadata = typing.get_args(annotation)
        yield from (one for one in metadata if isinstance(one, ParameterGuard))
        yield from _own(inner)
    elif typing.get_origin(annotation) in {typing.Union, UnionType}:
        for member in typing.get_args(annotation):
            yield from _own(member)


def _within(annotation: Any) -> Iterator[ParameterGuard]:
    """Yield the guards of the value, and of the items of a list."""
    yield from _own(annotation)
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        annotation = typing.get_args(annotation)[0]
        origin = typing.get_origin(annotation)
    if origin in _LISTS or origin in {typing.Union, UnionType}:
        for member in typing.get_args(annotation):
            if origin in _LISTS and member is not ...:
                yield from _own(member)
            elif origin not in _LISTS:
                yield from _within(member)
