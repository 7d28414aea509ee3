"""Examples at the end of a command's help: people read them first."""

from collections.abc import Callable
from inspect import cleandoc
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def examples(*commands: str) -> Callable[[F], F]:
    """Add examples to a command's help, one a line."""

    def add(function: F) -> F:
        # The lone \b keeps the help's writer from filling the lines up.
        said = cleandoc(function.__doc__ or "")
        function.__doc__ = "\n".join([said, "", "\b", "examples:", *(f"  {one}" for one in commands)])
        return function

    return add
