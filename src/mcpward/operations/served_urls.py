"""The URLs of the last start that lead elsewhere now, or nowhere, and the line of the file that would keep each one."""

from collections.abc import Iterator, Sequence

from mcpward.config.endpoint import SHORT, paths_of
from mcpward.config.model import Settings
from mcpward.storage.served import ServedUrl


def served(settings: Settings) -> list[ServedUrl]:
    """List the URLs of the site, as they are remembered for the next start."""
    base = settings.site.public_url or ""
    return [
        ServedUrl(path, name, base)
        for name, server in settings.servers.items()
        for path in (*paths_of(settings, name), *(f"//{host}{SHORT}" for host in server.hosts))
    ]


def lost(settings: Settings, before: Sequence[ServedUrl], base: str) -> Iterator[str]:
    """Return one line for each URL of the last start that clients no longer find.

    ``base`` is what clients prefix to a path now.
    """
    now = {url.path: url.server for url in served(settings)}
    was = next((url.base for url in before if url.base), "")
    if was and was != base:
        yield (
            f"clients of the last start use {was}, and this site is {base} now: to keep their URLs, "
            f'write [site] public_url = "{was}"'
        )
    gone = sorted({url.server for url in before} - set(settings.servers)) if not settings.is_part else []
    for server in gone:
        yield (
            f"clients of the last start use server {server}, and there is no such server now: to keep their URLs, "
            f"keep its name ([servers.{server}], or --name {server})"
        )
    for url in before:
        if url.server in gone or now.get(url.path) == url.server:
            continue
        yield (
            f"clients of the last start find server {url.server} at {_shown(base, url.path)}, which is "
            f"{_owner(now.get(url.path))} now: to keep it, write {_line(url)}"
        )


def _shown(base: str, path: str) -> str:
    return f"{base}{path}" if not path.startswith("//") else path.removeprefix("//")


def _owner(server: str | None) -> str:
    return f"server {server}" if server else "nobody's"


def _line(url: ServedUrl) -> str:
    """Return the line that gives the URL back to its server."""
    if url.path == SHORT:
        return f'[site] default_server = "{url.server}"'
    host = url.path.removeprefix("//").removesuffix(SHORT)
    return f'[servers.{url.server}] hosts = ["{host}"]'
