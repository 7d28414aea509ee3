"""SQL that a function builds out of values, or that cannot run, and forms that it may not show: found before the first
call. Whether tables and columns are there only the database knows.
"""

import ast
from collections.abc import Iterator
from typing import Final

from mcpward.core.errors import Finding
from mcpward.sdk.client.elicitation import Elicit
from mcpward.sdk.client.form import form_of
from mcpward.sdk.context import Context
from mcpward.sdk.database.statement import read_statement, require_parameters, require_read, require_write
from mcpward.sdk.errors import AuthoringError, StatementRefused
from mcpward.tools.built_text import building, is_sql
from mcpward.tools.function_source import FunctionSource

_QUERY: Final = "query"
_EXECUTE: Final = "execute"
_STREAM: Final = "stream"
_METHODS: Final = frozenset({_QUERY, _EXECUTE, _STREAM})
_TRANSACTION: Final = "transaction"
#: Words of these methods that are no parameters of the statement.
_OPTIONS: Final = {_QUERY: {"into", "on_cap"}, _STREAM: {"into"}, _EXECUTE: {"into"}}
_DATABASE: Final = "mcpward.sdk.database.database"
_HINT: Final = 'write the value as a parameter: "… WHERE name = :name", name=name'
_FIX: Final = f'{_HINT}; a chosen column or an optional part needs Identifier or sql("…")'


def built_statements(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the statements that are built from values (attack 68)."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and node.args and (_method(node.func, source) or is_sql(node.func, source)):
            how = building(node.args[0], source)
            if how:
                yield Finding(f"{what}: SQL is built by {how}", source.place(node), _FIX)


def unfit_statements(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the statements that every call would refuse: of another kind, or with other parameters than are given."""
    for node in source.nodes:
        if not isinstance(node, ast.Call) or not node.args or not (method := _method(node.func, source)):
            continue
        called = f"{what}: {ast.unparse(node.func)}()"
        if len(node.args) > 1 and not any(isinstance(one, ast.Starred) for one in node.args):
            yield Finding(f"{called} takes only the SQL by position", source.place(node), _HINT)
        elif method == _EXECUTE and _is_read_only(node.func, source):
            problem = f"{called} changes data, but its Database is read-only"
            yield Finding(problem, source.place(node), "write Database(…, read_only=False)")
        elif (sql := _literal(node.args[0], source)) is not None:
            given = {word.arg for word in node.keywords} - _OPTIONS[method]
            refused = _refused(sql, method, None if None in given else frozenset(map(str, given)))
            if refused:
                yield Finding(f"{called}: {refused[0]}", source.place(node), refused[1])


def writing_reads(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the changes that a function makes though its tool is declared ``read_only``."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and _method(node.func, source) == _EXECUTE:
            problem = f"{what} is read_only, and {ast.unparse(node.func)}() changes data"
            hint = "remove read_only=True, so that a call counts as a write; or read with query()"
            yield Finding(problem, source.place(node), hint)


def unfit_forms(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the forms that are asked for within the function and that no client can show, or must not."""
    for node in source.nodes:
        if not isinstance(node, ast.Call) or source.resolved(node.func) not in (Context.elicit, Elicit):
            continue
        given = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "model")]
        model = source.resolved(given[0]) if given else None
        if isinstance(model, type):
            try:
                form_of(model)
            except AuthoringError as error:
                yield Finding(f"{what}: {error.what}", source.place(node), error.hint)


def _method(function: ast.expr, source: FunctionSource) -> str:
    """Return which method of a Database, or of its transaction, is called; "" for anything else."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        opened = source.entered_as(function.value.id)
        if isinstance(opened, ast.Call) and _database_method(opened.func, source) == _TRANSACTION:
            return function.attr if function.attr in _METHODS else ""
    name = _database_method(function, source)
    return name if name in _METHODS else ""


def _database_method(function: ast.expr, source: FunctionSource) -> str:
    method = source.resolved(function)
    # By name: the module of Database brings SQLAlchemy, which only its importers pay for.
    return getattr(method, "__name__", "") if getattr(method, "__module__", "") == _DATABASE else ""


def _is_read_only(function: ast.expr, source: FunctionSource) -> bool:
    database = source.resolved(function.value) if isinstance(function, ast.Attribute) else None
    return type(database).__module__ == _DATABASE and getattr(database, "read_only", False) is True


def _literal(sql: ast.AST | None, source: FunctionSource) -> str | None:
    """Return SQL that stands in the function, or in a constant of the file (``ALL_CAPITALS``)."""
    if isinstance(sql, ast.Name):
        values = source.values_of(sql.id)
        if not values and sql.id.isupper():
            found = source.resolved(sql)
            return found if isinstance(found, str) else None
        sql = values[0] if len(values) == 1 else None
    return sql.value if isinstance(sql, ast.Constant) and isinstance(sql.value, str) else None


def _refused(sql: str, method: str, given: frozenset[str] | None) -> tuple[str, str] | None:
    """Return why a statement cannot run, and what to write; ``given`` is None if ``**`` brings the parameters."""
    try:
        statement = read_statement(sql)
        (require_write if method == _EXECUTE else require_read)(statement)
    except StatementRefused as refused:
        return str(refused), "one statement: SELECT, WITH or VALUES in query(), INSERT, UPDATE or DELETE in execute()"
    try:
        if given is not None:
            require_parameters(statement, given)
    except StatementRefused as refused:
        names = ", ".join(f"{name}=…" for name in sorted(statement.names))
        return str(refused), f"after the SQL write {names}" if names else "write :name in place of the value"
    return None
