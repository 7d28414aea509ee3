"""The author's file and line that a call came from: where a relative path starts, and what an error names."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Final

from msgspec import Struct

#: With the separator: beside us may lie a folder whose name begins with ours.
_OURS: Final = str(Path(__file__).resolve().parents[1]) + os.sep


class AuthorPlace(Struct, frozen=True):
    """``file`` is None if no file is there: at a prompt, or in code that was made of text."""

    file: Path | None = None
    line: int = 0

    @property
    def folder(self) -> Path:
        """The folder of that file, else the current one."""
        return self.file.parent if self.file is not None else Path.cwd()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file is not None else ""


def author_place() -> AuthorPlace:
    """Return where the innermost frame outside of mcpward stands."""
    frame = _author_frame()
    file = Path(frame.f_code.co_filename)
    return AuthorPlace(file.resolve(), frame.f_lineno) if file.is_file() else AuthorPlace()


def author_module() -> str:
    """Return the name of the module that the innermost frame outside of mcpward belongs to."""
    return str(_author_frame().f_globals.get("__name__", ""))


def _author_frame() -> FrameType:
    frame = sys._getframe(2)  # noqa: SLF001  # what inspect.stack does, without reading every source file
    while frame.f_code.co_filename.startswith(_OURS) and frame.f_back is not None:
        frame = frame.f_back
    return frame
