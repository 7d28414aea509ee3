"""The version of what an author's server is part of, for a server that has none of its own.

``version`` is required in MCP's ``Implementation``, and an empty one tells a client nothing.
"""

import sys
from importlib import metadata
from types import ModuleType
from typing import Any, Final

UNVERSIONED: Final = "0.0.0"
"""The announced version of a server without one."""
_LONGEST: Final = 100


def version_of(module: ModuleType, *, is_file: bool) -> str:
    """Return ``__version__`` of the module or of its package, else the version of the installed package, else "".

    A file is served by its path, and so is part of no package.
    """
    package = module.__name__.partition(".")[0]
    for one in (module, sys.modules.get(package)):
        if _is_version(said := getattr(one, "__version__", None)):
            return str(said)
    return "" if is_file else _installed(package)


def _installed(package: str) -> str:
    names = metadata.packages_distributions().get(package, [package])
    try:
        said: Any = metadata.version(names[0])
    except metadata.PackageNotFoundError:
        return ""
    return said if _is_version(said) else ""


def _is_version(said: Any) -> bool:
    return isinstance(said, str) and 0 < len(said) <= _LONGEST and said.isprintable() and said.strip() == said
