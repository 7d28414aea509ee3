"""Whether what servers are made of is there: files, and modules that can be found. Nothing of it is run here."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from mcpward.config.load import Loaded
from mcpward.config.names import nearest
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
    return f"there is no module {module}", f"a file {module}.py, or install what it is part of: pip list"


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
            return True  # an importer of its own: only it can say
        if spec is None:
            # Editable installs and zips have finders of their own, which are asked for whole packages only.
            return full == first and any(_finds(finder, first) for finder in sys.meta_path)
        found = list(spec.submodule_search_locations or ())
    return True


def _finds(finder: object, name: str) -> bool:
    find = getattr(finder, "find_spec", None)
    return find is not None and find is not PathFinder.find_spec and find(name, None) is not None
