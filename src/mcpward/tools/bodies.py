"""Mistakes in an author's functions, read from their source once the file is loaded. Certain failures are refused;
possible ones are remarked on.
"""

import inspect
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.core.scope import Access
from mcpward.sdk.definitions import CompletionDefinition, PromptDefinition, ResourceDefinition, ToolDefinition
from mcpward.sdk.server import Server
from mcpward.sdk.signature import Signature
from mcpward.tools.awaits import unawaited
from mcpward.tools.blocking import blocking_calls
from mcpward.tools.endings import missing_return
from mcpward.tools.function_source import FunctionSource
from mcpward.tools.statements import built_statements, unfit_forms, unfit_statements, writing_reads

Definition = ToolDefinition | ResourceDefinition | PromptDefinition | CompletionDefinition
_DATABASE: Final = "mcpward.sdk.database.database"
_UNREAD: Final = Signature(parameters=(), caller="", context="", returns=None, is_async=True)
_INJECTED: Final = {"caller": "Caller", "context": "Context", "ctx": "Context"}


def mistakes_of(server: Server) -> list[Finding]:
    """Return what cannot work in any call: it is not served."""
    findings: list[Finding] = []
    for what, definition in _definitions(server):
        source = FunctionSource(definition.function, definition.signature)
        ending = missing_return(what, source)
        findings += [ending[0]] if ending is not None and ending[1] else []
        findings += [*unawaited(what, source), *built_statements(what, source), *unfit_forms(what, source)]
        findings += unfit_statements(what, source)
    for what, source in _helpers(server):
        findings += built_statements(what, source)
    return findings


def remarks_of(server: Server) -> list[Finding]:
    """Return findings that work but are probably not intended: mcpward logs them at the start."""
    findings: list[Finding] = []
    if not (server.tools or server.resources or server.prompts):
        what = f"server {server.name!r} declares nothing: no tool, no resource, no prompt"
        findings.append(Finding(what, hint="write @server.tool above a function"))
    findings += _missing_files(server)
    for what, definition in _definitions(server):
        source = FunctionSource(definition.function, definition.signature)
        findings += _undescribed(what, definition)
        findings += _settable(what, definition)
        ending = missing_return(what, source)
        findings += [ending[0]] if ending is not None and not ending[1] else []
        findings += blocking_calls(what, source)
        if isinstance(definition, ToolDefinition) and definition.access is Access.READ:
            findings += writing_reads(what, source)
    return findings


def _missing_files(server: Server) -> Iterator[Finding]:
    """SQLite files that are not there: each call fails until they are."""
    for database in {id(one): one for names in _files(server) for one in names.values() if _is_database(one)}.values():
        if missing := database.missing:
            hint = "sqlite3 FILE < schema.sql creates one; so may a function of @server.on_start"
            yield Finding(missing.rpartition(": ")[0], database.where, hint)


def _is_database(value: Any) -> bool:
    return type(value).__module__ == _DATABASE and hasattr(value, "missing")


def _files(server: Server) -> list[dict[str, Any]]:
    """The names of each file that functions of the server stand in."""
    served = (inspect.unwrap(one.function) for _, one in _definitions(server))
    names = {id(one.__globals__): one.__globals__ for one in served if isinstance(one, FunctionType)}
    return list(names.values())


def _helpers(server: Server) -> Iterator[tuple[str, FunctionSource]]:
    """The other functions of the files that use a database: a tool may leave its SQL to them."""
    if _DATABASE not in sys.modules:
        return
    served = {inspect.unwrap(one.function) for _, one in _definitions(server)}
    for names in _files(server):
        for value in list(names.values()):
            is_own = isinstance(value, FunctionType) and value.__module__ == names.get("__name__")
            if is_own and value not in served:
                yield f"function {value.__name__!r}", FunctionSource(value, _UNREAD)


def _definitions(server: Server) -> Iterator[tuple[str, Definition]]:
    yield from ((f"tool {one.name!r}", one) for one in server.tools)
    yield from ((f"resource {one.uri!r}", one) for one in server.resources)
    yield from ((f"prompt {one.name!r}", one) for one in server.prompts)
    yield from ((f"completion of {one.argument!r} in {one.of.name!r}", one) for one in server.completions)


def _undescribed(what: str, definition: Definition) -> Iterator[Finding]:
    if isinstance(definition, CompletionDefinition) or inspect.getdoc(definition.function):
        return
    if definition.description == (definition.title or definition.name.replace("_", " ")):
        who = "the model sees" if isinstance(definition, ToolDefinition) else "clients show"
        hint = "add a docstring: what it does, and when to call it"
        yield Finding(f"{what} has no docstring: {who} nothing but its name", definition.where, hint)


def _settable(what: str, definition: Definition) -> Iterator[Finding]:
    """The model would choose whose data it reads (attack 61)."""
    for parameter in definition.signature.parameters:
        meant = _INJECTED.get(parameter.name)
        if meant is not None and isinstance(definition, ToolDefinition):
            problem = f"{what}: {parameter.name!r} is an argument that the model sets"
            yield Finding(problem, definition.where, f"write {parameter.name}: {meant}, or rename it")
