"""What completes an argument: the author's own function, read and checked."""

from collections.abc import Callable
from typing import Any, Final

from mcpward.sdk.definitions import CompletionDefinition, PromptDefinition, ResourceDefinition
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.signature import read_signature, where

VALUE: Final = "value"
CONTEXT: Final = "context"


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
        raise AuthoringError(f"{what}: declare the prompt or the resource template first", place)
    if argument not in of.arguments.names:
        raise AuthoringError(f"{what}: there is no such argument", place)
    signature = read_signature(function, what, lifespan)
    taken = {parameter.name for parameter in signature.parameters}
    if not taken <= {VALUE, CONTEXT}:
        raise AuthoringError(f"{what}: the function takes value: str and context: dict[str, str]", place)
    return CompletionDefinition(of=of, argument=argument, function=function, where=place, signature=signature)
