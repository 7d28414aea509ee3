"""The place in an author's own code where an error arose: never in a library's file, nor in ours."""

import sysconfig
import traceback
from pathlib import Path
from typing import Final

from mcpward.sdk.place import place_of

_OURS: Final = Path(__file__).resolve().parents[1]
_INSTALLED: Final = ("site-packages", "dist-packages")
_STANDARD: Final = tuple(
    Path(path).resolve() for name in ("stdlib", "platstdlib") if (path := sysconfig.get_paths().get(name))
)


class Origin:
    """The files of one source: ``file`` itself, and those beside and below it."""

    def __init__(self, file: Path | None) -> None:
        self.file = None if file is None else file.resolve()
        self._root = None if self.file is None else self.file.parent

    def holds(self, filename: str) -> bool:
        """Whether a file is the author's own."""
        if filename.startswith("<"):
            return False
        path = Path(filename).resolve()
        if self._root is not None and path.is_relative_to(self._root):
            # An environment within the author's folder holds libraries all the same.
            return not any(part in _INSTALLED for part in path.relative_to(self._root).parts)
        is_library = any(part in _INSTALLED for part in path.parts) or any(map(path.is_relative_to, _STANDARD))
        return not is_library and not path.is_relative_to(_OURS)

    def frame(self, error: BaseException) -> traceback.FrameSummary | None:
        """Return the innermost frame of the author's, by which the error came about."""
        known: dict[str, bool] = {}  # a recursion has a thousand frames of a file or two
        for frame, number in reversed([*traceback.walk_tb(error.__traceback__)]):
            file = frame.f_code.co_filename
            if file not in known:
                known[file] = self.holds(file)
            if known[file]:
                return traceback.StackSummary.extract([(frame, number)])[0]
        return None

    def place(self, error: BaseException) -> str:
        """Return ``file:line`` of :meth:`frame`; the source itself if there is none."""
        frame = self.frame(error)
        if frame is not None:
            return place_of(frame.filename, frame.lineno)
        return place_of(str(self.file), 1) if self.file is not None else ""
