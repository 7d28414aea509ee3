"""The secrets that each server asks for, which tool asks, and whether they are set. No value is ever returned here."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.config.model import Settings
from mcpward.core.errors import Finding, Misconfigured
from mcpward.operations.sources import authors_of
from mcpward.sdk.environment import env
from mcpward.sdk.errors import SecretUnreadable
from mcpward.sdk.place import place_of
from mcpward.sdk.server import Server
from mcpward.tools.secret_uses import secret_uses
from mcpward.tools.tool_source import ToolSource

_IMPORT: Final = "the import of its source"


class AskedSecret(Struct, frozen=True, kw_only=True):
    """One secret that a server asks for. ``by`` is ``tool query_orders``, or ``the import of its source``.

    ``is_required`` unless the code says what holds without it. ``problem`` says why a value that is set cannot be read,
    and ``hint`` what to do.
    """

    server: str
    name: str
    by: str
    where: str
    is_required: bool
    is_set: bool
    problem: str = ""
    hint: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether a call would fail for want of it."""
        return self.is_required and not self.is_set


def asked_secrets(sources: Mapping[str, ToolSource]) -> list[AskedSecret]:
    """Return what the servers ask for, at import and in their functions, each once for each that asks.

    Call it after the sources are loaded in this process. Names that are made at run time are not known.
    """
    found: dict[tuple[str, str, str], AskedSecret] = {}

    def keep(asked: AskedSecret) -> None:
        known = found.setdefault((asked.server, asked.name, asked.by), asked)
        if asked.is_required and not known.is_required:
            found[asked.server, asked.name, asked.by] = asked

    authors = authors_of(sources)
    for one in env.imported():
        if one.server in authors:
            asked = _asked(one.server, one.name, _IMPORT, _place(one.where), required=one.is_required)
            # Without it, and loaded all the same: the source says by itself what holds then.
            keep(replace(asked, is_required=asked.is_required and asked.is_set))
    for server, author in authors.items():
        for by, function in _functions(author):
            for use in secret_uses(function):
                keep(_asked(server, use.name, by, use.where, required=use.is_required))
    return list(found.values())


def missing_secrets(sources: Mapping[str, ToolSource]) -> list[Finding]:
    """Return a finding for each secret that a function needs and that is set nowhere, or cannot be read."""
    return [
        Finding(
            f"{one.server}: {one.by} asks for {one.name}, {one.problem or 'which is set nowhere'}", one.where, one.hint
        )
        for one in asked_secrets(sources)
        if one.is_missing
    ]


def shared_secrets(sources: Mapping[str, ToolSource]) -> list[Finding]:
    """Return a finding for each secret of one server's vault that another server uses by a module that both import."""
    findings = []
    for one in env.imported():
        file = one.where.rpartition(":")[0]
        for server, author in authors_of(sources).items():
            if server != one.server and file in _imported_files(author) and env.is_in_vault(one.server, one.name):
                what = f"{server} shares {one.name} of {one.server}: both import the module that reads it"
                findings.append(Finding(what, _place(one.where), f"read env.{one.name} in a function of that module"))
    return findings


def require_secrets(settings: Settings, sources: Mapping[str, ToolSource]) -> None:
    """Refuse to serve without a secret that a function needs, if the settings say so.

    Raises:
        Misconfigured: with every one of them.
    """
    if settings.secrets.missing == "refuse" and (findings := missing_secrets(sources)):
        raise Misconfigured(findings)


def _asked(server: str, name: str, by: str, where: str, *, required: bool) -> AskedSecret:
    problem, hint, is_set = "", f"mcpward secret set {name} --server {server}", False
    try:
        is_set = env.is_set(server, name)
    except SecretUnreadable as unreadable:
        problem, hint = f"which cannot be read: {unreadable.problem}", unreadable.hint
    return AskedSecret(
        server=server, name=name, by=by, where=where, is_required=required, is_set=is_set, problem=problem, hint=hint
    )


def _place(where: str) -> str:
    file, _, line = where.rpartition(":")
    return place_of(file, int(line)) if file else where


def _imported_files(server: Server) -> set[str]:
    """Return the files of the modules that a server's own files import, or import names of."""
    spaces = {id(space): space for _, each in _functions(server) if (space := getattr(each, "__globals__", None))}
    found: set[str] = set()
    for space in spaces.values():
        own = space.get("__name__")
        for value in tuple(space.values()):
            named = value if isinstance(value, ModuleType) else sys.modules.get(str(getattr(value, "__module__", "")))
            if named is not None and named.__name__ != own:
                found.add(str(getattr(named, "__file__", "")))
    return found


def _functions(server: Server) -> Iterator[tuple[str, Any]]:
    yield from ((f"tool {one.name}", one.function) for one in server.tools)
    yield from ((f"resource {one.uri}", one.function) for one in server.resources)
    yield from ((f"prompt {one.name}", one.function) for one in server.prompts)
    yield from ((f"completion of {one.argument} in {one.of.name}", one.function) for one in server.completions)
    yield from ((hook.name, hook.function) for hook in (*server.starts, *server.stops))
    if server.lifespan is not None:
        yield server.lifespan.name, server.lifespan.make
