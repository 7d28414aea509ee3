"""Servers by their names: what of the site's data is for which one, and another name for one of them."""

from collections.abc import Collection

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.core.clock import Clock
from mcpward.identity.keys.records import EVERY_SERVER, KeyRecord
from mcpward.operations.denied import Denied, Invalid
from mcpward.operations.site import Site, database_of
from mcpward.storage.snapshot import user_of
from mcpward.traffic.act import Act


class ServerHoldings(Struct, frozen=True):
    """The entries for one server in the site's data: live keys by themselves, secret URLs and secrets by their
    number.
    """

    server: str
    keys: tuple[KeyRecord, ...] = ()
    urls: int = 0
    secrets: int = 0


class Renamed(Struct, frozen=True):
    """The numbers of items that were carried over; ``keys`` counts those that have ended, too."""

    old: str
    new: str
    keys: int
    urls: int
    secrets: int


def serving_process(settings: Settings) -> int | None:
    """Return the id of a process that has the site's database open now, None if none has."""
    database = database_of(settings)
    return None if database is None else user_of(database)


async def served_last(site: Site) -> list[str]:
    """Return the servers of the last start."""
    return list(await site.store.served.servers())


async def held_by_server(site: Site, now: float, max_age_s: float | None) -> dict[str, ServerHoldings]:
    """Return what there is, by the server that it is for. Keys for every server are for none of them."""
    keys: dict[str, list[KeyRecord]] = {}
    for record in await site.store.keys.list():
        if record.is_live(now, max_age_s):
            for server in record.servers:
                keys.setdefault(server, []).append(record)
    keys.pop(EVERY_SERVER, None)
    urls, secrets = await site.store.urls.servers(now), await site.store.vault.servers()
    return {
        server: ServerHoldings(server, tuple(keys.get(server, ())), urls.get(server, 0), secrets.get(server, 0))
        for server in sorted({*keys, *urls, *secrets})
    }


def require_renamable(settings: Settings, old: str, new: str) -> None:
    """Check that a site's file has one server to be renamed, or the data of one to be carried over.

    Raises:
        Invalid: both names are servers of the file, or neither is.
    """
    known = settings.servers
    if old in known and new in known:
        what = f"servers {old} and {new} both exist"
        raise Invalid(what, "choose another name")
    if known and old not in known and new not in known:
        raise _unknown(old, known) if nearest(old, known) else _unknown(new, known)


def _unknown(name: str, known: Collection[str]) -> Invalid:
    names = sorted(known)
    meant = nearest(name, names)
    return Invalid(
        f"there is no server {name!r}, neither in the site's file nor in its data",
        f"did you mean {meant}?" if meant else f"there are: {', '.join(names) or 'none'}",
    )


async def carry_over(site: Site, settings: Settings, clock: Clock, old: str, new: str) -> Renamed:
    """Do :func:`rename_server` if ``old`` is a server of the file or of the data, and no credential has a right to
    ``new``.

    Raises:
        Denied: as :func:`require_unheld` and :func:`rename_server`.
        Invalid: there is no server ``old``.
        Misconfigured: a secret cannot be opened.
        NoRoom: the disk is full.
    """
    now, max_age_s = clock.now(), settings.keys.max_age
    if old not in settings.servers:
        held = await held_by_server(site, now, max_age_s)
        if old not in held:
            raise _unknown(old, {*held, *settings.servers})
    # Without a file the servers are those of the last start, as for every command.
    if new not in (settings.servers or await served_last(site)):
        await require_unheld(site, now, max_age_s, old, new)
    return await rename_server(site, clock, old, new)


async def require_unheld(site: Site, now: float, max_age_s: float | None, old: str, new: str) -> None:
    """Check that no credential has a right to a name that no server has, before ``old`` gets it.

    A key of a server that was taken out of the site would open the other one's tools from then on.

    Raises:
        Denied: there are live keys or secret URLs for ``new``.
    """
    keys = [key for key in await site.store.keys.list() if new in key.servers and key.is_live(now, max_age_s)]
    urls = [url for url in await site.store.urls.list(new) if url.is_live(now)]
    if not keys and not urls:
        return
    found = [f"key {key.id} ({key.name})" for key in keys] + [f"secret URL {url.id}" for url in urls]
    ends = [f"mcpward key revoke {key.id}" for key in keys] + [f"mcpward url revoke --server {new}"] * bool(urls)
    raise Denied(
        f"these are for an earlier server {new}, and would be valid for {old}: {', '.join(found)}",
        f"end them: {' && '.join(ends)}; or choose another name. If an earlier try moved them, write [servers.{new}] "
        f"in place of [servers.{old}] yourself, then run this again",
    )


async def rename_server(site: Site, clock: Clock, old: str, new: str) -> Renamed:
    """Carry the keys, secret URLs and secrets of a server over to another name, and have its records found by it.

    Each kind is carried in a transaction of its own, and what was carried stays so: after a failure the same call does
    the rest. Running workers see changed keys, URLs and secrets within a second, for servers that they serve.
    :func:`require_unheld` comes first if no server has the new name.

    Raises:
        Denied: both servers have a secret of the same name.
        Misconfigured: a secret cannot be opened.
        NoRoom: the disk is full.
    """
    try:
        secrets = await site.vault.rename_server(old, new)
    except LookupError as both:
        hint = f"mcpward secret remove {both.args[0]} --server removes one of them"
        raise Denied(f"{old} and {new} each have a secret {both.args[0]}", hint) from None
    # After the refusals, and before keys change servers: an act that grants rights is on record, or is not done.
    act = Act(object=f"server {old}", before={"name": old}, after={"name": new}, server=new)
    await site.store.acts.note(act)
    keys = await site.store.keys.rename_server(old, new)
    urls = await site.store.urls.rename_server(old, new)
    await site.store.pins.rename_server(old, new)
    await site.store.renamed.add(old, new, clock.now())
    return Renamed(old, new, keys, urls, secrets)


def stray_lines(held: Collection[ServerHoldings], servers: Collection[str], known: Collection[str]) -> list[str]:
    """Return a line for each kind of data of a missing server, with the command that moves it.

    ``servers`` are those of the site, ``known`` those of them that have something of their own already.
    """
    return [_stray_line(one, servers, known) for one in held if one.server not in servers]


def _stray_line(one: ServerHoldings, servers: Collection[str], known: Collection[str]) -> str:
    counted = ((len(one.keys), "key"), (one.urls, "secret URL"), (one.secrets, "secret"))
    what = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted if count)
    ids = ", ".join(f"{key.id} ({key.name})" for key in one.keys[:3])
    which = f" ({ids}{', …' if len(one.keys) > 3 else ''})" if ids else ""
    bare = [name for name in servers if name not in known]
    meant = nearest(one.server, bare) or (bare[0] if len(bare) == 1 else "NAME")
    return (
        f"{what}{which} for {one.server}, and there is no such server: mcpward server rename {one.server} {meant} "
        "moves them"
    )
