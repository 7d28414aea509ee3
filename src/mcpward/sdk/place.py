"""``file:line`` of what an author wrote, as they would type it: relative to the current folder if it lies below
that.
"""

from contextlib import suppress
from pathlib import Path


def place_of(filename: str, line: int | None) -> str:
    """Return ``tools.py:7``; the whole path if the file lies elsewhere, and "" if Python knows no file."""
    if not filename or filename.startswith("<"):
        return ""
    path = Path(filename)
    with suppress(ValueError, OSError):  # elsewhere, or the current folder is gone
        path = path.relative_to(Path.cwd())
    return f"{path}:{line or 1}"
