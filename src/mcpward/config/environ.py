"""Settings from the environment: ``MCPWARD_SITE__LISTEN`` is ``site.listen``; ``…_FILE`` names a file with a secret.

The prefix belongs only to mcpward. An unknown variable with the prefix is a finding like an unknown key in the file: a
control that the operator meant to set must not be silently off.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from msgspec import Struct

from mcpward.config.names import nearest
from mcpward.config.schema_paths import ANY_NAME, Key, Path, every_key, field_at, general, holds
from mcpward.core.errors import Finding
from mcpward.core.values import QuotaLimit, RateLimit

PREFIX: Final = "MCPWARD_"
#: UTF-8, with or without the byte order mark that Windows editors and PowerShell begin a file with.
ENCODING: Final = "utf-8-sig"
# Read by other packages, or by tools that mcpward prints blocks for.
_OTHERS: Final = frozenset({"MCPWARD_MASTER_KEY", "MCPWARD_MASTER_KEY_FILE", "MCPWARD_KEY", "MCPWARD_CONFIG"})
# Tables whose names are those of functions or columns, with underscores.
_UNDERSCORED: Final = frozenset({"budgets", "pools", "tools"})
_KEYS: Final = f"{PREFIX}KEY_"  # a server's own key, for mcpward connect and for clients: no setting
_TESTS: Final = f"{PREFIX}TEST_"  # read by our own tests
# Kubernetes sets these by itself for every service whose name begins with mcpward. Its bare …_PORT is a URL: a number
# there is an operator's try to set the port.
_KUBERNETES: Final = re.compile(
    r"MCPWARD_(?:\w+_)?(?:SERVICE_HOST=|SERVICE_PORT(?:_\w+)?=|PORT=\w+://|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?=)"
)


class Variable(Struct, frozen=True):
    """One setting from the environment: its key, its value and the variable's name."""

    path: Path
    value: Any
    name: str


def path_of(name: str) -> Path:
    """Turn a variable's name into a path; in an operator's own name ``_`` stands for ``-``, which a shell cannot
    express.

    Budgets, pools and tools have ``_`` in their names; see :func:`spelt`.
    """
    path = tuple(name.removeprefix(PREFIX).lower().split("__"))
    told = ("", *general(path))
    return tuple(
        part.replace("_", "-") if told[at + 1] == ANY_NAME and told[at] not in _UNDERSCORED else part
        for at, part in enumerate(path)
    )


def spelt(path: Path, values: Mapping[str, Any]) -> Path:
    """Return a variable's path with names as ``values`` writes them, if they differ only in characters that no shell
    allows.

    ``MCPWARD_SERVERS__SHOP__TOOLS__GET_ORDER__RATE`` is about the tool ``get.order`` if the file has a table for it.
    """
    found: list[str] = []
    table: Any = values
    for part, told in zip(path, general(path), strict=True):
        known = table if isinstance(table, dict) else {}
        same = [name for name in known if told == ANY_NAME and _plain(name) == _plain(part)]
        found.append(part if part in known or not same else same[0])
        table = known.get(found[-1])
    return tuple(found)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def variable_of(key: Key) -> str:
    """Return the variable's name for a setting."""
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in key.path)


def variables_of_server(env: Mapping[str, str], server: str) -> list[str]:
    """Return the variables that are settings of one server."""
    start = f"{PREFIX}SERVERS__{server.upper().replace('-', '_')}__"
    return sorted(name for name in env if name.startswith(start))


def read_environment(env: Mapping[str, str]) -> tuple[list[Variable], list[Finding]]:
    """Collect all settings from the environment, and what is wrong with its names. Values are judged by the model."""
    variables: list[Variable] = []
    findings: list[Finding] = []
    secret = {variable_of(key) for key in every_key() if key.is_secret}
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in _OTHERS or name.startswith((_TESTS, _KEYS)):
            continue
        if name.endswith("_FILE") and name.removesuffix("_FILE") in secret:
            _read_file(name, env, variables, findings)
        elif "__" in name:
            path = path_of(name)
            # A file of variables that was saved on Windows leaves a carriage return behind each value.
            variables.append(Variable(path, _typed(path, env[name].rstrip("\r\n")), name))
        elif not _KUBERNETES.match(f"{name}={env[name]}"):
            findings.append(Finding("unknown variable", name, _hint(name)))
    return variables, findings


def _hint(name: str) -> str:
    known = {word.lower(): word for word in (*_OTHERS, *(variable_of(key) for key in every_key()))}
    meant = nearest(name, known)
    return f"did you mean {known[meant]}?" if meant else f"names that begin with {PREFIX} are settings: rename it"


def _read_file(name: str, env: Mapping[str, str], variables: list[Variable], findings: list[Finding]) -> None:
    plain = name.removesuffix("_FILE")
    if plain in env:
        findings.append(Finding(f"both {plain} and {name} are set", name, "keep one of them"))
        return
    try:
        value = FilePath(env[name]).read_text(encoding=ENCODING).strip()
    except (OSError, ValueError):
        findings.append(Finding("the file in it cannot be read", name, "name a readable text file"))
        return
    variables.append(Variable(path_of(plain), value, name))


def _typed(path: Path, text: str) -> Any:
    """Return a text as the type of its setting if it fits; otherwise it stays text, and the model refuses it."""
    field = field_at(path)
    if field is None:
        return text
    if holds(field, dict) or (text.lstrip().startswith("{") and (holds(field, RateLimit) or holds(field, QuotaLimit))):
        return _table(text)
    if holds(field, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if holds(field, bool):
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    for kind in (int, float):
        if holds(field, kind):
            try:
                return kind(text)
            except ValueError:
                return text
    return text


def _table(text: str) -> Any:
    """Return an object of JSON; a shell has nothing simpler for names with texts."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
