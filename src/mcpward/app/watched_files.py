"""Which files changed since the last look: by times and sizes, which works on every file system and in containers.

A site has some hundred files of Python; to ask for all of them takes less than a millisecond.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from mcpward.config.model import Settings

_MOST_FILES: Final = 5_000
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
    """Return what to watch: the configuration file, and the folders of all sources (modules: the current folder)."""
    roots = {Path.cwd() / config} if config is not None else set()
    for server in settings.servers.values():
        place = server.source.rpartition(":")[0] if ".py:" in server.source else server.source
        roots.add(Path(place).absolute().parent if place.endswith(".py") else Path.cwd())
    return sorted(roots)


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if _is_ours(Path(folder, name))]
        for name in names:
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


def _is_ours(folder: Path) -> bool:
    """The data of the site, version control, caches and virtual environments are not what a server is made of."""
    return not folder.name.startswith(".") and folder.name not in _NOT_OURS and not (folder / "pyvenv.cfg").exists()
