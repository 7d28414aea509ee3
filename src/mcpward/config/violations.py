"""A rule of the configuration, and what breaking one looks like."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from mcpward.config.model import Settings


class Violation(Struct, frozen=True):
    """A rule that is broken: the key to point at first, then the others that the rule looked at."""

    keys: tuple[str, ...]
    what: str
    hint: str


Rule = Callable[[Settings], Iterator[Violation]]
