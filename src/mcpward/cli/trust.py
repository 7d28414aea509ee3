"""The places for a key: beside a URL that a person named or has seen, never silently beside one that a file names.

A cloned repository may carry a ``mcpward.toml`` whose ``public_url`` belongs to an attacker. A client that is connected
in that folder would send them the key of the environment.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mcpward.cli import ui
from mcpward.cli.clients import Entry
from mcpward.cli.site import file_of, in_site
from mcpward.config.address import is_loopback
from mcpward.config.model import Settings
from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.core.secret import Secret


def is_foreign(url: str) -> bool:
    """Whether a URL leads to another machine."""
    return not is_loopback(urlsplit(url).hostname or "")


def require_agreement(entry: Entry, *, is_named: bool, is_asked: bool, knows: Callable[[Secret], bool]) -> None:
    """Check that the key of an entry may be written beside its URL.

    ``is_named``: the URL was on the command line. ``is_asked``: a person is asked before anything is written, and sees
    the URL. ``knows`` returns whether the site of the present folder has made this key.

    Raises:
        CommandEnded: the URL comes from a file, leads to another machine, and no person has agreed to it.
    """
    if not entry.needs_key or is_named or is_asked or not is_foreign(entry.url):
        return
    if entry.key is not None and knows(entry.key):
        return
    raise ui.CommandEnded(
        ui.Exit.USAGE,
        f"the key would go to {entry.url}, which comes only from the site's file",
        f"add --url {entry.url} if that is your server, or leave --yes off and confirm it",
    )


def site_knows(settings: Settings, config: Path | None) -> Callable[[Secret], bool]:
    """Return a check whether the site has made a key: its data has the key's digest.

    Only data below the folder of the site's own file counts: another folder's file may name any data of this machine.
    """

    def knows(key: Secret) -> bool:
        from mcpward.operations.keys import has_made

        file = file_of(config)
        database = Path(settings.store.url.removeprefix("sqlite:///"))
        if file is None or not settings.store.url.startswith("sqlite:///") or not database.exists():
            return False
        folder = file.resolve().parent
        if not all(one.resolve().is_relative_to(folder) for one in (database, Path(settings.site.data))):
            return False
        try:
            return in_site(settings, lambda site: has_made(site, key))
        except (Misconfigured, Unreachable):
            return False

    return knows
