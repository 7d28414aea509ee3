"""The top level of an author's file, read without running it: where a name gets its value, where a server is made."""

import ast
from pathlib import Path

from mcpward.sdk.place import place_of


class TopLevel:
    """One file. All lines are 0 if it cannot be read."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        try:
            text = file.read_text(encoding="utf-8") if file is not None else ""
            self._tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError):
            self._tree = ast.parse("")

    def line_of(self, name: str) -> int:
        """Return the line of the last assignment to, or import of, a name."""
        line = 0
        for node in self._tree.body:
            if any(
                isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and one.id == name
                for one in ast.walk(node)
            ):
                line = node.lineno
            if isinstance(node, ast.Import | ast.ImportFrom) and name in {one.asname or one.name for one in node.names}:
                line = node.lineno
        return line

    def call_of(self, function: str) -> int:
        """Return the line of the first call of a function by its name, anywhere in the file."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                return node.lineno
        return 0

    def place(self, line: int) -> str:
        """Return ``file:line``."""
        return place_of(str(self._file), line) if self._file is not None else ""
