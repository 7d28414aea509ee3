"""An author's questions to the client, and the shapes that all of them share.

A question is built here and put to the client elsewhere; its answer is read here. The client's data are untrusted: they
are read strictly, and data that do not fit are an :class:`Unfit`, never a surprise to the author.
"""

from typing import Annotated, Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from mcpward.core.client_channel import Question

T = TypeVar("T")
_MANY: Final = 256


class Unfit(Exception):
    """An answer is not what was asked for. The message names field and rule, never what the client sent."""


class Askable(Protocol):
    """One thing to ask: ``Elicit``, ``Sample`` or ``Roots``."""

    def question(self, key: str) -> Question:
        """Return the request to the client, in the specification's shape."""
        ...

    def read(self, result: Any) -> Any:
        """Return the client's result as the author meets it.

        Raises:
            Unfit: the result does not answer the question.
        """
        ...


class Root(Struct, frozen=True):
    """A folder or file that the client works on: a ``file://`` URI, as the client says, and perhaps a name."""

    uri: Annotated[str, Meta(max_length=4096, pattern="^file://")]
    name: Annotated[str, Meta(max_length=256)] | None = None


class Roots(Struct, frozen=True):
    """Asks for the client's roots (``roots/list``). The answer is a list of :class:`Root`."""

    def question(self, key: str) -> Question:
        """Return the request to the client."""
        return Question(key=key, method="roots/list", params={}, capability={"roots": {}})

    def read(self, result: Any) -> list[Root]:
        """Return the roots, at most 256.

        Raises:
            Unfit: the result does not answer the question.
        """
        return converted(result, _RootsResult).roots


class _RootsResult(Struct):
    roots: Annotated[list[Root], Meta(max_length=_MANY)]


def converted(result: Any, shape: type[T]) -> T:
    """Return a client's result in the shape that the specification has for it.

    Raises:
        Unfit: it has another one.
    """
    try:
        return msgspec.convert(result, shape)
    except msgspec.ValidationError as error:
        # An error's text may quote the value ("Invalid enum value '…'"); the place behind it names our own members.
        _, at, place = str(error).rpartition(" - at ")
        raise Unfit(f"another shape than asked for{at}{place if at else ''}") from None
