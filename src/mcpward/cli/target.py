"""The meaning of ``serve TARGET``, found without running the author's file."""

import re
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from mcpward.cli.own_name import module_file, own_name
from mcpward.config.names import RESERVED, SERVER_NAME


class Target(Struct, frozen=True):
    """A server to serve: its name, and its source if the target named one."""

    name: str
    source: str | None


def read_target(target: str, configured: Collection[str], name: str | None) -> Target:
    """Read a target: the name of a configured server, or a source (a Python file, or module:object).

    A source is named by ``name``, else by its own ``Server("…")``, else by its file.
    """
    if target in configured and not Path(target).is_file():
        return Target(name=target, source=None)
    return Target(name=name or _own_name(target) or _name_after(target), source=target)


def _own_name(target: str) -> str | None:
    place, colon, attribute = target.rpartition(":")
    if not colon:
        place, attribute = target, ""
    is_file = place.endswith(".py") or "/" in place or Path(place).is_file()
    file = Path(place) if is_file else module_file(place)
    found = None if file is None else own_name(file, attribute)
    return found if found and SERVER_NAME.fullmatch(found) and found not in RESERVED else None


def _name_after(target: str) -> str:
    place = target.rpartition(":")[0] or target
    stem = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:63]
    return name if name and name not in RESERVED else "server"
