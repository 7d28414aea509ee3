"""What to do about the failures that databases report most often, for the log: nothing of a value is in it."""

from typing import Final

_WRITES: Final = "query() changes nothing: begin the statement with INSERT, UPDATE or DELETE, and use execute()"
_TABLE: Final = "create the table, or write schema.table; mcpward creates none"
_COLUMN: Final = "compare the name with the table's; PostgreSQL reads unquoted names in small letters"
_TYPE: Final = "tell the database the type of the parameter: CAST(:name AS integer)"
_RIGHT: Final = "grant the right to the account of the URL, and no more than the tools need"
_LOGIN: Final = "correct the user or the password of the URL: mcpward secret set NAME"
_LATE: Final = "add an index, ask for less, or raise timeout_s"
_LOCKED: Final = "another transaction holds the rows: keep transactions short, and change rows in the same order"
_FULL: Final = "lower max_concurrency, or raise the server's number of connections"
_SYNTAX: Final = "run the statement in the database's own client; MySQL has no RETURNING"

#: SQLSTATE of PostgreSQL.
_STATES: Final = {
    "25006": _WRITES, "42P01": _TABLE, "42703": _COLUMN, "42883": _TYPE, "42P18": _TYPE, "42804": _TYPE, "42P08": _TYPE,
    "42501": _RIGHT, "28P01": _LOGIN, "28000": _LOGIN, "57014": _LATE, "40P01": _LOCKED, "40001": _LOCKED,
    "55P03": _LOCKED, "53300": _FULL, "42601": _SYNTAX, "3D000": "create the database, or correct its name in the URL",
}  # fmt: skip
#: Numbers of MySQL and MariaDB.
_NUMBERS: Final = {
    1792: _WRITES, 1290: _WRITES, 1146: _TABLE, 1054: _COLUMN, 1142: _RIGHT, 1143: _RIGHT, 1044: _RIGHT, 1370: _RIGHT,
    1045: _LOGIN, 3024: _LATE, 1969: _LATE, 1205: _LOCKED, 1213: _LOCKED, 1040: _FULL, 1203: _FULL, 1064: _SYNTAX,
    1049: "create the database, or correct its name in the URL",
}  # fmt: skip
#: How messages of SQLite begin.
_SQLITE: Final = {
    "no such table": _TABLE,
    "no such column": _COLUMN,
    "not authorized to use function": "this function reaches outside of the tables, and is closed to tools",
    "not authorized": f"{_WRITES}; ATTACH and PRAGMA are closed to tools",
    "access to": _RIGHT,
    "database is locked": _LOCKED,
    "attempt to write a readonly database": "the file, or its folder, may not be written by this account",
    "unable to open database file": "the account may not read the file, or its folder",
    "file is not a database": "the URL names a file that is none of SQLite's",
}
_ASYNCPG: Final = "invalid input for query argument"


def hint_of(state: str, number: int, text: str, *, is_sqlite: bool) -> str:
    """Return what to do about a failure, "" if that is not known."""
    if is_sqlite:
        return next((hint for begin, hint in _SQLITE.items() if text.startswith(begin)), "")
    if number:
        return _NUMBERS.get(number, "")
    return _TYPE if text.startswith(_ASYNCPG) else _STATES.get(state, "")
