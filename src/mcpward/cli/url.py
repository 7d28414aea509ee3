"""``mcpward url``: the secret URL of an unlisted server. The URL admits every caller that has it; only its hash is
kept.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import (
    CLOCK,
    ConfigOption,
    JsonOption,
    ServerOption,
    chosen_server,
    in_site,
    settings_of,
    unknown_server,
)
from mcpward.cli.timespan import parse_span
from mcpward.config.endpoint import endpoint
from mcpward.config.model import Settings
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Secret URLs of unlisted servers: rotate, revoke, show.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("rotate")
@examples("mcpward url rotate --server notes", "mcpward url rotate --server notes --grace 0")
def rotate(
    server: ServerOption = None,
    grace: Annotated[str, typer.Option(metavar="SPAN", help="How long the old URL stays valid: 24h, 30m, 0.")] = "24h",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Create a new secret URL (or the first). It goes to stdout, once; the old one ends after the grace period."""
    from mcpward.operations.urls import rotate_url

    settings = settings_of(config)
    name = unlisted_server(settings, server)
    grace_s = parse_span(grace, "--grace")
    grace_until = CLOCK.now() + grace_s
    secret = in_site(settings, lambda site: rotate_url(site, CLOCK, name, grace_until), ends_rights=True)
    full = f"{endpoint(settings, name)}/{secret.reveal()}"
    if json:
        ui.answer_json({"server": name, "url": full, "old_ends_at": moment_text(grace_until)})
        return
    ui.remark(f"the URL of {name} is the credential; it is shown only once:")
    ui.answer(full)
    ui.remark(f"all older ones end at {moment_text(grace_until)}" if grace_s else "all older ones have ended")


@app.command("revoke")
@examples("mcpward url revoke --server notes")
def revoke(server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Revoke every secret URL of a server, even of one that is no longer in mcpward.toml. Every worker refuses them
    within a second. Works on a full disk, too.
    """
    from mcpward.operations.urls import revoke_urls

    settings = settings_of(config)
    name = unlisted_server(settings, None) if server is None else server
    now = CLOCK.now()
    ended = in_site(settings, lambda site: revoke_urls(site, name, now), must_exist=True, ends_rights=True)
    if not ended:
        if settings.servers and name not in settings.servers:
            raise unknown_server(name, settings.servers)
        raise ui.CommandEnded(ui.Exit.NO, ui.safe(f"{name} has no secret URL"))
    if json:
        ui.answer_json({"server": name, "ended": ended})
    ui.remark(ui.safe(f"{ended} secret URL{'' if ended == 1 else 's'} of {name} ended"))


@app.command("show")
@examples("mcpward url show --server notes")
def show(server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show when a secret URL was created, never the URL itself. The exit code is always 1."""
    from mcpward.operations.urls import live_urls

    settings = settings_of(config)
    name = unlisted_server(settings, server)
    now = CLOCK.now()
    live = in_site(settings, lambda site: live_urls(site, name, now), must_exist=True)
    if json:
        ends = [(moment_text(one.created_at), moment_text(one.expires_at, "") or None) for one in live]
        ui.answer_json({"server": name, "urls": [{"created_at": made, "expires_at": end} for made, end in ends]})
    for record in live:
        end = f", ends at {moment_text(record.expires_at)}" if record.expires_at else ""
        ui.remark(f"a URL of {name} was created at {moment_text(record.created_at)}{end}")
    what = "the URL cannot be shown: only a hash of it is kept" if live else f"{name} has no URL yet"
    raise ui.CommandEnded(ui.Exit.NO, what, f"create a new one: mcpward url rotate --server {name}")


def unlisted_server(settings: Settings, server: str | None) -> str:
    """Return the server that is meant; one that the site's file knows must be unlisted.

    Raises:
        CommandEnded: none is meant, or it lets callers in by other means.
    """
    unlisted = [name for name, one in settings.servers.items() if one.mode == "unlisted"]
    name = chosen_server(settings, server, unlisted)
    if name in settings.servers and name not in unlisted:
        raise ui.CommandEnded(
            ui.Exit.USAGE,
            f"server {name} is in mode {' and '.join(sorted(settings.servers[name].modes))} and has no secret URL",
            f'set mode = "unlisted" in [servers.{name}]',
        )
    return name
