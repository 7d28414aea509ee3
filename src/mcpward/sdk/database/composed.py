"""``sql``: statements that are put together at run time, of constants and nothing else (attack 68).

A part is checked when the statement is rendered for its database, whoever made the object and however: there is one
gate, and it trusts no object.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, LiteralString

from mcpward.sdk.author_place import author_place
from mcpward.sdk.database.constants import CONSTANTS
from mcpward.sdk.database.identifier import Name, quoted
from mcpward.sdk.errors import AuthoringError, StatementRefused

_BLANK: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_LONGEST_FILE: Final = 1 << 20
_DEEPEST: Final = 20
_FIX: Final = (
    "hint: write the SQL as one literal, and values as :name parameters; put optional parts together with "
    'sql("…") + sql("…"), a chosen column by Identifier, and SQL of a file by sql.file("report.sql")'
)


class sql:  # noqa: N801  # reads as the literal that it is: sql("SELECT …")
    """A part of a statement: ``sql("SELECT … ORDER BY {column}", column=SORT(sort))``.

    ``{column}`` takes a name of an ``Identifier``, or another ``sql``. Values are ``:name`` parameters, as everywhere.
    Parts are added with ``+``, or by :meth:`join` and :meth:`where`. A parameter that no part uses is left out.

    Raises:
        StatementRefused: something that is neither goes into ``{…}``, or one of them stays empty.
    """

    __slots__ = ("_nodes",)
    _nodes: tuple[tuple[str, Mapping[str, "Name | sql"]], ...]

    def __init__(self, text: LiteralString, /, **blanks: "Name | sql") -> None:
        for name, value in blanks.items():
            if type(value) not in {Name, sql}:
                kind = type(value).__name__
                raise StatementRefused(f"{{{name}}} is a {kind}: choose a name by Identifier, or pass :{name}")
        self._nodes = ((text, blanks),)

    def __add__(self, other: "sql") -> "sql":
        if type(other) is not sql:
            raise StatementRefused(f'to sql only sql is added, not a {type(other).__name__}: write sql("…")')
        return _of((*self._nodes, *other._nodes))

    __radd__ = __add__

    def join(self, parts: Iterable["sql | None"]) -> "sql":
        """Return the parts with this between them; a part that is None is left out."""
        nodes: list[Any] = []
        for part in parts:
            if part is None:
                continue
            if type(part) is not sql:
                raise StatementRefused(f"join() takes sql, not a {type(part).__name__}")
            nodes += [*(self._nodes if nodes else ()), *part._nodes]  # noqa: SLF001  # a class of this file
        return _of(tuple(nodes))

    @staticmethod
    def where(*conditions: "sql | None") -> "sql":
        """Return ``WHERE (…) AND (…)`` of those that are not None, and nothing if all are."""
        kept = [one for one in conditions if one is not None]
        if not kept:
            return _of(())
        return _WHERE + _AND.join([_OPEN + one + _CLOSE for one in kept])

    @staticmethod
    def file(name: LiteralString) -> "sql":
        """Return the text of a file that lies beside the author's module, or below: ``sql.file("report.sql")``.

        Raises:
            AuthoringError: the name is built, leads elsewhere, or there is no such text.
        """
        place = author_place()
        known = CONSTANTS.own(name)
        if known is None:
            raise AuthoringError("sql.file: the name is no literal of your code", str(place), 'write sql.file("a.sql")')
        path = (place.folder / known).resolve()
        if not path.is_relative_to(place.folder.resolve()):
            raise AuthoringError("sql.file: the file lies elsewhere", str(place), "put it beside your module")
        text = _read(path, known, str(place))
        CONSTANTS.add(text)
        return sql(text)

    def __repr__(self) -> str:
        return "sql(…)"


def _of(nodes: tuple[Any, ...]) -> sql:
    made = sql.__new__(sql)
    made._nodes = nodes  # noqa: SLF001  # a class of this file
    return made


#: Our own constants, like an author's.
_WHERE, _OPEN, _CLOSE, _AND = sql("WHERE"), sql("("), sql(")"), sql("AND")
_MINE: Final = frozenset({"WHERE", "(", ")", "AND"})


def render(part: Any, dialect: str, depth: int = 0) -> str:
    """Return the text of a statement for a dialect. Every text in it is checked here, and only here.

    Raises:
        StatementRefused: a text is no constant of the author's code, or the object was made by hand.
    """
    nodes = getattr(part, "_nodes", None)
    if type(part) is not sql or type(nodes) is not tuple or depth > _DEEPEST:
        raise StatementRefused("sql is made by sql(…), + and join() only")
    texts = []
    for node in nodes:
        if type(node) is not tuple or len(node) != 2 or type(node[1]) is not dict:
            raise StatementRefused("sql is made by sql(…), + and join() only")
        own = node[0] if type(node[0]) is str and node[0] in _MINE else CONSTANTS.own(node[0])
        if own is None:
            raise not_constant()
        texts.append(_filled(own, node[1], dialect, depth) if node[1] else own)
    return "\n".join(texts)


def not_constant() -> StatementRefused:
    """Return the error for a text that no file of the author's has. It holds nothing of that text."""
    refused = StatementRefused("the statement is no constant of your code, so it may be built from values")
    refused.add_note(_FIX)
    if unreadable := CONSTANTS.unreadable:
        refused.add_note(f"hint: there is no Python source to read constants from in {', '.join(unreadable)}")
    refused.add_note('hint: literals of an installed package count with Database(…, packages=["its_name"])')
    return refused


def _filled(text: str, blanks: Mapping[str, Any], dialect: str, depth: int) -> str:
    there = set(_BLANK.findall(text))
    if odd := there ^ set(blanks):
        name = min(odd)
        raise StatementRefused(f"{{{name}}} is {'not given' if name in there else 'not in the text'}")

    def value(match: re.Match[str]) -> str:
        given = blanks[match[1]]
        return quoted(given, dialect) if type(given) is Name else render(given, dialect, depth + 1)

    return _BLANK.sub(value, text)


def _read(path: Path, name: str, place: str) -> str:
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise AuthoringError(f"sql.file: {name} is larger than 1 MiB", place, "a file holds one statement")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = f"sql.file: {name} cannot be read ({type(error).__name__})"
        raise AuthoringError(why, place, f"put the file at {path}") from None
