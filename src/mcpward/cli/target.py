"""What ``serve TARGET`` means, found without running the author's file: the name that its server gives itself."""

import ast
import re
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from mcpward.config.names import RESERVED, SERVER_NAME

_MOST_BYTES = 4 * 1024**2


class Target(Struct, frozen=True):
    """A server to serve: its name, and its source where the target named one."""

    name: str
    source: str | None


def read_target(target: str, configured: Collection[str], name: str | None) -> Target:
    """Read a target: the name of a configured server, or a source (a Python file, or module:object).

    A source is called as ``name`` says, else as its own ``Server("…")`` does, else after its file.
    """
    if target in configured and not Path(target).is_file():
        return Target(name=target, source=None)
    return Target(name=name or _own_name(target) or _name_after(target), source=target)


def _own_name(target: str) -> str | None:
    path = Path(target.rpartition(":")[0] if ".py:" in target else target)
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the tools room says what is wrong with it, when it loads the file
    for statement in tree.body:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        found = _server_name(value) if isinstance(value, ast.Call) else None
        if found and SERVER_NAME.fullmatch(found) and found not in RESERVED:
            return found
    return None


def _server_name(call: ast.Call) -> str | None:
    function = call.func
    called = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    first = call.args[0] if call.args else next((word.value for word in call.keywords if word.arg == "name"), None)
    if called == "Server" and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return None


def _name_after(target: str) -> str:
    place = target.rpartition(":")[0] or target
    stem = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:63]
    return name if name and name not in RESERVED else "server"
