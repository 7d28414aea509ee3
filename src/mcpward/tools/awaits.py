"""Calls of ``async def`` functions whose result is used without ``await``: the function would work on a coroutine."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.tools.function_source import FunctionSource

#: Built-in functions that take a value and not something to await.
_VALUES: Final = frozenset({"bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "next", "print",
                            "repr", "set", "sorted", "str", "sum", "tuple", "zip"})  # fmt: skip
#: Uses in which a coroutine is a mistake: its attributes, its items, its truth.
_USES: Final = (ast.Attribute, ast.Subscript, ast.Compare, ast.BinOp, ast.UnaryOp, ast.FormattedValue, ast.For)


def unawaited(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the calls that are never awaited, with their lines."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and _makes_coroutine(source.resolved(node.func)) and _is_lost(node, source):
            called = ast.unparse(node.func)
            if source.signature.is_async:
                hint = f"write await {called}(…)"
            elif called.partition(".")[0] == source.signature.context:
                hint = f"write {source.signature.context}.run({called}(…)), or async def and await"
            else:
                hint = f"write async def, and await {called}(…)"
            yield Finding(f"{what}: {called}() is not awaited", source.place(node), hint)


def _makes_coroutine(function: Any) -> bool:
    return inspect.isroutine(function) and inspect.iscoroutinefunction(inspect.unwrap(function))


def _is_lost(call: ast.Call, source: FunctionSource) -> bool:
    parent = source.parents.get(call)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        return _name_is_lost(parent.targets[0].id, source)
    if isinstance(parent, ast.AnnAssign) and isinstance(parent.target, ast.Name):
        return _name_is_lost(parent.target.id, source)
    return _use_is_lost(call, source)


def _name_is_lost(name: str, source: FunctionSource) -> bool:
    if len(source.values_of(name)) != 1:
        return False
    uses = [
        node
        for node in source.nodes
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    ]
    inner = (
        sum(1 for node in ast.walk(source.tree) if isinstance(node, ast.Name) and node.id == name) if source.tree else 0
    )
    return inner == len(uses) + 1 and all(_use_is_lost(use, source) for use in uses)


def _use_is_lost(value: ast.expr, source: FunctionSource) -> bool:
    """Whether a coroutine at this place is taken for its result. If it may be awaited later, it is not."""
    parent = source.parents.get(value)
    match parent:
        case ast.Expr():
            return True
        case ast.Return():
            return source.signature.is_async  # what a def returns is awaited for it
        case ast.If() | ast.While() | ast.IfExp():
            return parent.test is value
        case ast.comprehension():
            return parent.iter is value
        case ast.Call():
            is_builtin = isinstance(parent.func, ast.Name) and parent.func.id in _VALUES
            return value in parent.args and is_builtin
        case _:
            return isinstance(parent, _USES)
