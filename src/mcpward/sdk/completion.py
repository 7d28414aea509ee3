"""The completion of an argument: the author's own function, read and checked."""

from collections.abc import Callable
from typing import Any, Final

from mcpward.core.spelling import nearest
from mcpward.sdk.definitions import CompletionDefinition, PromptDefinition, ResourceDefinition
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import read_signature, where

VALUE: Final = "value"
CONTEXT: Final = "context"
_TAKEN: Final = frozenset({VALUE, CONTEXT})


def read_completion(
    of: PromptDefinition | ResourceDefinition | None,
    name: str,
    argument: str,
    function: Callable[..., Any],
    lifespan: Any = None,
) -> CompletionDefinition:
    """Read the function that completes ``argument`` of what is called ``name``.

    ``lifespan`` is the class of what the server's lifespan yields.

    Raises:
        AuthoringError: there is no such thing or argument, or the function takes something else.
    """
    what, place = f"completion of {argument!r} in {name!r}", where(function)
    if of is None:
        problem = f"{what}: no such prompt or resource template"
        raise AuthoringError(problem, place, "declare it first, further up in the file")
    if argument not in of.arguments.names:
        meant = nearest(argument, of.arguments.names)
        hint = f"did you mean {meant!r}?" if meant else f"it has {', '.join(of.arguments.names) or 'no arguments'}"
        raise AuthoringError(f"{what}: there is no such argument", place, hint)
    signature = read_signature(function, what, lifespan)
    taken = {parameter.name for parameter in signature.parameters}
    if not taken <= _TAKEN:
        strange = next(name for name in (parameter.name for parameter in signature.parameters) if name not in _TAKEN)
        problem = f"{what}: the function takes value and context, not {strange!r}"
        raise AuthoringError(problem, place, "write def f(value: str, context: dict[str, str]) -> list[str]")
    if signature.returns is str:
        hint = "write -> list[str], and return a list"
        raise AuthoringError(f"{what}: the function returns a list of texts", place, hint)
    return CompletionDefinition(of=of, argument=argument, function=function, where=place, signature=signature)
