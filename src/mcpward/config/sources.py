"""Whether what servers are made of is there, and who else may write it. Nothing of it is run here."""

import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from mcpward.config.load import Loaded
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.writers import writable_by_others
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

    A module that is installed where mcpward is has the same writers as mcpward itself, who need no other way in.
    """
    found: dict[tuple[str, str], Finding] = {}
    for name, server in settings.servers.items():
        for file in _files_of(server.source):
            with suppress(OSError):  # it is not there, or cannot be looked at: loading it says so
                for finding in writable_by_others(file, f"the source of server {name}", "what it runs"):
                    found.setdefault((finding.where, finding.hint), finding)
    return [*found.values()]


def _files_of(source: str) -> list[Path]:
    place = source.rpartition(":")[0] if ".py:" in source else source
    if place.endswith(".py") or "/" in place or Path(place).is_file():
        return [Path(place)]
    found, files, full = [str(Path.cwd()), *sys.path], list[Path](), ""
    for part in source.partition(":")[0].split("."):
        full = f"{full}.{part}" if full else part
        try:
            spec = PathFinder.find_spec(full, found)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            break
        if spec.has_location and spec.origin is not None and not Path(spec.origin).is_relative_to(sys.prefix):
            files.append(Path(spec.origin))
        found = list(spec.submodule_search_locations or ())
    return files


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
