"""The files that changed since the last look: by times and sizes, which works on every file system and in containers.

A site has some hundred files of Python; looking at all of them takes less than a millisecond.
"""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from mcpward.config.model import Settings

_MOST_FILES: Final = 5_000
_MOST_FOLDERS: Final = 300
_SUFFIXES: Final = (".py", ".toml", ".sql", ".json", ".yaml", ".yml", ".md", ".txt", ".env")
_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
Stamps = Mapping[Path, tuple[int, int]]


def stamps_of(roots: Iterable[Path]) -> Stamps:
    """Return time and size of each file below ``roots`` that a server may be made of, and of roots that are files."""
    found: dict[Path, tuple[int, int]] = {}
    for root in roots:
        for file in _files(root):
            try:
                stat = file.stat()
            except OSError:
                continue
            found[file] = (stat.st_mtime_ns, stat.st_size)
            if len(found) >= _MOST_FILES:
                return found
    return found


def changed(before: Stamps, after: Stamps) -> list[Path]:
    """Return what was written, made or removed between two looks."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def roots_of(settings: Settings, config: Path | None) -> list[Path]:
    """Return what to watch: the configuration file, and the folder or the package of each source."""
    roots = {Path.cwd() / config} if config is not None else set()
    for server in settings.servers.values():
        place = server.source.rpartition(":")[0] if ".py:" in server.source else server.source
        if place.endswith(".py") or "/" in place:
            roots.add(Path(place).absolute().parent)
        elif (package := _package(place)) is not None:
            roots.add(package)
    return sorted(roots)


def _package(module: str) -> Path | None:
    """Return the folder of a module's package, or the file of a module without one. Imports nothing."""
    spec = PathFinder.find_spec(module.partition(":")[0].partition(".")[0], [str(Path.cwd()), *sys.path])
    if spec is None:
        return None
    folders = spec.submodule_search_locations
    return Path(next(iter(folders))) if folders else None if spec.origin is None else Path(spec.origin)


def _files(root: Path) -> Iterator[Path]:
    """Return the files below a folder, those near its top first, so that a home folder costs no more than others."""
    if root.is_file():
        yield root
        return
    folders = deque([root])
    for _ in range(_MOST_FOLDERS):
        if not folders:
            return
        try:
            with os.scandir(folders.popleft()) as entries:
                for entry in entries:
                    if entry.is_dir():
                        if _is_ours(Path(entry.path)):
                            folders.append(Path(entry.path))
                    elif entry.name.endswith(_SUFFIXES) and not entry.name.startswith("."):
                        yield Path(entry.path)
        except OSError:
            continue


def _is_ours(folder: Path) -> bool:
    """The data of the site, version control, caches and virtual environments are not what a server is made of."""
    return not folder.name.startswith(".") and folder.name not in _NOT_OURS and not (folder / "pyvenv.cfg").exists()
