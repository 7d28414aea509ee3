"""The common beginning of every verb: the site's configuration file, its settings, and its data, briefly opened."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from mcpward.cli.operator import this_operator
from mcpward.cli.target import read_target
from mcpward.cli.ui import CommandEnded, Exit, remark, safe
from mcpward.config.load import Loaded, read
from mcpward.config.model import Settings
from mcpward.config.names import check_server_name, nearest
from mcpward.config.sources import missing_sources
from mcpward.core.clock import Clock, SystemClock
from mcpward.core.errors import Misconfigured, Unreachable

if TYPE_CHECKING:  # the command line starts fast: the data's packages are imported when data is needed
    from mcpward.operations.site import Accept, Site

T = TypeVar("T")
FILE: Final = "mcpward.toml"
CLOCK: Final[Clock] = SystemClock()

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="MCPWARD_CONFIG", help="The site's file; else ./mcpward.toml if there is one."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def completed(ctx: typer.Context, incomplete: str, known: Callable[[Settings], Iterable[str]]) -> list[str]:
    """Return the completions of a started word, by the site's file; nothing if it cannot be read now."""
    try:
        return [name for name in known(settings_of(ctx.params.get("config"))) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001  # the tab key must print no error among the words
        return []


def left_to_subcommand(ctx: typer.Context) -> bool:
    """Return whether a verb that has verbs of its own leaves the work to one of those.

    Raises:
        CommandEnded: options stand before the inner verb, which would not see them.
    """
    if ctx.invoked_subcommand is None:
        return False
    sources = [ctx.get_parameter_source(name) for name in ctx.params]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        said = f"write the options after {ctx.invoked_subcommand}"
        raise CommandEnded(Exit.USAGE, said, f"{ctx.command_path} {ctx.invoked_subcommand} --help")
    return True


def server_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a server."""
    return completed(ctx, incomplete, lambda settings: settings.servers)


ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        "-s",
        metavar="NAME",
        help="The server's name; not needed where there is only one.",
        autocompletion=server_names,
    ),
]


def file_of(config: Path | None) -> Path | None:
    """Return the file to read: the one named, or ``mcpward.toml`` of the current folder if there is one."""
    if config is not None:
        return config
    return Path(FILE) if Path(FILE).exists() else None


def loaded(config: Path | None, overrides: Mapping[str, Any] | None = None, only: str | None = None) -> Loaded:
    """Read the settings of the site.

    Raises:
        Misconfigured: with every problem at once.
    """
    return read(file_of(config), os.environ, overrides or {}, only)


def settings_of(config: Path | None) -> Settings:
    """Read the settings of the site, without their origins."""
    return loaded(config).settings


def in_site(
    settings: Settings,
    work: Callable[["Site"], Awaitable[T]],
    *,
    must_exist: bool = False,
    missing: Exit = Exit.NO,
    accept: "Accept | None" = None,
    ends_rights: bool = False,
) -> T:
    """Open the site's data, do one piece of work, close it.

    ``accept`` is asked whether a database that is forged, or older than its mark, is to be taken. Work that
    ``ends_rights`` (of a key, a URL, a secret) is done on a full disk too: the reserve is given up for it. Such work
    changes nothing when it fails, so that it can be done again.

    Raises:
        CommandEnded: ``must_exist`` and there is no data yet (reading makes none); the exit code is ``missing``.
        Misconfigured: the data cannot be used as it is.
        Unreachable: the database refuses to work now.
    """
    from mcpward.operations.denied import Denied
    from mcpward.operations.site import open_site, release_reserve, unusable

    database = Path(settings.store.url.removeprefix("sqlite:///"))
    if must_exist and not database.exists():
        raise CommandEnded(
            missing, f"there is no data yet at {database}", "mcpward serve or mcpward key create creates them"
        )

    async def opened() -> T:
        async with open_site(settings, CLOCK, accept, this_operator()) as site:
            return await work(site)

    def attempted() -> T:
        try:
            return asyncio.run(opened())
        except (CommandEnded, Denied):
            raise
        except Exception:
            if not ends_rights or not release_reserve(database):
                raise
        remark("the disk is full: this used the reserve; free some space, and mcpward serve reserves it again")
        return asyncio.run(opened())

    try:
        return attempted()
    except Exception as error:
        if (away := unusable(database, error)) is not None:
            raise away from None
        raise


def opened_server(config: Path | None, target: str) -> tuple[Settings, str]:
    """Return the settings with the server that a command names, and its name: one of the file's, or a source.

    All servers of the file stay: the rights of one may depend on the others.

    Raises:
        CommandEnded: the name is neither a server's nor a source's.
        Misconfigured: with every problem of the settings at once, or its source is missing.
    """
    from mcpward.config.load import server_names as names_in

    configured = names_in(file_of(config))
    chosen = read_target(target, configured, None)
    is_source = target.endswith(".py") or any(char in target for char in ":/.") or Path(target).is_file()
    if chosen.source is None or not is_source:
        settings = settings_of(config)
        if not settings.servers:
            raise no_site(config, target, or_else="or name a Python file, or module:object")
        return settings, chosen_server(settings, target)
    site = loaded(config, {f"servers.{chosen.name}.source": chosen.source}, only=chosen.name)
    if missing := missing_sources(site):
        raise Misconfigured(missing)
    return site.settings, chosen.name


def no_site(config: Path | None, name: str | None = None, *, or_else: str = "") -> CommandEnded:
    """Return the error of a command that needs a site and finds none: no file, or one that names no server.

    ``name`` is the server that was typed; ``or_else`` ends the hint with what the command takes in place of a site.
    """
    server, file = "server" if name is None else f"server {name!r}", file_of(config)
    if file is None:
        what = f"there is no {server} here: no {FILE} in {Path.cwd()}"
        hint = "create a site: mcpward init DIR; or name one: --config FILE"
    else:
        what = f"there is no {server} here: {file} has none"
        hint = f'add [servers.NAME] with source = "tools.py" to {file}'
    return CommandEnded(Exit.USAGE, what, f"{hint}; {or_else}" if or_else else hint)


def chosen_server(settings: Settings, name: str | None, among: Collection[str] | None = None) -> str:
    """Return the server that a command is about: the one named, or the only one there is.

    ``among`` are the servers of the site's file that can be meant without a name; all of them if it is not given. A
    site whose file names no server has those of its last start.

    Raises:
        CommandEnded: none is named and there is not exactly one, or the name is unknown or not fit to be one.
    """
    known = list(settings.servers)
    if name is None:
        fit = list(among) if among is not None else known
        fit = fit if known else served_last(settings)
        if len(fit) == 1:
            return fit[0]
        if not (fit or known):
            hint = "add --server NAME, or create a site: mcpward init DIR"
            raise CommandEnded(Exit.USAGE, "which server? no site's file here names one", hint)
        raise CommandEnded(Exit.USAGE, "which server?", f"add --server NAME (one of: {', '.join(fit or known)})")
    if known and name not in known:
        raise unknown_server(name, known)
    name = fit_server(name)
    if not known:
        _remark_unserved(name, served_last(settings))
    return name


def fit_server(name: str, option: str = "--server") -> str:
    """Return a name that a server may have, whether there is one of this name or not.

    Raises:
        CommandEnded: no server can be called so.
    """
    try:
        return check_server_name(name)
    except ValueError as problem:
        raise CommandEnded(Exit.USAGE, f"{option}: {problem}", f"for example: {option} orders") from None


def unknown_server(name: str, known: Collection[str]) -> CommandEnded:
    """Return the error for a server that is not in the site's file, with the name that was probably meant."""
    meant = nearest(name, known)
    return CommandEnded(
        Exit.USAGE,
        f"there is no server {name!r} in the site's file",
        f"did you mean {meant}?" if meant else f"there are: {', '.join(known)}",
    )


def served_last(settings: Settings) -> list[str]:
    """Return the servers of the last start, as far as the site's data can be read; no data is created."""
    from mcpward.operations.servers import served_last as servers_of

    try:
        return in_site(settings, servers_of, must_exist=True)
    except (CommandEnded, Misconfigured, Unreachable):  # the command itself reports it, if it needs the data
        return []


def _remark_unserved(name: str, served: Collection[str]) -> None:
    """Warn about a name that was never served: without a file, only a later start can confirm it."""
    if served and name not in served:
        meant = nearest(name, served)
        also = f"did you mean {meant}?" if meant else f"the last start served {', '.join(served)}"
        remark(safe(f"no server {name} was served here yet: {also}"))
