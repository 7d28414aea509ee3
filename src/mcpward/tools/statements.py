"""SQL that a function builds out of values, and forms that it may not show: found before the first call."""

import ast
from collections.abc import Iterator
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.sdk.context import Context
from mcpward.sdk.elicitation import Elicit
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.form import form_of
from mcpward.tools.function_source import FunctionSource

_RUN: Final = ("query", "execute")
_HINT: Final = 'write the value as a parameter: "… WHERE name = :name", name=name'


def built_statements(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the statements that are built from values (attack 68)."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and node.args and _runs_sql(node.func, source):
            sql: ast.AST | None = node.args[0]
            if isinstance(sql, ast.Name):
                values = source.values_of(sql.id)
                sql = values[0] if len(values) == 1 else None
            how = _building(sql, source)
            if how:
                yield Finding(f"{what}: SQL is built by {how}", source.place(node), _HINT)


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


def _runs_sql(function: ast.expr, source: FunctionSource) -> bool:
    method = source.resolved(function)
    # By name: the module of Database brings SQLAlchemy, which only those pay for who import it.
    return getattr(method, "__module__", "") == "mcpward.sdk.database" and getattr(method, "__name__", "") in _RUN


def _building(sql: ast.AST | None, source: FunctionSource) -> str:
    match sql:
        case ast.JoinedStr():
            values = [part.value for part in sql.values if isinstance(part, ast.FormattedValue)]
            return "" if all(_is_constant(value, source) for value in values) else "an f-string"
        case ast.BinOp(op=ast.Mod()):
            return "%"
        case ast.BinOp(op=ast.Add()):
            return "" if all(_is_constant(part, source) for part in (sql.left, sql.right)) else "+"
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant())):
            return ".format()"
        case _:
            return ""


def _is_constant(node: ast.expr, source: FunctionSource) -> bool:
    """A text of the author's, at the top level of the file."""
    if isinstance(node, ast.BinOp):
        return _is_constant(node.left, source) and _is_constant(node.right, source)
    if isinstance(node, ast.JoinedStr):
        return not _building(node, source)
    found: Any = node.value if isinstance(node, ast.Constant) else source.resolved(node)
    return isinstance(found, str)
