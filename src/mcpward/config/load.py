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
from mcpward.config.environ import ENCODING, read_environment, spelt
from mcpward.config.flags import flag_of
from mcpward.config.key_places import Keys, Origin
from mcpward.config.layers import DATA, Layers
from mcpward.config.lines import key_lines, line_of
from mcpward.config.model import Settings, Site
from mcpward.config.model_errors import Complaint, complaints
from mcpward.config.rules import breaches
from mcpward.config.writers import writable_by_others
from mcpward.core.errors import Finding, Misconfigured

_MOST_BYTES: Final = 1024**2


class Loaded(Struct, frozen=True):
    """Settings together with the origin of each value that is no default, by dotted key."""

    settings: Settings
    origins: Mapping[str, Origin]


def load(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings of one site; ``overrides`` are flags by dotted key (``{"site.listen": "…"}``).

    A flag that names only a host or a port is an :class:`~mcpward.config.address.AddressPart`.

    Raises:
        Misconfigured: with every problem of every layer at once.
    """
    return read(path, env, overrides or {}).settings


def read(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any], only: str | None = None) -> Loaded:
    """Like :func:`load`, with the origin of each value; with ``only``, leave all other servers out.

    The remaining server keeps the path that it has among the others.

    Raises:
        Misconfigured: with every problem of every layer at once.
    """
    tree = Layers()
    findings: list[Finding] = []
    if path is not None:
        _read_file(path, tree, findings)
    here = Path.cwd()
    variables, env_findings = read_environment(env)
    findings += env_findings
    for variable in variables:
        tree.put(spelt(variable.path, tree.values), variable.value, Origin("env", variable.name), here)
    named = tree.values.get("servers")  # before flags: a target that the site's file does not know is a site of its own
    is_part = isinstance(named, dict) and only in named and len(named) > 1
    for dotted, value in overrides.items():
        path_of_key = tuple(dotted.split("."))
        whole = value.over(tree.value_at(path_of_key), _default_listen()) if isinstance(value, AddressPart) else value
        tree.put(path_of_key, whole, Origin("flag", flag_of(dotted, value)), here)
    if only is not None and isinstance(tree.values.get("servers"), dict):
        tree.values["servers"] = {name: table for name, table in tree.values["servers"].items() if name == only}
        _forget_default(tree, named, only)
    settings = _validated(tree, findings)
    if settings is None or findings:
        raise Misconfigured(findings)
    settings = settings.placed_by(tree.places())
    settings = settings.as_part() if is_part else settings
    return Loaded(settings, {".".join(keys): origin for keys, origin in tree.origins.items()})


def _forget_default(tree: Layers, named: object, only: str) -> None:
    """Take ``site.default_server`` out if it names a server of the file that is not served now."""
    default = tree.value_at(("site", "default_server"))
    if isinstance(named, dict) and isinstance(default, str) and default != only and default in named:
        tree.put(("site", "default_server"), None, Origin("default", ""), Path.cwd())


def server_names(path: Path | None) -> tuple[str, ...]:
    """Return the names of the servers in a file, whatever else is wrong with it; :func:`read` reports that."""
    try:
        servers = tomllib.loads(path.read_text(encoding=ENCODING)).get("servers", {}) if path else {}
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(servers) if isinstance(servers, dict) else ()


def _read_file(path: Path, tree: Layers, findings: list[Finding]) -> None:
    tree.file = str(path)
    try:
        raw = path.read_bytes()
        findings += writable_by_others(path)
        text = raw.decode(ENCODING)
    except OSError:
        findings.append(Finding("the configuration file cannot be read", str(path), "create one: mcpward init DIR"))
        return
    except UnicodeDecodeError:
        findings.append(Finding("the configuration file is not UTF-8", str(path), "save it as UTF-8"))
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


def _validated(tree: Layers, findings: list[Finding]) -> Settings | None:
    """Judge the tree. Wrong keys are reported, then left out, so that the rules can still judge the rest."""
    found: list[Complaint] = []
    settings = _built(tree.values, found)
    if settings is None:
        settings = _built(tree.without([_culprit(one) for one in found]), [])
    findings += [_finding(tree, one) for one in found]
    if settings is None:
        return None
    suspect = {".".join(one.path) for one in found} | {".".join((*one.path[:-1], one.meant or "")) for one in found}
    for breach in breaches(settings):
        if not suspect.intersection(breach.keys):
            findings.append(Finding(breach.what, tree.where(tuple(breach.keys[0].split("."))), breach.hint))
    return settings


def _finding(tree: Layers, complaint: Complaint) -> Finding:
    """Name what the operator wrote: a line of the file and the key in it, or the flag or variable, which is the key."""
    origin = tree.origins.get(complaint.path)
    is_named = origin is not None and origin.layer != "file" and origin.where != ".".join(complaint.path)
    if origin is None or not is_named or complaint.is_unknown:
        return Finding(complaint.what, tree.where(complaint.path), complaint.hint)
    return Finding(complaint.problem, origin.where, complaint.hint_for(origin.where))


def _culprit(complaint: Complaint) -> Keys:
    """The part to leave out: the value itself, or the server that lacks a required key."""
    return complaint.path[:-1] if complaint.is_missing else complaint.path


def _built(values: Mapping[str, Any], found: list[Complaint]) -> Settings | None:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        found += complaints(error)
        return None
    return _with_places(settings)


def _with_places(settings: Settings) -> Settings:
    """Make the last paths absolute: those that no layer set."""
    data = Path.cwd() / settings.site.data
    url = settings.store.url.replace(f"sqlite:///{DATA}", f"sqlite:///{data}", 1)
    site = settings.site.model_copy(update={"data": data})
    return settings.model_copy(update={"site": site, "store": settings.store.model_copy(update={"url": url})})


def _default_listen() -> str:
    return str(Site.model_fields["listen"].default)
