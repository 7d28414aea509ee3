"""Loads an author's server from a file or from ``module:object``. Runs the author's code, hence only at start."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.spelling import nearest
from mcpward.sdk.server import Server
from mcpward.tools.bodies import mistakes_of
from mcpward.tools.error_text import Redact
from mcpward.tools.foreign import foreign_server
from mcpward.tools.import_failure import finding_of
from mcpward.tools.origin import Origin
from mcpward.tools.package_version import version_of
from mcpward.tools.top_level import TopLevel

_HINT: Final = 'write server = Server("name") at the top level of the file'


def load_server(source: str, redact: Redact | None = None) -> Server:
    """Load ``tools.py``, ``tools.py:object``, ``package.module`` or ``package.module:object``.

    Without ``:object`` the file's only :class:`Server` is taken. A file's own folder comes first on ``sys.path``,
    as when Python runs it. ``redact`` takes secrets out of the texts of exceptions; without it none is shown.

    Raises:
        Misconfigured: what is wrong, each in one line, with the author's own file and line.
    """
    path, attribute = _split(source)
    is_file = path.endswith(".py") or "/" in path or Path(path).is_file()
    module = _load_file(Path(path), source, redact) if is_file else _load_module(path, source, redact)
    top = TopLevel(_file_of(module))
    _require_awaited(module, top)
    server = _find_object(module, attribute, source, top) if attribute else _find_only(module, source, top)
    if mistakes := mistakes_of(server):
        raise Misconfigured(mistakes)
    server.version = server.version or version_of(module, is_file=is_file)
    return server


def _split(source: str) -> tuple[str, str]:
    head, colon, tail = source.rpartition(":")
    return (head, tail) if colon and head and tail.replace(".", "_").isidentifier() else (source, "")


def _load_file(path: Path, source: str, redact: Redact | None) -> ModuleType:
    if not path.is_file():
        _refuse(f"{source}: there is no such file", hint="pass the path of a Python file, or module:object")
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
        _guarded(lambda: loader.exec_module(module), source, Origin(path), redact)
    except Misconfigured:
        del sys.modules[name]
        raise
    return module


def _load_module(name: str, source: str, redact: Redact | None) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    modules: list[ModuleType] = []
    _guarded(lambda: modules.append(importlib.import_module(name)), source, Origin(_found(name)), redact)
    return modules[0]


def _found(name: str) -> Path | None:
    """Return the file of a module's package: what lies beside it is the author's too."""
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file else None


def _guarded(load: Callable[[], None], source: str, origin: Origin, redact: Redact | None) -> None:
    """Turn whatever an author's module raises into one finding. The secret's name may be shown, values never are.

    No compiled copy is written. Python takes one for current if the second of the file's time and its size are the
    same: a worker of a reload would serve the old tools. Nor does a service write into the folder of its sources.
    """
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        load()
    except (Exception, SystemExit) as error:
        raise Misconfigured([finding_of(error, source, origin, redact)]) from error
    finally:
        sys.dont_write_bytecode = writes_none


def _require_awaited(module: ModuleType, top: TopLevel) -> None:
    """A coroutine at the top level is what was meant to be its result."""
    findings = []
    for name, value in vars(module).items():
        if inspect.iscoroutine(value):
            called = value.__qualname__
            value.close()
            hint = "await is only allowed in async def: call it in a tool"
            what = f"{name} is a coroutine: {called}() was called but not awaited"
            findings.append(Finding(what, top.place(top.line_of(name)), hint))
    if findings:
        raise Misconfigured(findings)


def _find_object(module: ModuleType, attribute: str, source: str, top: TopLevel) -> Server:
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Server):
        return found
    names = sorted(name for name, value in vars(module).items() if isinstance(value, Server))
    meant = nearest(attribute, names) or (names[0] if len(names) == 1 else None)
    if foreign := None if names else foreign_server(module, top, source):
        raise Misconfigured([foreign])
    where = top.place(top.line_of(attribute)) if top.line_of(attribute) else ""
    is_there = f"is {type(found).__name__}, not a Server" if found is not None else "is missing"
    hint = f"did you mean {source.removesuffix(attribute)}{meant}?" if meant else _HINT
    return _refuse(f"{source}: {attribute!r} {is_there}", hint, where)


def _find_only(module: ModuleType, source: str, top: TopLevel) -> Server:
    servers = {id(value): value for value in vars(module).values() if isinstance(value, Server)}
    if len(servers) == 1:
        return next(iter(servers.values()))
    if not servers:
        if foreign := foreign_server(module, top, source):
            raise Misconfigured([foreign])
        if line := top.call_of("Server"):
            return _refuse("the Server is made here, and not at the top level", _HINT, top.place(line))
        return _refuse(f"{source}: has no Server", _HINT, top.place(1))
    names = sorted(name for name, value in vars(module).items() if isinstance(value, Server))
    where = top.place(max(map(top.line_of, names)))
    return _refuse(f"{source}: has several servers ({', '.join(names)})", f"name one: {source}:{names[0]}", where)


def _refuse(what: str, hint: str = "", where: str = "") -> NoReturn:
    raise Misconfigured([Finding(what=what, where=where, hint=hint)])
