"""The site that a test's server is served by: the operator's settings or the defaults, on nothing but memory and a
folder that is gone afterwards. It does not touch the environment's settings, its store and its Redis.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mcpward.config.external_secrets import ExternalSecrets
from mcpward.config.load import read, server_names
from mcpward.config.model import Settings, Store
from mcpward.config.names import RESERVED
from mcpward.config.oauth import OAuth
from mcpward.core.clock import Clock, SystemClock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.operations.site import open_site

_SOURCE: Final = "(the test)"
_MASTER_KEY: Final = "MCPWARD_MASTER_KEY"
_templates: Final[dict[tuple[int, int], Path]] = {}


class ShiftedClock(SystemClock):
    """The machine's clocks, put forward by what a test says, so that it need not wait for a limit."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        """Put both clocks forward."""
        self._ahead_s += seconds

    def now(self) -> float:
        """Seconds since 1970, and what was put forward."""
        return SystemClock.now() + self._ahead_s

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, and what was put forward."""
        return SystemClock.monotonic() + self._ahead_s

    def monotonic_ns(self) -> int:
        """The same moment in nanoseconds."""
        return SystemClock.monotonic_ns() + int(self._ahead_s * 1e9)


def settings_of(name: str | None, file: Path | None, changes: Mapping[str, Any], folder: Path) -> Settings:
    """Return the settings of one server: those of ``file`` if there is one, then ``changes`` by dotted key.

    Without ``name`` it is the file's only server.

    Raises:
        Misconfigured: with every problem, as ``mcpward config check`` reports them.
    """
    known = server_names(file) if file is not None else ()
    if file is not None and name not in known and len(known) == 1:
        (name,) = known
    if name is None or (file is not None and known and name not in known):
        which = ", ".join(known)
        raise Misconfigured([Finding(f"which server is tested? {file} has {which}", str(file), 'name="…" says it')])
    name = name if name in known else _served_name(name)
    overrides = {"site.data": str(folder), **{key.replace("<name>", name): value for key, value in changes.items()}}
    if name not in known:
        overrides[f"servers.{name}.source"] = _SOURCE
    return _enclosed(read(file, {}, overrides, only=name).settings, name, folder)


async def make_data(settings: Settings, clock: Clock) -> None:
    """Make the data folder of a new site.

    Bringing a database up to date takes longer than all else, so that is done once in a process, and copied.
    """
    made_with = (os.getpid(), hash(os.environ.get(_MASTER_KEY, "")))
    template = _templates.get(made_with)
    if template is None:
        folder = Path(tempfile.mkdtemp(prefix="mcpward-test-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        template = folder / "data"
        (name,) = settings.servers
        async with open_site(_enclosed(settings, name, template), clock):
            pass
        _templates[made_with] = template
    shutil.copytree(template, settings.site.data)


def _enclosed(settings: Settings, name: str, folder: Path) -> Settings:
    """Leave out what reaches beyond this process: several workers, a database, Redis, identity providers, an external
    secret manager.
    """
    server = settings.servers[name].model_copy(update={"mode": "api-key", "access": None, "oauth": OAuth()})
    return settings.model_copy(
        update={
            "site": settings.site.model_copy(update={"workers": 1, "data": folder}),
            "store": Store(url=f"sqlite:///{folder / 'mcpward.db'}"),
            "limits": settings.limits.model_copy(update={"counters": "memory"}),
            "issuers": {},
            "secrets": settings.secrets.model_copy(update={"manager": ExternalSecrets()}),
            "servers": {name: server},
        }
    )


def _served_name(name: str) -> str:
    """Return a name for settings: authors may call their server what no path can hold."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "server"
    return f"{plain}-server" if plain in RESERVED else plain
