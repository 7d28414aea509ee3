"""One SQL statement, read far enough to refuse what is not one: attacks 68, 71 and 72 stop here before the database.

This reads tokens, not grammar. It is the second lock: values travel as bound parameters, and what a statement may do
is decided by the database (read-only connection, authorizer or role), whatever its text says.
"""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from mcpward.sdk.errors import StatementRefused

_TOKEN: Final = re.compile(
    r"""
      (?P<space>   \s+ )
    | (?P<comment> --[^\n]*+ | /\*.*?\*/ )
    | (?P<text>    '(?:[^']|'')*+' )
    | (?P<quoted>  "(?:[^"]|"")*+" | `(?:[^`]|``)*+` | (?<![\w\])"\[])\[[^\]]*+\] )
    | (?P<cast>    :: )
    | (?P<name>    (?<!\w):[A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<word>    [A-Za-z_][A-Za-z0-9_$]*+ )
    | (?P<number>  [0-9][0-9A-Za-z_.]*+ )
    | (?P<end>     ; )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_READS: Final = frozenset({"SELECT", "WITH", "VALUES"})
_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE"})
#: Words that reach outside of the tables, in SQLite, PostgreSQL and MySQL; refused wherever they stand unquoted.
_OUTSIDE: Final = frozenset(
    {"ATTACH", "DETACH", "PRAGMA", "LOAD_EXTENSION", "READFILE", "WRITEFILE"}
    | {"PG_READ_FILE", "PG_READ_BINARY_FILE", "PG_LS_DIR", "LO_IMPORT", "LO_EXPORT", "DBLINK"}
    | {"LOAD_FILE", "OUTFILE", "DUMPFILE", "XP_CMDSHELL"}
)  # fmt: skip
_OPEN: Final = frozenset("'\"`")
#: Comments that are none to MySQL, and those that only MySQL knows.
_MYSQL: Final = {"comment": re.compile(r"/\*M?!|--(?!\s|\Z)", re.ASCII), "other": re.compile("#")}
_TEMPLATE: Final = "__[POSTCOMPILE_"
#: Tokens in which nothing is a parameter.
INNER: Final = frozenset({"comment", "text", "quoted"})
#: What a CTE may change. ``FOR UPDATE`` and ``FOR NO KEY UPDATE`` only lock.
_CHANGES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_LOCKS: Final = frozenset({"FOR", "KEY"})


class Statement(Struct, frozen=True):
    """A single statement: its text, its first word in capitals, and the names of its parameters.

    ``returns`` says that the word RETURNING stands in it, ``may_change`` that a WITH may change something.
    """

    text: str
    verb: str
    names: frozenset[str]
    returns: bool = False
    may_change: bool = False


def read_statement(text: str) -> Statement:
    """Read one statement with named parameters (``:user``).

    Raises:
        StatementRefused: empty, several statements, an open quote or comment, a positional parameter, or a word
            that reaches outside of the tables. The message quotes nothing of the text but such a word.
    """
    if _TEMPLATE in text:
        raise StatementRefused(f"{_TEMPLATE} is where SQLAlchemy writes the values of a list")
    words: list[str] = []
    names: set[str] = set()
    ended = False
    for token in _TOKEN.finditer(text):
        kind, value = token.lastgroup, token.group()
        if kind in {"space", "comment"}:
            continue
        if ended:
            raise StatementRefused("only one statement at a time")
        if kind == "end":
            ended = True
        elif kind == "name":
            names.add(value[1:])
        elif kind == "word":
            words.append(value.upper())
        elif kind == "other":
            _require_plain(value, text, token.start())
    outside = _OUTSIDE.intersection(words)
    if outside:
        raise StatementRefused(f"{min(outside)} is not allowed in a tool")
    if not words:
        raise StatementRefused("there is no statement")
    may_change = words[0] == "WITH" and any(
        word in _CHANGES and words[number - 1] not in _LOCKS for number, word in enumerate(words)
    )
    return Statement(text, words[0], frozenset(names), "RETURNING" in words, may_change)


def require_read(statement: Statement) -> None:
    """Raise :class:`StatementRefused` for anything but SELECT, WITH and VALUES."""
    if statement.verb not in _READS:
        raise StatementRefused("query() takes SELECT, WITH or VALUES; use execute() to change data")


def require_write(statement: Statement) -> None:
    """Raise :class:`StatementRefused` for anything but INSERT, UPDATE and DELETE."""
    if statement.verb not in _WRITES:
        raise StatementRefused("execute() takes INSERT, UPDATE or DELETE")


def require_parameters(statement: Statement, given: frozenset[str]) -> None:
    """Raise :class:`StatementRefused` unless exactly the statement's parameters are given."""
    missing, extra = statement.names - given, given - statement.names
    if missing:
        raise StatementRefused(f"the parameter :{min(missing)} is not given")
    if extra:
        raise StatementRefused(f"there is no parameter :{min(extra)} in the statement")


def require_mysql(text: str) -> None:
    """Refuse what MySQL reads otherwise. Its driver writes values into the text: that is safe outside of quotes only.

    Raises:
        StatementRefused: a backslash (it escapes a quote there), a comment that runs, or one that begins otherwise.
    """
    if "\\" in text:
        raise StatementRefused("in MySQL a backslash is an escape: pass the text with it as a parameter")
    if any(_MYSQL[kind].match(value) for kind, value in tokens_of(text) if kind in _MYSQL):
        raise StatementRefused("for MySQL a comment begins with -- and a space, or is /* plain */")


def tokens_of(text: str) -> Iterator[tuple[str, str]]:
    """Return the kind and the text of each token."""
    return ((str(token.lastgroup), token.group()) for token in _TOKEN.finditer(text))


def _require_plain(character: str, text: str, place: int) -> None:
    """Whatever no other token took: fine for operators, not for what opens something and never closes it."""
    if character in _OPEN or text.startswith("/*", place):
        raise StatementRefused("a quote or comment is not closed")
    if character == "?":
        raise StatementRefused("parameters are named, as in :user; PostgreSQL's ? is jsonb_exists(document, :key)")
    if character == "\0":
        raise StatementRefused("the statement contains a NUL")
