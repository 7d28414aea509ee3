"""One line at a terminal with a tool's progress, written over by the next one, and removed at the end."""

import shutil
import sys
from typing import TYPE_CHECKING, Final

from rich.cells import set_cell_size

from mcpward.cli import ui

if TYPE_CHECKING:
    from mcpward.operations.operator_call import Progress

_CLEAR: Final = "\r\x1b[K"


class ProgressLine:
    """Is shown to a person who looks at stderr, and never to a program."""

    def __init__(self, *, is_shown: bool) -> None:
        self.is_shown = is_shown and sys.stderr.isatty()
        self._is_there = False

    def show(self, progress: "Progress") -> None:
        """Write the tool's progress over the former line."""
        of = f" of {progress.total:g}" if progress.total is not None else ""
        text = ui.safe(f"{progress.progress:g}{of} {progress.message}".rstrip())
        width = shutil.get_terminal_size().columns - 1  # the last column would begin a new line
        self._write(_CLEAR + set_cell_size(text, width).rstrip())
        self._is_there = True

    def clear(self) -> None:
        """Take the line away."""
        if self._is_there:
            self._write(_CLEAR)
            self._is_there = False

    def _write(self, text: str) -> None:
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()
