"""A text with places for arguments: ``Cancel order {order_id} of {total}?``. A place is a bare name and nothing else.

There are no attributes, indexes, conversions or formats: a value can be shown, and nothing can be reached through it.
"""

from collections.abc import Iterable
from string import Formatter

from msgspec import Struct


class Wording(Struct, frozen=True):
    """The text in parts: each is a literal text and the name that stands behind it, "" at the end."""

    parts: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that stand in the text."""
        return tuple(name for _, name in self.parts if name)


def read_wording(text: str) -> Wording:
    """Return the parts of a text.

    Raises:
        ValueError: a brace stands alone, or a place is not a bare name; says which in words for its author.
    """
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("a brace stands alone: write {{ and }} for braces, and {name} for an argument") from None
    parts = []
    for literal, name, form, conversion in found:
        if name is not None and (form or conversion or not name.isidentifier()):
            given = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
            raise ValueError(f"{given} is not a place: write the bare name of an argument, such as {{order_id}}")
        parts.append((literal, name or ""))
    return Wording(tuple(parts))


def unknown_names(wording: Wording, known: Iterable[str]) -> list[str]:
    """Return the names in the text that are not among the known ones."""
    known = set(known)
    return [name for name in wording.names if name not in known]
