"""Names say what a thing is; a module says what it does; no code asks the machine for the time or for random
numbers.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.sources import PACKAGE, modules, nodes

NAMELESS = {"base", "common", "helper", "helpers", "misc", "shared", "stuff", "types", "util", "utils"}
NAMELESS_CLASS = re.compile(r"(Manager|Helper|Util|Utils|Base|Data|Info)$")
# ServerInfo is the specification's own word (initialize result, `serverInfo`).
SPECIFIED = {"ServerInfo", "ClientInfo"}
MAY_ASK_THE_MACHINE = ("core", "crypto")
LUCK = {"random", "secrets"}
TIME = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
DRAWS = {("os", "urandom"), ("uuid", "uuid1"), ("uuid", "uuid4")}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def elsewhere() -> Iterator[tuple[Path, ast.Module]]:
    for path, tree in modules().items():
        if path.parts[0] not in MAY_ASK_THE_MACHINE:
            yield path, tree


@cache
def imported_names(tree: ast.Module) -> list[tuple[str, str]]:
    """Every import as (module, name); the name is empty for ``import module``."""
    found: list[tuple[str, str]] = []
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


@cache
def attributes(tree: ast.Module) -> list[tuple[str, str, int]]:
    """Every ``name.attribute`` and ``module.name.attribute`` as (name, attribute, line)."""
    found: list[tuple[str, str, int]] = []
    for node in nodes(tree):
        if isinstance(node, ast.Attribute):
            left = node.value
            if isinstance(left, ast.Name):
                found.append((left.id, node.attr, node.lineno))
            elif isinstance(left, ast.Attribute):
                found.append((left.attr, node.attr, node.lineno))
    return found


def test_no_module_has_a_name_that_says_nothing():
    assert not [path for path in modules() if {path.stem, *path.parts[:-1]} & NAMELESS]


def test_no_class_has_a_name_that_says_nothing():
    nameless = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in modules().items()
        for node in nodes(tree)
        if isinstance(node, ast.ClassDef) and NAMELESS_CLASS.search(node.name) and node.name not in SPECIFIED
    ]
    assert not nameless


def test_every_module_says_what_it_does():
    assert not [path for path, tree in modules().items() if not ast.get_docstring(tree)]


def used(wanted: set[tuple[str, str]]) -> list[str]:
    """Where ``module.name`` stands, as an attribute or as an import."""
    places = [
        f"{path}:{line} {name}.{attribute}"
        for path, tree in elsewhere()
        for name, attribute, line in attributes(tree)
        if (name, attribute) in wanted
    ]
    return places + [
        f"{path} imports {what}" for path, tree in elsewhere() for what in imported_names(tree) if what in wanted
    ]


def test_only_core_and_crypto_draw_random_numbers():
    drawn = [f"{path} imports {name}" for path, tree in elsewhere() for name, _ in imported_names(tree) if name in LUCK]
    assert not drawn + used(DRAWS)


def test_only_core_asks_the_machine_for_the_time():
    assert not used(TIME)


def test_nothing_is_left_to_be_done():
    assert not [path for path in modules() if UNFINISHED.search((PACKAGE / path).read_text(encoding="utf-8"))]
