"""Loads an author's server from a file or from ``module:object``. Runs the author's code, hence only at start."""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from mcpward.core.errors import Finding, Misconfigured
from mcpward.sdk.errors import AuthoringError, MissingSecret
from mcpward.sdk.server import Server

_OURS = Path(__file__).resolve().parents[1]
_HINT = 'write server = Server("name") at the top level of the file'


def load_server(source: str) -> Server:
    """Load ``tools.py``, ``tools.py:object``, ``package.module`` or ``package.module:object``.

    Without ``:object`` the file's only :class:`Server` is taken. A file's own folder comes first on ``sys.path``,
    as when Python runs it.

    Raises:
        Misconfigured: with one finding that says in one line what is wrong and where.
    """
    path, attribute = _split(source)
    is_file = path.endswith(".py") or "/" in path or Path(path).is_file()
    module = _load_file(Path(path), source) if is_file else _load_module(path, source)
    return _find_object(module, attribute, source) if attribute else _find_only(module, source)


def _split(source: str) -> tuple[str, str]:
    head, colon, tail = source.rpartition(":")
    return (head, tail) if colon and head and tail.replace(".", "_").isidentifier() else (source, "")


def _load_file(path: Path, source: str) -> ModuleType:
    if not path.is_file():
        _refuse(f"{source}: there is no such file", hint="give the path of a Python file, or module:object")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A name of its own, so that tools.py never hides a module of that name nor another server's tools.py.
    name = f"mcpward_source_{abs(hash(str(path.resolve()))):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    loader = spec.loader if spec is not None else None
    if spec is None or loader is None:
        _refuse(f"{source}: not a Python file", hint="the name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations and dataclasses look their module up by name
    try:
        _guarded(lambda: loader.exec_module(module), source)
    except Misconfigured:
        del sys.modules[name]
        raise
    return module


def _load_module(name: str, source: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    modules: list[ModuleType] = []
    _guarded(lambda: modules.append(importlib.import_module(name)), source)
    return modules[0]


def _guarded(load: Any, source: str) -> None:
    """Turn whatever an author's module raises into one finding. The secret's name may be shown, values never are."""
    try:
        load()
    except AuthoringError as error:
        raise Misconfigured([Finding(what=error.what, where=error.where or source)]) from error
    except MissingSecret as error:
        raise Misconfigured([Finding(what=str(error), where=_place(error) or source, hint=error.hint)]) from error
    except SyntaxError as error:
        what = f"{source}: {error.msg}"
        raise Misconfigured([Finding(what=what, where=f"{error.filename}:{error.lineno}")]) from error
    except ModuleNotFoundError as error:
        what = f"{source}: there is no module named {error.name!r}"
        raise Misconfigured([Finding(what=what, where=_place(error), hint="is it installed here?")]) from error
    except (Exception, SystemExit) as error:
        # The type alone: an author's exception text may hold a connection string.
        what = f"{source}: {type(error).__name__} while it was loaded"
        raise Misconfigured([Finding(what=what, where=_place(error), hint=f"run it: python {source}")]) from error


def _place(error: BaseException) -> str:
    """Give ``file:line`` of the innermost frame in the author's own code, not in ours or importlib's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(_OURS)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _find_object(module: ModuleType, attribute: str, source: str) -> Server:
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Server):
        _refuse(f"{source}: {attribute!r} is not a Server", hint=_HINT)
    return found


def _find_only(module: ModuleType, source: str) -> Server:
    servers = {id(value): value for value in vars(module).values() if isinstance(value, Server)}
    if len(servers) == 1:
        return next(iter(servers.values()))
    if not servers:
        _refuse(f"{source}: has no Server", hint=_HINT)
    names = ", ".join(sorted(name for name, value in vars(module).items() if isinstance(value, Server)))
    return _refuse(f"{source}: has several servers ({names})", hint=f"name one: {source}:server")


def _refuse(what: str, hint: str = "") -> NoReturn:
    raise Misconfigured([Finding(what=what, hint=hint)])
