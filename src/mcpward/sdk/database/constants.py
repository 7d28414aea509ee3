"""The constant texts of the author's own code: a statement is one of them, or it does not run (attack 68).

They come from the code objects of the loaded modules, compiled anew from their files: nothing that a function does at
run time (``exec``, ``__code__``, an attribute of a module) adds to them. Each is a copy of ours, so that a text which
is edited in place equals none.
"""

import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final

from mcpward.core.work import current

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_STANDARD: Final = tuple(
    Path(path).resolve() for name in ("stdlib", "platstdlib") if (path := sysconfig.get_paths().get(name))
)
_OURS: Final = Path(__file__).resolve().parents[2]
_SOURCE: Final = (".py", ".pyw")


class Constants:
    """Of all loaded modules that are neither a library's nor ours; of installed ones if their package is the author's.

    A known text costs one look-up. An unknown one has the modules looked through that came since, or whose files
    changed.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._packages: set[str] = set()
        self._libraries: dict[str, Any] = {}
        self._read: dict[str, tuple[Any, tuple[int, int] | None]] = {}
        self._unreadable: set[str] = set()
        self._lock = threading.Lock()

    @property
    def unreadable(self) -> list[str]:
        """The author's modules that have neither source nor byte code."""
        return sorted(self._unreadable)

    def own(self, text: object) -> str | None:
        """Return our copy of a constant; None for every other text, and for a ``str`` of a class of its own."""
        if type(text) is not str:
            return None
        found = self._texts.get(text)
        if found is None:
            self._collect(until=text)
            found = self._texts.get(text)
        return found

    def include(self, package: str) -> None:
        """Count the modules of a package, or the module itself, among the author's wherever they are installed."""
        top = package.partition(".")[0]
        if top in {"mcpward", "", "__main__"} or top in self._packages:
            return
        with self._lock:
            self._packages.add(top)
            self._libraries = {name: spec for name, spec in self._libraries.items() if _top(name) != top}

    def add(self, text: str) -> None:
        """Add the text of a file of the author's."""
        self._texts.setdefault(text, text)

    def collect(self, folders: Iterable[Path]) -> None:
        """Read the modules that lie in these folders or below: once they are loaded, and before the first call."""
        self._collect(within=tuple(folder.resolve() for folder in folders))

    def _collect(self, until: str | None = None, within: tuple[Path, ...] = ()) -> None:
        """Read the modules that are new or changed since, the latest first, and no more than it needs.

        In a process of tests an author's modules are those of all tests.
        """
        with self._lock:
            if current.get(None) is None:  # no call runs, so nothing of a caller's can be in it
                self._take_interactive()
            for name, module in reversed(list(sys.modules.items())):
                if until is not None and until in self._texts:
                    return
                if self._libraries.get(name, self) is not getattr(module, "__spec__", None):
                    self._look_at(name, module, within)

    def _look_at(self, name: str, module: ModuleType, within: tuple[Path, ...]) -> None:
        spec = getattr(module, "__spec__", None)
        file = getattr(module, "__file__", None)
        is_known = name in self._read and self._read[name][0] is spec
        if not isinstance(file, str) or not (is_known or self._is_authors(name, file)):
            if name != "__main__":
                self._libraries[name] = spec
            return
        if within and not any(map(Path(file).resolve().is_relative_to, within)):
            return
        state = (spec, _state_of(file))
        if self._read.get(name) == state:
            return
        self._read[name] = state
        code = _code_of(name, module, file)
        if code is None:
            self._unreadable.add(name)
        else:
            self._unreadable.discard(name)
            self._take(code)

    def _is_authors(self, name: str, file: str) -> bool:
        if _top(name) == "mcpward" or file.startswith("<"):
            return False
        if _top(name) in self._packages:
            return True
        path = Path(file).resolve()
        is_library = not _INSTALLED.isdisjoint(path.parts) or any(map(path.is_relative_to, _STANDARD))
        return not is_library and not path.is_relative_to(_OURS)

    def _take_interactive(self) -> None:
        """At a prompt, in a notebook or on stdin there is no file: its functions, and the line that runs, are."""
        main = sys.modules.get("__main__")
        file = getattr(main, "__file__", None)
        if main is None or (isinstance(file, str) and not file.startswith("<")):  # "<stdin>" is no file
            return
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # only the frames of the prompt are looked at
        while frame is not None:
            if frame.f_globals is vars(main):
                self._take(frame.f_code)
            frame = frame.f_back
        for value in list(vars(main).values()):
            for function in vars(value).values() if isinstance(value, type) else (value,):
                if isinstance(function, FunctionType) and function.__module__ == "__main__":
                    self._take(function.__code__)

    def _take(self, code: CodeType) -> None:
        for text in texts_of(code):
            if text not in self._texts:
                own = _copied(text)
                self._texts[own] = own


def texts_of(code: CodeType) -> Iterator[str]:
    """Return the constant texts of a code object and of all within it."""
    rest: list[Any] = [code]
    while rest:
        constant = rest.pop()
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            rest += constant.co_consts
        elif isinstance(constant, tuple | frozenset):
            rest += constant


def _top(name: str) -> str:
    return name.partition(".")[0]


def _state_of(file: str) -> tuple[int, int] | None:
    """Return what tells a file from a later version of it."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _code_of(name: str, module: ModuleType, file: str) -> CodeType | None:
    """Return a module's code: compiled from its source, else its byte code (``.pyc`` only, an archive)."""
    spec = getattr(module, "__spec__", None)
    loader = getattr(spec, "loader", None) or getattr(module, "__loader__", None)
    try:
        if file.endswith(_SOURCE) and Path(file).is_file():
            with warnings.catch_warnings():  # its author saw them when it was loaded
                warnings.simplefilter("ignore")
                return compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
        code = loader.get_code(getattr(spec, "name", name)) if loader is not None else None
    except (AttributeError, ImportError, OSError, SyntaxError, ValueError):
        return None
    return code if isinstance(code, CodeType) else None


def _copied(text: str) -> str:
    """Return another object of the same text."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")


CONSTANTS: Final = Constants()
"""Those of this process."""
