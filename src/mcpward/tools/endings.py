"""Whether a function that declares a value always returns one: read from the source, as a type checker does."""

import ast
import typing
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.sdk.schema.arguments import type_name
from mcpward.sdk.signature import REQUIRED
from mcpward.tools.function_source import FunctionSource

_ANY: Final = (REQUIRED, None, NoneType, Any, object)


def missing_return(what: str, source: FunctionSource) -> tuple[Finding, bool] | None:
    """Return what is wrong, and whether it is certain (no value is returned anywhere); None if all is well."""
    tree, returns = source.tree, source.signature.returns
    if tree is None or _allows_none(returns):
        return None
    values = [node for node in source.nodes if isinstance(node, ast.Return)]
    name = type_name(returns)
    if not any(node.value is not None for node in values):
        if not _falls_off(tree.body) and not values:
            return None  # it always raises
        hint = f"return {name}, or write -> None"
        return Finding(f"{what} declares {name} but returns nothing", source.place(tree), hint), True
    bare = next((node for node in values if node.value is None), None)
    if bare is not None or _falls_off(tree.body):
        where = source.place(bare if bare is not None else _last(tree.body))
        hint = f"return {name} or raise ToolError there; or write -> {name} | None"
        return Finding(f"{what} declares {name}, but may end here without a return", where, hint), False
    return None


def _allows_none(annotation: Any) -> bool:
    if any(annotation is one for one in _ANY):
        return True
    if typing.get_origin(annotation) is typing.Annotated:
        return _allows_none(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, UnionType}:
        return any(map(_allows_none, typing.get_args(annotation)))
    return annotation in {typing.NoReturn, typing.Never}


def _last(body: Sequence[ast.stmt]) -> ast.stmt:
    last = body[-1]
    if isinstance(last, ast.If):
        return _last(last.orelse) if last.orelse and _falls_off(last.orelse) else last
    return last


def _falls_off(body: Sequence[ast.stmt]) -> bool:
    """Whether the end of a block can be reached."""
    return all(_goes_on(statement) for statement in body)


def _goes_on(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return False
        case ast.If():
            return not statement.orelse or _falls_off(statement.body) or _falls_off(statement.orelse)
        case ast.While():
            return not _is_endless(statement)
        case ast.With() | ast.AsyncWith():
            return _falls_off(statement.body)
        case ast.Try():
            return _try_goes_on(statement)
        case ast.Match():
            is_whole = any(_takes_all(case) for case in statement.cases)
            return not is_whole or any(_falls_off(case.body) for case in statement.cases)
        case ast.Assert():
            return not (isinstance(statement.test, ast.Constant) and not statement.test.value)
        case ast.Expr(value=ast.Call(func=func)):
            return ast.unparse(func).rpartition(".")[2] not in {"exit", "abort", "assert_never", "fail"}
        case _:
            return True


def _try_goes_on(statement: ast.Try) -> bool:
    if statement.finalbody and not _falls_off(statement.finalbody):
        return False
    main = _falls_off(statement.body) and _falls_off(statement.orelse)
    return main or any(_falls_off(handler.body) for handler in statement.handlers)


def _is_endless(loop: ast.While) -> bool:
    is_true = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return is_true and not any(isinstance(node, ast.Break) for part in loop.body for node in ast.walk(part))


def _takes_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
