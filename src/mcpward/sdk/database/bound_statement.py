"""A statement and its values as the driver takes them: lists and NULLs that mean the same on every database."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import TextClause, bindparam, text

from mcpward.sdk.database.drivers import MYSQL
from mcpward.sdk.database.like import require_escape
from mcpward.sdk.database.parameters import bindable
from mcpward.sdk.database.rewriting import lists_of, rewritten
from mcpward.sdk.database.statement import Statement, require_mysql, require_parameters

_MOST: Final = 1000
_POSTGRESQL: Final = "postgresql"


class BoundStatement(Struct, frozen=True):
    """A statement that is ready to be sent."""

    statement: Statement
    clause: TextClause
    values: dict[str, Any]


def bind(statement: Statement, params: Mapping[str, Any], dialect: str, *, leaves_out: bool = False) -> BoundStatement:
    """Return a statement with its values. ``leaves_out``: parameters that it does not have are no mistake.

    Raises:
        StatementRefused: a parameter is missing or not there, or a value has no place in a statement.
    """
    if leaves_out:
        params = {name: value for name, value in params.items() if name in statement.names}
    require_parameters(statement, frozenset(params))
    lists, expanding = _NO_NAMES, _NO_NAMES
    values = {name: bindable(name, value, dialect) for name, value in params.items()}
    for name, value in params.items():
        require_escape(name, value, statement)
        if value is None and name in lists_of(statement.text):
            values[name] = [None]  # IN of NULL: neither within nor outside, on every database
        if isinstance(values[name], list):
            lists |= {name}
            if dialect != _POSTGRESQL or any(isinstance(one, list) for one in values[name]):
                expanding |= {name}
    clause, nulls = _clause(statement.text, dialect, lists - expanding, expanding)
    for name, asked in nulls:
        values[name] = params[asked] is None
    return BoundStatement(statement, clause, values)


_NO_NAMES: Final[frozenset[str]] = frozenset()


@lru_cache(maxsize=_MOST)
def _clause(
    sql: str, dialect: str, arrays: frozenset[str], expanding: frozenset[str]
) -> tuple[TextClause, tuple[tuple[str, str], ...]]:
    if dialect in MYSQL:
        require_mysql(sql)
    written, nulls = rewritten(sql, arrays=arrays, expanding=expanding, is_postgresql=dialect == _POSTGRESQL)
    clause = text(written)
    if expanding:
        clause = clause.bindparams(*(bindparam(name, expanding=True) for name in expanding))
    return clause, nulls
