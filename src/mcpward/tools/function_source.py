"""The source of one of an author's functions: its syntax tree, the lines of the file, and the values of its names.

Nothing of it is run. A value that is not certain is None: a lint must not refuse working code.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from types import ModuleType
from typing import Any, Final

from mcpward.sdk.context import Context
from mcpward.sdk.place import place_of
from mcpward.sdk.signature import Signature

_UNKNOWN: Final = object()
Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class FunctionSource:
    """``tree`` is None if there is no source (a function of C, or made by ``exec``)."""

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self._function = inspect.unwrap(function)
        self.signature = signature
        self.tree = self._parsed()

    def place(self, node: ast.AST) -> str:
        """Return ``file:line`` of a part of the function."""
        code = self._function.__code__
        return place_of(code.co_filename, code.co_firstlineno + getattr(node, "lineno", 1) - 1)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """The parts of the function itself, without those of functions within it."""
        return tuple(_own(self.tree)) if self.tree is not None else ()

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of each node."""
        return {child: node for node in (self.tree, *self.nodes) if node for child in ast.iter_child_nodes(node)}

    @cached_property
    def _own_names(self) -> frozenset[str]:
        stored = {node.id for node in self.nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
        return frozenset(stored | set(inspect.signature(self._function).parameters))

    @cached_property
    def _outer(self) -> dict[str, Any]:
        variables = inspect.getclosurevars(self._function)
        return {**variables.builtins, **self._function.__globals__, **variables.nonlocals}

    def resolved(self, node: ast.AST) -> Any:
        """Return what a name, or an attribute of one, stands for; None if that is not known."""
        found = self._resolved(node)
        return None if found is _UNKNOWN else found

    def _resolved(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Name):
            if node.id == self.signature.context and node.id:
                return Context
            return _UNKNOWN if node.id in self._own_names else self._outer.get(node.id, _UNKNOWN)
        if isinstance(node, ast.Attribute):
            owner = self._resolved(node.value)
            if owner is _UNKNOWN:
                return _UNKNOWN
            if isinstance(owner, ModuleType):
                return getattr(owner, node.attr, _UNKNOWN)
            found = inspect.getattr_static(owner, node.attr, _UNKNOWN)
            return found.__func__ if isinstance(found, staticmethod | classmethod) else found
        if isinstance(node, ast.Call):  # Database(…).query(…)
            made = self._resolved(node.func)
            return made if isinstance(made, type) else _UNKNOWN
        return _UNKNOWN

    def values_of(self, name: str) -> list[ast.AST | None]:
        """Return what is assigned to a local name, None for each value that is not written there."""
        found: list[ast.AST | None] = []
        for node in self.nodes:
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                parent = self.parents.get(node)
                is_plain = isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr)
                found.append(getattr(parent, "value", None) if is_plain else None)
        return found

    def added_to(self, name: str) -> list[ast.expr]:
        """Return what is added to a local name by ``+=``."""
        return [
            node.value
            for node in self.nodes
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name
        ]

    def entered_as(self, name: str) -> ast.expr | None:
        """Return what a local name is the ``as`` of: ``async with db.transaction() as tx``."""
        for node in self.nodes:
            if isinstance(node, ast.AsyncWith | ast.With):
                for item in node.items:
                    if isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == name:
                        return item.context_expr
        return None

    def _parsed(self) -> Function | None:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(self._function))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError, ValueError):
            return None
        return tree if isinstance(tree, Function) else None


def _own(tree: ast.AST) -> Iterator[ast.AST]:
    body = tree.body if isinstance(tree, Function) else [tree]
    rest: list[ast.AST] = list(body)
    while rest:
        node = rest.pop(0)
        yield node
        if not isinstance(node, _SCOPES):
            rest += ast.iter_child_nodes(node)
