"""How an expression builds a text at run time, read from an author's source: the part of it that is certain."""

import ast
from typing import Final

from mcpward.sdk.database.constants import CONSTANTS
from mcpward.tools.function_source import FunctionSource

#: Methods of str, bytes and string.Template that return a text that stands nowhere in the code.
_BUILDS: Final = frozenset(
    {"format", "format_map", "join", "replace", "substitute", "safe_substitute", "decode", "translate", "removeprefix"}
    | {"removesuffix", "strip", "lower", "upper", "read_text", "__add__", "__mod__"}
)
_SQL_MODULE: Final = "mcpward.sdk.database.composed"
_DEEPEST: Final = 8


def building(node: ast.AST | None, source: FunctionSource, depth: int = 0) -> str:
    """Return how SQL is built there, "" if it is not, or if that is not certain."""
    if depth > _DEEPEST:
        return ""
    match node:
        case ast.JoinedStr():
            return "an f-string" if any(isinstance(part, ast.FormattedValue) for part in node.values) else ""
        case ast.BinOp(op=ast.Mod()):
            return "%"
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            if _is_literal(node) or _makes_sql(left, source) or _makes_sql(right, source):
                return ""
            return "+"
        case ast.Call(func=ast.Attribute(attr=name, value=owner)) if name in _BUILDS:
            return "" if _makes_sql(owner, source) or _is_constant(node, source) else f".{name}()"
        case ast.IfExp(body=body, orelse=other):
            return building(body, source, depth + 1) or building(other, source, depth + 1)
        case ast.NamedExpr(value=value):
            return building(value, source, depth + 1)
        case ast.Name() | ast.Attribute():
            return _of_name(node, source, depth)
        case _:
            return ""


def is_sql(function: ast.expr, source: FunctionSource) -> bool:
    """Whether a call makes an ``sql``: of the class itself, or of one of its functions."""
    if isinstance(function, ast.Attribute) and function.attr in {"file", "where"}:
        return is_sql(function.value, source)
    made = source.resolved(function)
    return getattr(made, "__name__", "") == "sql" and getattr(made, "__module__", "") == _SQL_MODULE


def _makes_sql(node: ast.expr, source: FunctionSource) -> bool:
    """Whether an expression is an ``sql``, or a sum of such."""
    match node:
        case ast.Call(func=ast.Attribute(attr="join", value=owner)):
            return _makes_sql(owner, source)
        case ast.Call(func=function):
            return is_sql(function, source)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _makes_sql(left, source) or _makes_sql(right, source)
        case ast.IfExp(body=body, orelse=other):
            return _makes_sql(body, source) or _makes_sql(other, source)
        case ast.Name(id=name) if values := source.values_of(name):
            return any(isinstance(one, ast.expr) and one is not node and _makes_sql(one, source) for one in values[:3])
        case ast.Name() | ast.Attribute():
            found = source.resolved(node)
            return type(found).__module__ == _SQL_MODULE
        case _:
            return False


def _of_name(node: ast.Name | ast.Attribute, source: FunctionSource, depth: int) -> str:
    if isinstance(node, ast.Name):
        if added := source.added_to(node.id):
            return "" if any(_makes_sql(one, source) for one in added) else "+="
        values = source.values_of(node.id)
        if values:
            return next((how for one in values if (how := building(one, source, depth + 1))), "")
        if any(node.id == one.name for one in source.signature.parameters):
            return "the caller: the whole text comes from a parameter"
    found = source.resolved(node)
    if type(found) is not str or CONSTANTS.own(found) is not None:
        return ""
    return "code at the top level of a file"


def _is_literal(node: ast.expr) -> bool:
    """Whether Python itself makes one constant of it."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and _is_literal(node.left) and _is_literal(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_constant(call: ast.Call, source: FunctionSource) -> bool:
    """Whether it is called on an object of the author's own, which may return what it likes."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else call
    found = source.resolved(owner)
    return found is not None and not isinstance(found, str | bytes) and type(found).__module__ != "string"
