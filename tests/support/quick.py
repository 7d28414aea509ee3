"""Which unit tests `make fast` leaves out, and why: by what their modules import and by what they ask for.

Nothing is timed and nothing is listed by name, so a new test is judged as every other is.
"""

import ast
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).resolve().parent.parent
_UNITS: Final = str(_TESTS / "unit")
PROCESS = "starts a process"
DATABASE = "opens a database"
COMMAND = "runs a command on a site"
EXAMPLES = "draws examples"
COST = "measures a cost"
_COST: Final = "support.cost"
#: An import says something of the tests of a module; that of a package says it of all modules in it.
_TELLING: Final = {
    "subprocess": PROCESS,
    "multiprocessing": PROCESS,
    "mcpward.storage": DATABASE,
    "mcpward.operations": DATABASE,
    "mcpward.app.site": DATABASE,
    "support.store": DATABASE,
    "mcpward.cli": COMMAND,
    "typer.testing": COMMAND,
    _COST: COST,
}


def why_slow(item: pytest.Item) -> str | None:
    """Return why a unit test is left out, and None for a quick one and for every test that is no unit test."""
    if not isinstance(item, pytest.Function) or not str(item.path).startswith(_UNITS):
        return None
    if getattr(item.obj, "is_hypothesis_test", False):
        return EXAMPLES
    return next((why for path in (str(item.path), *_makers(item)) if (why := _told_by(path)) is not None), None)


def is_of_part(path: Path, part: str) -> bool:
    """Return whether a module is of the part ``K/N``."""
    number, parts = (int(each) for each in part.split("/"))
    return zlib.crc32(path.relative_to(_TESTS.parent).as_posix().encode()) % parts == number - 1


def measures_cost(path: Path) -> bool:
    """Return whether a module of tests measures what something costs: another process beside it makes all dearer."""
    return any(name == _COST or name.startswith(f"{_COST}.") for name in _imported(path))


def why_slow_module(path: Path) -> str | None:
    """Return why all tests of a module of unit tests are left out, told by what it imports; None for any other file."""
    return _told_by(str(path)) if path.name.startswith("test_") and str(path).startswith(_UNITS) else None


def _makers(item: pytest.Function) -> Iterator[str]:
    """Yield the modules of the fixtures that a test asks for; those for all tests tell nothing."""
    for name in item.fixturenames:
        for fixture in item._fixtureinfo.name2fixturedefs.get(name, ()):
            path = fixture.func.__code__.co_filename
            if path.startswith(str(_TESTS)) and path != str(_TESTS / "conftest.py"):
                yield path


@cache
def _told_by(path: str) -> str | None:
    for name in _imported(Path(path)):
        for telling, why in _TELLING.items():
            if name == telling or name.startswith(f"{telling}."):
                return why
        support = _TESTS / f"{name.replace('.', '/')}.py"
        if name.startswith("support.") and any(_TELLING.get(each) == PROCESS for each in _imported(support)):
            return PROCESS
    return None


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Return what a module imports, wherever in it, in alphabetical order; none of it is run."""
    names: set[str] = set()
    if not path.is_file():
        return ()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return tuple(sorted(names))
