"""The part of an annotation that has no JSON schema, and what to write instead: pydantic names neither the parameter
nor the author's line.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.schema_export import first_line
from mcpward.sdk.signature import Parameter

#: Exceptions of pydantic for an annotation that it cannot read: the last one for patterns, and for a core schema.
UNREADABLE: Final = (PydanticUserError, SchemaError, TypeError, ValueError)


def parameter_error(
    parameters: tuple[Parameter, ...], config: ConfigDict, what: str, where: str, error: Exception
) -> AuthoringError:
    """Return the error for the parameters of which ``error`` says that they cannot be described."""
    if isinstance(error, AuthoringError):  # ours, from within: it is a TypeError as well
        return AuthoringError(f"{what}: {error.what}", where, error.hint)
    for parameter in parameters:
        found = schemaless(parameter.annotation, config)
        if found is not None:
            culprit, problem = found
            said = f"{what}: parameter {parameter.name!r}: {_named(culprit)} {problem[0]}"
            return AuthoringError(said, where, problem[1])
    return AuthoringError(
        f"{what}: a parameter cannot be described: {first_line(error)}", where, "annotate another type"
    )


def return_error(annotation: Any, what: str, where: str) -> AuthoringError:
    """Return the error for a return annotation that has no JSON schema."""
    found = schemaless(annotation, None)
    if found is None:
        return AuthoringError(f"{what}: the return type has no JSON schema", where, "say structured=False")
    culprit, (problem, hint) = found
    said = f"{what}: the return type has no JSON schema: {_named(culprit)} {problem}"
    return AuthoringError(said, where, f"{hint}; or set structured=False")


def schemaless(annotation: Any, config: ConfigDict | None) -> tuple[Any, tuple[str, str]] | None:
    """Return the innermost part of an annotation that has no schema, with what is wrong and what to write."""
    error = _failure(annotation, config)
    if error is None:
        return None
    for part in typing.get_args(annotation) if typing.get_origin(annotation) is not Annotated else ():
        found = schemaless(part, config) if not isinstance(part, list) and part is not ... else None
        if found is not None:
            return found
    if typing.get_origin(annotation) is Annotated:
        inner = schemaless(typing.get_args(annotation)[0], config)
        return inner or (annotation, _of_metadata(annotation, error))
    return annotation, _of_type(annotation, error)


def _failure(annotation: Any, config: ConfigDict | None) -> Exception | None:
    takes_config = not (isinstance(annotation, type) and hasattr(annotation, "__pydantic_core_schema__"))
    try:
        TypeAdapter(annotation, config=config if takes_config else None).json_schema()
    except UNREADABLE as error:
        return error
    except Exception as error:  # noqa: BLE001  an author's own __get_pydantic_core_schema__
        return error
    return None


def _of_type(annotation: Any, error: Exception) -> tuple[str, str]:
    if typing.get_origin(annotation) is Callable or annotation is Callable:
        return "is a function, which no client can send", "take a name as str, and look the function up"
    if isinstance(error, PydanticUserError) and not isinstance(annotation, type):
        return "is not a type that JSON has", "annotate a type, as in str or list[int]"
    if not isinstance(annotation, type):
        return f"cannot be described: {first_line(error)}", "annotate a type, as in str or list[int]"
    if annotation.__module__.partition(".")[0] in {"pydantic", "builtins", "typing"}:
        return f"cannot be described: {first_line(error)}", "annotate another type"
    return (
        "is a class without a schema",
        f"make it a dataclass (@dataclass above class {annotation.__name__}) or a pydantic BaseModel",
    )


def _of_metadata(annotation: Any, error: Exception) -> tuple[str, str]:
    classes = [one for one in typing.get_args(annotation)[1:] if inspect.isclass(one)]
    if classes:
        name = classes[0].__name__
        return f"has the class {name} instead of an object", f"write {name}(…)"
    if (isinstance(error, SchemaError) and "pattern" in str(error)) or "regex" in str(error):
        return (
            "has a pattern that the engine does not support",
            "correct the pattern: no lookaround, no backreferences, and each bracket closed",
        )
    return f"cannot be described: {first_line(error)}", "check the arguments of Annotated[…]"


def _named(culprit: Any) -> str:
    if isinstance(culprit, type) and typing.get_origin(culprit) is None:
        return culprit.__name__
    plain = typing.get_args(culprit)[0] if typing.get_origin(culprit) is Annotated else culprit
    return (
        plain.__name__ if isinstance(plain, type) else str(plain).replace("typing.", "").replace("collections.abc.", "")
    )
