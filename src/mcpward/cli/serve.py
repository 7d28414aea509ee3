"""``mcpward serve``: settles what to serve, from the target, the flags and the site's file."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from mcpward.cli import ui
from mcpward.cli.announce import announce
from mcpward.cli.help import examples
from mcpward.cli.operator import this_operator
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, file_of, fit_server, loaded
from mcpward.cli.target import Target, read_target
from mcpward.config.address import AddressPart
from mcpward.config.load import Loaded, server_names
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.readers import readable_secrets
from mcpward.config.sources import foreign_sources, missing_sources
from mcpward.core.errors import Finding, Misconfigured

if TYPE_CHECKING:
    from mcpward.app.inherited import Inherited

T = TypeVar("T")
#: The inheritance from the process that watches the files (``serve --reload``), if there is one.
INHERITED: "Final[list[Inherited]]" = []


@examples(
    "mcpward serve",
    "mcpward serve tools.py --reload",
    "mcpward serve tools.py --mode unlisted --port 9000",
    "mcpward serve tools.py --host 0.0.0.0 --public-url https://mcp.example.com --behind-tls-proxy \\\n"
    "    --trusted-proxy 10.0.0.0/8",
)
def serve(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="A Python file, module:object, or a server of the site's file."),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="The mode: api-key, oauth, unlisted or public.")
    ] = None,
    access: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="The highest class for callers without a key: read, write or destructive."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The server's name. Default: the name in its source.")
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="The address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="The port; 0 lets the system choose.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, max=256, help="Worker processes.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file of the certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM file of the private key.")] = None,
    behind_tls_proxy: Annotated[
        bool, typer.Option("--behind-tls-proxy", help="A proxy in front terminates TLS.")
    ] = False,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="A proxy whose X-Forwarded-* headers are trusted; may be repeated."),
    ] = None,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="Public servers may be reached from other machines.")
    ] = False,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="The site's URL for clients.")] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The address of /metrics; '' turns it off.")
    ] = None,
    allow_open_metrics: Annotated[
        bool, typer.Option("--allow-open-metrics", help="/metrics may be reached from other machines.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of database and keys. Default: .mcpward.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="For development: restart when a file is saved. Loopback only.")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Serve one target, or all servers of the site's file, until stopped. By default it listens on 127.0.0.1:8000 and
    asks for an API key. The first start prints a key (or the secret URL) to the terminal, once. Without a terminal, as
    in a service or a container, it writes a file of mode 0600 in the data folder, and prints its path.
    """
    named = None if name is None else fit_server(name, "--name")
    overrides: dict[str, Any] = {
        "site.workers": 1 if reload or INHERITED else workers,
        "site.tls_cert": str(tls_cert) if tls_cert else None,
        "site.tls_key": str(tls_key) if tls_key else None,
        "site.behind_tls_proxy": behind_tls_proxy or None,
        "site.trusted_proxies": trusted_proxy or None,
        "site.allow_open_metrics": allow_open_metrics or None,
        "site.allow_unauthenticated": allow_unauthenticated or None,
        "site.public_url": public_url,
        "site.metrics_listen": metrics,
        "site.data": str(data) if data else None,
    }
    if host is not None or port is not None:
        overrides["site.listen"] = AddressPart(host=host, port=port)

    settle = partial(_settled, config, target, named, overrides, (mode, access))
    settings = settle()
    if reload:
        raise typer.Exit(_reloading(settings, file_of(config), ctx.obj, workers))
    from mcpward.app.serve import Serving, run
    from mcpward.operations.site_start import note_reload

    serving = Serving(
        lambda announcement: _as_misconfigured(lambda: announce(settings, announcement, as_json=json)),
        lambda: _as_misconfigured(settle),
        lambda now: asyncio.run(note_reload(now, CLOCK, this_operator())),
    )
    raise typer.Exit(run(settings, serving, INHERITED[0] if INHERITED else None))


def _settled(
    config: Path | None,
    target: str | None,
    named: str | None,
    overrides: dict[str, Any],
    of_server: tuple[str | None, str | None],
) -> Settings:
    """Return the settings as words, environment and file have them now: at the start, and at each reload."""
    configured = server_names(file_of(config))
    chosen = read_target(target, configured, named) if target else None
    words = overrides | dict(_of_server(chosen, configured, *of_server))
    given = {key: value for key, value in words.items() if value is not None}
    site = loaded(config, given, only=chosen.name if chosen else None)
    _require_sources(site, target, chosen, configured)
    _require_tls(site)
    _tell_readers(site, config)
    return site.settings


def _as_misconfigured(work: Callable[[], T]) -> T:
    """Turn the end of a command into a finding, which a process can report to another."""
    try:
        return work()
    except ui.CommandEnded as ended:
        raise Misconfigured([Finding(ended.what, hint=ended.hint)]) from None


def _require_tls(site: Loaded) -> None:
    from mcpward.app.tls import tls_findings

    if wrong := tls_findings(site, CLOCK):
        raise Misconfigured(wrong)


def _reloading(settings: Settings, config: Path | None, words: Sequence[str], workers: int | None) -> int:
    from mcpward.app.dev_reload import run_reloading

    if workers is not None and workers > 1:
        raise ui.CommandEnded(ui.Exit.USAGE, "--reload serves with one worker", "leave out --workers")
    own = [word for word in words if word != "--reload"]
    return run_reloading(settings, config, own, lambda line: ui.remark(ui.styled(ui.safe(line), "dim", sys.stderr)))


def _tell_readers(site: Loaded, config: Path | None) -> None:
    for one in readable_secrets(site, file_of(config)):
        ui.remark(ui.safe(f"{one.where}: {one.what}: {one.hint}"))


def _require_sources(site: Loaded, target: str | None, chosen: Target | None, configured: tuple[str, ...]) -> None:
    if not site.settings.servers:
        raise ui.CommandEnded(ui.Exit.USAGE, "there is nothing to serve", "name a file: mcpward serve tools.py")
    missing = missing_sources(site)
    if not missing:
        if foreign := foreign_sources(site.settings):
            raise Misconfigured(foreign)
        return
    meant = nearest(target or "", configured)
    if meant and chosen and chosen.source == target:  # the name of a server, misspelt, looks like that of a module
        what = f"there is no server {target!r} in the site's file, and no such file or module"
        raise ui.CommandEnded(ui.Exit.USAGE, what, f"did you mean {meant}?")
    raise Misconfigured(missing)


def _of_server(
    chosen: Target | None, configured: tuple[str, ...], mode: str | None, access: str | None
) -> Mapping[str, Any]:
    flag = "--mode" if mode is not None else "--access" if access is not None else ""
    if chosen is None and not flag:
        return {}
    if chosen is None and len(configured) != 1:
        raise ui.CommandEnded(ui.Exit.USAGE, f"{flag} needs a single server", f"name it: mcpward serve NAME {flag} …")
    name = chosen.name if chosen else configured[0]
    source = chosen.source if chosen else None
    return {f"servers.{name}.source": source, f"servers.{name}.mode": mode, f"servers.{name}.access": access}
