"""The secrets that a function asks ``env`` for, read from its source and from that of the author's functions it calls.

Nothing is run. A name that is made at run time is not found, and a call that cannot be followed is left out.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from msgspec import Struct

from mcpward.sdk.environment import Environment, env
from mcpward.sdk.place import place_of
from mcpward.tools.origin import Origin

_AUTHORS: Final = Origin(None)
_MOST_FUNCTIONS: Final = 500
_UNKNOWN: Final = object()
_OWN: Final = frozenset(name for name in dir(Environment) if not name.startswith("_"))
_IMPORTED_FROM: Final = frozenset({"mcpward", "mcpward.sdk.context", "mcpward.sdk.environment"})
_Code = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class SecretUse(Struct, frozen=True):
    """One question to ``env``. ``is_required`` unless the function says what holds without it."""

    name: str
    where: str
    is_required: bool


class _Function(Struct, frozen=True):
    """A function to read, and the class whose method it is."""

    function: Any
    owner: type | None = None


def secret_uses(function: Callable[..., Any]) -> list[SecretUse]:
    """Return what a function asks for, itself or by the author's functions that it calls."""
    seen: set[object] = set()
    found: dict[tuple[str, str], SecretUse] = {}
    rest = list(_functions(function))
    while rest and len(seen) < _MOST_FUNCTIONS:
        each = rest.pop()
        code = each.function.__code__
        if code in seen or not _is_authors(code.co_filename):
            continue
        seen.add(code)
        read = _Reading(each)
        for use in read.uses():
            found.setdefault((use.name, use.where), use)
        rest += read.called()
    return list(found.values())


class _Reading:
    """One function's syntax tree, with the values of its names."""

    def __init__(self, read: _Function) -> None:
        code = read.function.__code__
        self._file = code.co_filename
        self._owner = read.owner
        self._first = code.co_varnames[0] if read.owner is not None and code.co_argcount else ""
        self._local = {*code.co_varnames, *code.co_cellvars}
        self._outer = {**read.function.__globals__, **inspect.getclosurevars(read.function).nonlocals}
        tree = _trees(self._file).get((code.co_firstlineno, code.co_name))
        body = tree.body if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) else [tree.body] if tree else []
        self._nodes = [node for part in body for node in ast.walk(part)]
        self._aliases = {
            alias.asname or alias.name
            for node in self._nodes
            if isinstance(node, ast.ImportFrom) and node.module in _IMPORTED_FROM
            for alias in node.names
            if alias.name == "env"
        }
        self._made = {
            target.id: self._made_by(node.value)
            for node in self._nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def uses(self) -> Iterator[SecretUse]:
        for node in self._nodes:
            if isinstance(node, ast.Attribute) and self._is_env(node.value) and node.attr not in _OWN:
                yield self._use(node.attr, node, is_required=True)
            if isinstance(node, ast.Call):
                yield from self._asked(node)

    def called(self) -> Iterator[_Function]:
        for node in self._nodes:
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield from self._followed(node)

    def _asked(self, call: ast.Call) -> Iterator[SecretUse]:
        """``env.get("NAME")``, ``env.path("NAME")``, and ``getattr(env, "NAME")``."""
        function, given = call.func, [*call.args]
        if isinstance(function, ast.Attribute) and self._is_env(function.value) and function.attr in {"get", "path"}:
            is_required = function.attr == "path"
        elif isinstance(function, ast.Name) and function.id == "getattr" and given and self._is_env(given[0]):
            given, is_required = given[1:], len(given) == 2
        else:
            return
        if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
            yield self._use(given[0].value, call, is_required=is_required)

    def _use(self, name: str, node: ast.expr, *, is_required: bool) -> SecretUse:
        return SecretUse(name, place_of(self._file, node.lineno), is_required)

    def _is_env(self, node: ast.AST) -> bool:
        return (isinstance(node, ast.Name) and node.id in self._aliases) or self._value(node) is env

    def _followed(self, node: ast.Name | ast.Attribute) -> Iterator[_Function]:
        if isinstance(node, ast.Attribute):
            owner = self._object(node.value)
            if owner is _UNKNOWN or isinstance(owner, ModuleType):
                yield from () if owner is _UNKNOWN else _functions(getattr(owner, node.attr, None))
                return
            kind = owner if isinstance(owner, type) else type(owner)
            yield from _functions(inspect.getattr_static(kind, node.attr, None), kind)
        else:
            yield from _functions(self._value(node))

    def _object(self, node: ast.AST) -> Any:
        """Return the value of an expression, or the class of what it makes: ``self``, ``Shop()``, ``shop = Shop()``."""
        if isinstance(node, ast.Name) and node.id == self._first and self._owner is not None:
            return self._owner
        if isinstance(node, ast.Name) and node.id in self._made:
            return self._made[node.id]
        return self._made_by(node) if isinstance(node, ast.Call) else self._value(node)

    def _made_by(self, node: ast.AST | None) -> Any:
        made = self._value(node.func) if isinstance(node, ast.Call) else _UNKNOWN
        return made if isinstance(made, type) else _UNKNOWN

    def _value(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Name):
            return _UNKNOWN if node.id in self._local else self._outer.get(node.id, _UNKNOWN)
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            return getattr(owner, node.attr, _UNKNOWN) if isinstance(owner, ModuleType) else _UNKNOWN
        return _UNKNOWN


def _functions(value: Any, owner: type | None = None) -> Iterator[_Function]:
    """Return the functions that are run if a value is called."""
    if isinstance(value, partial):
        yield from _functions(value.func)
    elif isinstance(value, staticmethod | classmethod):
        yield from _functions(value.__func__, owner)
    elif isinstance(value, property):
        yield from _functions(value.fget, owner)
    elif isinstance(value, MethodType):
        yield from _functions(value.__func__, type(value.__self__))
    elif isinstance(value, type):
        yield from _functions(vars(value).get("__init__"), value)
    elif isinstance(value, FunctionType):
        wrapped = inspect.unwrap(value)
        for each in dict.fromkeys((value, wrapped)):
            if isinstance(each, FunctionType):
                yield _Function(each, owner)


@lru_cache(maxsize=256)
def _is_authors(file: str) -> bool:
    return _AUTHORS.holds(file)


@lru_cache(maxsize=64)
def _trees(file: str) -> dict[tuple[int, str], _Code]:
    """Return the functions of a file by their first line, decorators included, and their names."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[tuple[int, str], _Code] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found[node.lineno, "<lambda>"] = node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[min([node.lineno, *(one.lineno for one in node.decorator_list)]), node.name] = node
    return found
