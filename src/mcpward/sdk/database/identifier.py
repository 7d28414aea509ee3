"""``Identifier``: the one way for a name of a column or table to be chosen at run time, from a list of the author's.

The list is published as an ``enum``, and the chosen name stands quoted in the statement (attack 69).
"""

import re
from typing import Any, Final, LiteralString

from pydantic_core import CoreSchema, core_schema

from mcpward.sdk.database.constants import CONSTANTS
from mcpward.sdk.database.drivers import MYSQL
from mcpward.sdk.errors import AuthoringError, StatementRefused, ToolError

_SYNTAX: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(?:\.[A-Za-z_][A-Za-z0-9_]{0,62}){0,2}", re.ASCII)
_HINT: Final = 'write Identifier("name", "price"), or Identifier(newest="created_at") for another name to the model'
#: Not the double quotes of the standard: with them SQLite takes a column that is not there for a text.
_BACKTICKS: Final = MYSQL | {"sqlite"}


class Name:
    """A name that an :class:`Identifier` chose. Only ``sql`` takes it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "Name(…)"


class Identifier:
    """A list of names of columns or tables: ``SORT = Identifier("name", "price", newest="created_at")``.

    ``Annotated[str, SORT]`` publishes it as the choices of a parameter. ``SORT(value)`` is the chosen name for ``sql``.
    ``newest=`` is a choice whose name in the database is another. A name may have dots: ``"o.created_at"``.

    Raises:
        AuthoringError: no name, or one that is no plain name of letters, digits and ``_``.
    """

    __slots__ = ("_names",)

    def __init__(self, *names: LiteralString, **others: LiteralString) -> None:
        given: dict[str, Any] = {**{str(name): name for name in names}, **others}
        for name in given.values():
            if type(name) is not str or not _SYNTAX.fullmatch(name):
                raise AuthoringError("Identifier: a name has letters, digits, _ and dots between its parts", hint=_HINT)
        if not given:
            raise AuthoringError("Identifier: there is no name", hint=_HINT)
        self._names = given

    @property
    def choices(self) -> tuple[str, ...]:
        """What the model may choose, in the author's order."""
        return tuple(self._names)

    def __call__(self, value: str) -> Name:
        """Return the chosen name for ``sql("… ORDER BY {column}", column=SORT(value))``.

        Raises:
            ToolError: it is none of the choices. The message lists them.
        """
        name = self._names.get(value)
        if name is None:
            raise ToolError(f"choose one of {', '.join(self._names)}")
        return Name(name)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """Publish the choices, and take nothing else: pydantic calls this for ``Annotated[str, …]``."""
        return core_schema.literal_schema(list(self._names))

    def __repr__(self) -> str:
        return f"Identifier({', '.join(map(repr, self._names))})"


def quoted(name: Name, dialect: str) -> str:
    """Return a name as the database reads it, quoted.

    Raises:
        StatementRefused: it is no constant of the author's code: made by hand, or of a list that was built.
    """
    text = CONSTANTS.own(name.text)
    if text is None or not _SYNTAX.fullmatch(text):
        raise StatementRefused("the names of an Identifier are literals of your code")
    mark = "`" if dialect in _BACKTICKS else '"'
    return ".".join(f"{mark}{part}{mark}" for part in text.split("."))
