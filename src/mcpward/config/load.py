"""File, environment and flags become :class:`Settings`, or all problems at once. Later layers win: default, file,
environment, flag. Relative paths belong to the file that names them; those of the environment and of flags to the
current folder.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError

from mcpward.config.address import AddressPart
from mcpward.config.complain import Complaint, complaints
from mcpward.config.environ import read_environment
from mcpward.config.lines import key_lines, line_of
from mcpward.config.model import Section, Settings, Site, Store
from mcpward.config.rules import breaches
from mcpward.core.errors import Finding, Misconfigured

Keys = tuple[str, ...]
_MOST_BYTES: Final = 1024**2
_PATHS: Final = frozenset({("site", "data"), ("site", "tls_cert"), ("site", "tls_key")})
_SQLITE: Final = "sqlite:///"


class Origin(Struct, frozen=True):
    """Where a value came from: ``layer`` is file, env or flag; ``where`` is file:line, a variable or a flag's key."""

    layer: str
    where: str


class Loaded(Struct, frozen=True):
    """Settings together with the origin of each value that is no default, by dotted key."""

    settings: Settings
    origins: Mapping[str, Origin]


class _Tree:
    """The layers, merged: values, and where each one came from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[Keys, Origin] = {}
        self.lines: dict[Keys, int] = {}
        self.file = ""

    def put(self, path: Keys, value: Any, origin: Origin, folder: Path) -> None:
        table = self.values
        for name in path[:-1]:
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                inner = table[name] = {}
            table = inner
        table[path[-1]] = anchor(path, value, folder)
        self.origins[path] = origin

    def value_at(self, path: Keys) -> Any:
        value: Any = self.values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def where(self, path: Keys) -> str:
        for length in range(len(path), 0, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return origin.where
        for known, origin in self.origins.items():
            if known[: len(path)] == path and origin.layer != "file":
                return origin.where
        number = line_of(self.lines, path)
        return f"{self.file}:{number}" if number else self.file

    def without(self, paths: list[Keys]) -> dict[str, Any]:
        kept = _copy(self.values)
        for path in paths:
            _prune(kept, path)
        return kept


def anchor(path: Keys, value: Any, folder: Path) -> Any:
    """Make a relative path absolute, from the folder where it was written."""
    if not isinstance(value, str) or not value.strip():
        return value
    is_source = len(path) == 3 and path[0] == "servers" and path[2] == "source"
    if path in _PATHS or (is_source and (value.endswith(".py") or ".py:" in value or "/" in value)):
        return str(folder / Path(value).expanduser())
    if path == ("store", "url") and value.startswith(_SQLITE) and not value.startswith(_SQLITE + "/"):
        return f"{_SQLITE}{folder / value.removeprefix(_SQLITE)}" if value != _SQLITE else value
    return value


def load(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings of one site; ``overrides`` are flags by dotted key (``{"site.listen": "…"}``).

    A flag that names a host or a port alone is an :class:`~mcpward.config.address.AddressPart`.

    Raises:
        Misconfigured: with every problem of every layer at once.
    """
    return read(path, env, overrides or {}).settings


def read(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any], only: str | None = None) -> Loaded:
    """Like :func:`load`, and say where each value came from; with ``only``, leave all other servers out.

    Raises:
        Misconfigured: with every problem of every layer at once.
    """
    tree = _Tree()
    findings: list[Finding] = []
    if path is not None:
        _read_file(path, tree, findings)
    here = Path.cwd()
    variables, env_findings = read_environment(env)
    findings += env_findings
    for variable in variables:
        tree.put(variable.path, variable.value, Origin("env", variable.name), here)
    for dotted, value in overrides.items():
        path_of_key = tuple(dotted.split("."))
        whole = (
            value.over(tree.value_at(path_of_key), _default(Site, "listen"))
            if isinstance(value, AddressPart)
            else value
        )
        tree.put(path_of_key, whole, Origin("flag", f"flag for {dotted}"), here)
    if only is not None and isinstance(tree.values.get("servers"), dict):
        tree.values["servers"] = {name: table for name, table in tree.values["servers"].items() if name == only}
    settings = _validated(tree, findings)
    if settings is None or findings:
        raise Misconfigured(findings)
    return Loaded(settings, {".".join(keys): origin for keys, origin in tree.origins.items()})


def server_names(path: Path | None) -> tuple[str, ...]:
    """Give the names of the servers in a file, whatever else is wrong with it; :func:`read` tells what is."""
    try:
        servers = tomllib.loads(path.read_text(encoding="utf-8")).get("servers", {}) if path else {}
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(servers) if isinstance(servers, dict) else ()


def _read_file(path: Path, tree: _Tree, findings: list[Finding]) -> None:
    tree.file = str(path)
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError:
        findings.append(Finding("the configuration file cannot be read", str(path), "mcpward init DIR writes one"))
        return
    except UnicodeDecodeError:
        findings.append(Finding("the configuration file is not UTF-8", str(path)))
        return
    if len(raw) > _MOST_BYTES:
        findings.append(Finding("the configuration file is larger than 1 MiB", str(path)))
        return
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        findings.append(_not_toml(path, error))
        return
    tree.lines = key_lines(text.replace("\r\n", "\n"))
    folder = path.absolute().parent
    for keys, value in _leaves(values):
        tree.put(keys, value, Origin("file", f"{path}:{line_of(tree.lines, keys) or 1}"), folder)
    _keep_empty_tables(values, tree.values)


def _not_toml(path: Path, error: Exception) -> Finding:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    line = f":{place[1]}" if place and place[1] else ""
    message = str(error)[: place.start()] if place else "nested too deep"
    return Finding(f"not valid TOML: {message[:1].lower()}{message[1:]}", f"{path}{line}", "see https://toml.io")


def _leaves(table: Mapping[str, Any], path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _keep_empty_tables(source: Mapping[str, Any], target: dict[str, Any]) -> None:
    for name, value in source.items():
        if isinstance(value, dict):
            _keep_empty_tables(value, target.setdefault(name, {}))


def _validated(tree: _Tree, findings: list[Finding]) -> Settings | None:
    """Judge the tree. Wrong keys are reported, then left out, so that the rules can still judge the rest."""
    found: list[Complaint] = []
    settings = _built(tree.values, found)
    if settings is None:
        settings = _built(tree.without([_culprit(one) for one in found]), [])
    findings += [Finding(one.what, tree.where(one.path), one.hint) for one in found]
    if settings is None:
        return None
    suspect = {".".join(one.path) for one in found} | {".".join((*one.path[:-1], one.meant or "")) for one in found}
    for breach in breaches(settings):
        if not suspect.intersection(breach.keys):
            findings.append(Finding(breach.what, tree.where(tuple(breach.keys[0].split("."))), breach.hint))
    return settings


def _culprit(complaint: Complaint) -> Keys:
    """What to leave out: the value itself, or the server that lacks a required key."""
    return complaint.path[:-1] if complaint.is_missing else complaint.path


def _built(values: Mapping[str, Any], found: list[Complaint]) -> Settings | None:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        found += complaints(error)
        return None
    return _with_places(settings)


def _with_places(settings: Settings) -> Settings:
    """Make the last paths absolute: those that nobody set."""
    data = Path.cwd() / settings.site.data
    url = (
        settings.store.url.replace("<data>", str(data))
        if settings.store.url == _default(Store, "url")
        else settings.store.url
    )
    site = settings.site.model_copy(update={"data": data})
    return settings.model_copy(update={"site": site, "store": settings.store.model_copy(update={"url": url})})


def _default(section: type[Section], name: str) -> str:
    return str(section.model_fields[name].default)


def _copy(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, dict) else value for name, value in table.items()}


def _prune(table: dict[str, Any], path: Keys) -> None:
    for name in path[:-1]:
        inner = table.get(name)
        if not isinstance(inner, dict):
            table.pop(name, None)
            return
        table = inner
    table.pop(path[-1], None)
