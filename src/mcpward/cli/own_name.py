"""The name that a server has in its source, found without running the author's code.

The vault passes a source the secrets of its own server while it loads, so the name is needed before that. A module is
looked up as Python would, but no package is imported for it; names are followed through ``from … import …``.
"""

import ast
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 4 * 1024**2
#: Files that are read to find one name: ``from .server import server`` in a package, and some more.
_MOST_FILES: Final = 5


def own_name(file: Path, attribute: str = "") -> str | None:
    """Return the name in ``Server("…")`` of a file: of that ``attribute``, else of the first server in it.

    None if it cannot be seen, or if the file cannot be read at all: the package tools reports why when it loads the
    file.
    """
    return _Search().name_in(file, attribute)


def module_file(name: str) -> Path | None:
    """Return the file of a module, looked for in the current folder first; None if none is found."""
    path = [str(Path.cwd()), *sys.path]
    origin: str | None = None
    for part in name.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
        origin = spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None


class _Search:
    def __init__(self) -> None:
        self._files = 0

    def name_in(self, file: Path, attribute: str) -> str | None:
        self._files += 1
        tree = _read(file) if self._files <= _MOST_FILES else None
        if tree is None:
            return None
        texts: dict[str, str] = {}
        first: str | None = None
        for statement in tree.body:
            names, value = _assigned(statement)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                texts.update(dict.fromkeys(names, value.value))
            found = _server_name(value, texts) if isinstance(value, ast.Call) else None
            if found is not None and attribute in names:
                return found
            first = first if first is not None else found
        if attribute:
            return self._imported(tree, file, attribute)
        return first

    def _imported(self, tree: ast.Module, file: Path, attribute: str) -> str | None:
        for statement in tree.body:
            if not isinstance(statement, ast.ImportFrom):
                continue
            for alias in statement.names:
                if (alias.asname or alias.name) == attribute:
                    place = _place_of(statement, file)
                    return None if place is None else self.name_in(place, alias.name)
        return None


def _read(file: Path) -> ast.Module | None:
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return None
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _place_of(statement: ast.ImportFrom, file: Path) -> Path | None:
    if not statement.level:
        return module_file(statement.module or "")
    folder = file.parent
    for _ in range(statement.level - 1):
        folder = folder.parent
    place = folder.joinpath(*(statement.module or "").split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _assigned(statement: ast.stmt) -> tuple[list[str], ast.expr | None]:
    """Return the plain names that a statement assigns to, and what it assigns."""
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return [], None
    return [target.id for target in targets if isinstance(target, ast.Name)], statement.value


def _server_name(call: ast.Call, texts: dict[str, str]) -> str | None:
    function = call.func
    called = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    if called != "Server":
        return None
    first = call.args[0] if call.args else next((word.value for word in call.keywords if word.arg == "name"), None)
    if isinstance(first, ast.Name):
        return texts.get(first.id)
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
