"""Whether the sources of servers exist, and which other accounts may write them. Nothing of them is run here."""

import sys
from contextlib import suppress
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import cache_from_source
from pathlib import Path

from mcpward.config.load import Loaded
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.writers import importable_by_others, writable_by_others
from mcpward.core.errors import Finding


def missing_sources(loaded: Loaded) -> list[Finding]:
    """Name every source that leads to no file and no module."""
    findings: list[Finding] = []
    for name, server in loaded.settings.servers.items():
        told = _missing(server.source)
        if told is not None:
            what, hint = told
            key = f"servers.{name}.source"
            origin = loaded.origins.get(key)
            if origin is not None and origin.layer == "file":
                findings.append(Finding(f"{key}: {what}", origin.where, hint))
            else:
                findings.append(Finding(what, origin.where if origin else key, hint))
    return findings


def foreign_sources(settings: Settings) -> list[Finding]:
    """Name every source that others may write, by the rule for the site's own file: they decide what runs.

    A module installed beside mcpward has the same writers as mcpward itself, which need no other way in.
    """
    found: dict[tuple[str, str], Finding] = {}
    for name, server in settings.servers.items():
        files, folders = _places_of(server.source)
        what = f"the source of server {name}"
        looks = [
            *(partial(writable_by_others, file, what, "what it runs") for file in files),
            *(partial(importable_by_others, folder, what) for folder in folders),
            *(partial(importable_by_others, Path(cache_from_source(file)).parent, what) for file in files),
        ]
        for look in looks:
            with suppress(OSError):  # it is missing, or cannot be looked at: loading it reports that
                for finding in look():
                    found.setdefault((finding.where, finding.hint), finding)
    return [*found.values()]


def _places_of(source: str) -> tuple[list[Path], list[Path]]:
    """Return the files that run first, and the folders from which they import before all others."""
    place = source.rpartition(":")[0] if ".py:" in source else source
    if place.endswith(".py") or "/" in place or Path(place).is_file():
        return [Path(place)], [Path(place).resolve().parent]
    found, files, folders, full = [str(Path.cwd()), *sys.path], list[Path](), [Path.cwd()], ""
    for part in source.partition(":")[0].split("."):
        full = f"{full}.{part}" if full else part
        try:
            spec = PathFinder.find_spec(full, found) or (_of_other_finder(part) if full == part else None)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            break
        if spec.has_location and spec.origin is not None and not Path(spec.origin).is_relative_to(sys.prefix):
            files.append(Path(spec.origin))
        found = list(spec.submodule_search_locations or ())
        folders += [Path(folder) for folder in found if not Path(folder).is_relative_to(sys.prefix)]
    return files, folders


def _of_other_finder(name: str) -> ModuleSpec | None:
    """Find what was installed to be edited, for which there are finders of their own."""
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    return next((spec for find in finders if find is not None and (spec := find(name, None)) is not None), None)


def _missing(source: str) -> tuple[str, str] | None:
    """Return what is not there, and a hint."""
    place = source.rpartition(":")[0] if ".py:" in source else source
    if Path(place).is_file():
        return None
    if place.endswith(".py") or "/" in place:
        return f"there is no file {place}", _other_file(Path(place)) or "name a Python file, or module:object"
    module = source.partition(":")[0]
    if _is_module(module):
        return None
    return f"there is no module {module}", f"a file {module}.py, or install its package: pip list"


def _other_file(place: Path) -> str:
    try:
        files = [file.name for file in place.parent.glob("*.py")]
    except OSError:
        return ""
    meant = nearest(place.name, files)
    return f"did you mean {meant}?" if meant else ""


def _is_module(name: str) -> bool:
    """Find a module as an import would, without running the packages around it as that does."""
    found: list[str] | None = [str(Path.cwd()), *sys.path]
    first, *rest = name.split(".")
    if first in sys.builtin_module_names:
        return not rest
    full = ""
    for part in (first, *rest):
        full = f"{full}.{part}" if full else part
        try:
            spec = PathFinder.find_spec(full, found)
        except (ImportError, ValueError):
            return True  # an importer of its own: only it can tell
        if spec is None:
            # Editable installs and zips have finders of their own, which are asked for whole packages only.
            return full == first and any(_finds(finder, first) for finder in sys.meta_path)
        found = list(spec.submodule_search_locations or ())
    return True


def _finds(finder: object, name: str) -> bool:
    find = getattr(finder, "find_spec", None)
    return find is not None and find is not PathFinder.find_spec and find(name, None) is not None
