"""Translation of a driver's error: the kind of failure for the author, and the database's message for the log.

The database's words go to the log only if they are known to speak of the statement, the tables or the connection. All
others may quote a value: ``invalid input syntax for type integer: "…"`` (CWE-532).
"""

import re
import textwrap
from collections.abc import Callable
from typing import Any, Final

from mcpward.sdk.database.hints import hint_of
from mcpward.sdk.errors import ConstraintViolated, DatabaseFailed, UniqueViolated

_LONGEST: Final = 2000
_UNIQUE_SQLITE: Final = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID")
_UNIQUE_SQLSTATE: Final = "23505"
#: MySQL and MariaDB: ER_DUP_UNIQUE, ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME.
_UNIQUE_MYSQL: Final = (1169, 1062, 1586)
#: The same for CHECK, which their driver does not count among the violations.
_CHECK_MYSQL: Final = (3819, 4025)
#: The same for a server that is not there, or no longer.
_AWAY_MYSQL: Final = (2002, 2003, 2005, 2006, 2013)
#: Classes of SQLSTATE whose messages name tables, columns, constraints and roles: integrity (its values stand in
#: DETAIL, which is not taken), transaction state, roll-back, syntax and access, resources, object state, operators.
_PLAIN_CLASSES: Final = ("23", "25", "28", "3D", "3F", "40", "42", "53", "55", "57")
#: The class of errors about names that are missing: of the statement, or looked up by a function.
_OF_NAMES: Final = "42"
_PLACEHOLDER: Final = re.compile(r"\$\d+", re.ASCII)
#: PostgreSQL's file for RAISE, and the SQLSTATE of SIGNAL: what they say is the words of a function of the database.
_RAISED: Final = "pl_exec.c"
_SIGNALLED: Final = "45"
#: MySQL and MariaDB: numbers of errors whose messages hold only names. 1064 (syntax) is none of them: its driver puts
#: the values into the text of the statement, and the message quotes that.
_PLAIN_NUMBERS: Final = frozenset(
    {1040, 1044, 1045, 1046, 1048, 1049, 1051, 1052, 1054, 1055, 1058, 1072, 1109, 1110, 1111, 1136, 1142, 1143, 1146}
    | {1205, 1213, 1222, 1241, 1242, 1290, 1305, 1318, 1364, 1406, 1451, 1452, 1792, 1969, 3024, 3819, 4025}
)
_DUPLICATE: Final = re.compile(r"Duplicate entry '.*' (for key '[^']*')", re.DOTALL)
_NEAR: Final = re.compile(r"check the manual .* right syntax to use near '.*' at line (\d+)", re.DOTALL)
#: asyncpg's own words: the value stands between the number of the parameter and what is wrong with it.
_WRONG_TYPE: Final = re.compile(r"(invalid input for query argument \$\d+): ")
_WHY_WRONG: Final = re.compile(
    r"\((?:expected \w+, got \w+|'\w+' object cannot be interpreted as an integer|value out of \w+ range)\)\Z"
)
#: What SQLite says of a statement before any value is bound, and of constraints. A name at the end must stand in the
#: statement: a full-text search says "no such column: …" of what was searched for.
_OF_STATEMENT: Final = re.compile(
    r"no such (?:table|column|function|index|collation sequence): (?P<name>.*)|ambiguous column name: (?P<also>.*)"
    r"|near \"(?P<near>.*)\": syntax error|unrecognized token: \"(?P<token>.*)\""
    r"|wrong number of arguments to function (?P<called>[^()]*)\(\)"
    r"|(?:not authorized to use function|misuse of aggregate): (?P<used>[^()]*)(?:\(\))?",
    re.DOTALL,
)
_OF_TABLES: Final = re.compile(
    r"(?:UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed.*|table .* has no column named .*|not authorized"
    r"|table .* has \d+ columns but \d+ values were supplied|\d+ values for \d+ columns|incomplete input"
    r"|access to .* is prohibited|database (?:table )?is locked|attempt to write a readonly database"
    r"|unable to open database file|file is not a database|disk I/O error|database disk image is malformed"
    r"|database or disk is full|interrupted|cannot modify .* because it is a view"
)


def failure_of(error: Exception, sql: str) -> DatabaseFailed:
    """Return what an author catches for a driver's ``error``, with notes for the log."""
    origin = _origin(error)
    return noted(_kind_of(origin)(_named(origin)), sql, _said(origin, sql), _hint(origin))


def noted(failure: DatabaseFailed, sql: str, said: str = "", hint: str = "") -> DatabaseFailed:
    """Return the failure with the statement, what the database said of it, and what to do about it, as notes."""
    if said:
        failure.add_note(f"the database said: {said}")
    if hint:
        failure.add_note(f"hint: {hint}")
    failure.add_note(f"statement: {textwrap.dedent(sql).strip()[:_LONGEST]}")
    return failure


def _hint(origin: Any) -> str:
    text = str(origin.args[-1]) if origin.args else ""
    state = getattr(origin, "sqlstate", None) or ""
    return hint_of(state, _number(origin), text, is_sqlite=hasattr(origin, "sqlite_errorname"))


def _origin(error: BaseException) -> Any:
    """Return the driver's own error, which SQLAlchemy, and its adapter for asyncpg, wrap."""
    origin = getattr(error, "orig", None) or error
    cause = origin.__cause__
    return cause if cause is not None and type(cause).__module__.startswith("asyncpg") else origin


def _named(origin: Any) -> str:
    """Name what failed without its text: that may quote SQL, values or the address of the database."""
    code = getattr(origin, "sqlite_errorname", "") or getattr(origin, "sqlstate", "") or ""
    name = f"{type(origin).__name__} {code}".rstrip()
    is_away = isinstance(origin, OSError) or _number(origin) in _AWAY_MYSQL or code.startswith("08")
    return f"the database cannot be reached: {name}" if is_away else name


def _kind_of(origin: Any) -> Callable[[str], DatabaseFailed]:
    name, state = getattr(origin, "sqlite_errorname", ""), getattr(origin, "sqlstate", "") or ""
    if name in _UNIQUE_SQLITE or state == _UNIQUE_SQLSTATE or _number(origin) in _UNIQUE_MYSQL:
        return UniqueViolated
    is_constraint = name.startswith("SQLITE_CONSTRAINT") or state.startswith("23") or _number(origin) in _CHECK_MYSQL
    return ConstraintViolated if is_constraint or type(origin).__name__ == "IntegrityError" else DatabaseFailed


def _number(origin: Any) -> int:
    """Return the number of an error of MySQL or MariaDB, else 0."""
    is_mysql = type(origin).__module__.startswith(("pymysql", "asyncmy"))
    return origin.args[0] if is_mysql and origin.args and isinstance(origin.args[0], int) else 0


def _said(origin: Any, sql: str) -> str:
    """Return the database's words, as far as no value can stand in them."""
    text = str(origin.args[-1]) if origin.args else ""
    if number := _number(origin):
        return "" if str(getattr(origin, "sqlstate", "")).startswith(_SIGNALLED) else _said_by_mysql(number, text)
    if hasattr(origin, "sqlite_errorname"):
        return _said_by_sqlite(text, sql)
    if wrong := _WRONG_TYPE.match(text):
        why = _WHY_WRONG.search(text)
        return f"{wrong[1]} {why[0]}" if why else wrong[1]
    state = getattr(origin, "sqlstate", None) or ""
    if state[:2] not in _PLAIN_CLASSES or getattr(origin, "server_source_filename", None) == _RAISED:
        return ""
    told = text.partition("\n")[0]
    return told if state[:2] != _OF_NAMES or _names_what_stands_in(sql, told) else ""


def _names_what_stands_in(sql: str, told: str) -> bool:
    """A name may be a value: PostgreSQL looks up what ``nextval(:name)`` and ``to_tsquery(:words)`` are given."""
    _, *rest = told.split('"')
    quoted, others = rest[::2], rest[1::2]
    known = (name and (_PLACEHOLDER.fullmatch(name) or name.lower() in sql.lower()) for name in quoted)
    return len(quoted) == len(others) and all(known)


def _said_by_mysql(number: int, text: str) -> str:
    if duplicate := _DUPLICATE.fullmatch(text):
        return f"duplicate entry {duplicate[1]}"
    if near := _NEAR.search(text):
        return f"a syntax error at line {near[1]} of the statement"
    return text if number in _PLAIN_NUMBERS else ""


def _said_by_sqlite(text: str, sql: str) -> str:
    if found := _OF_STATEMENT.fullmatch(text):
        name = next((one for one in found.groups() if one is not None), "")
        return text if name.lower() in sql.lower() else ""
    return text if _OF_TABLES.fullmatch(text) else ""
