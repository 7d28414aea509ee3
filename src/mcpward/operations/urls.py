"""Secret URLs of unlisted servers, for an operator. The secret is returned once, when it is made."""

import asyncio
from collections.abc import Sequence

from mcpward.core.clock import Clock
from mcpward.core.secret import Secret
from mcpward.identity.keys.follower import SEEN_WITHIN_S
from mcpward.identity.keys.records import UrlRecord
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.operations.site import Site


def make_url(site: Site, clock: Clock, server: str) -> tuple[Secret, UrlRecord]:
    """Return a new secret for a server, and the record that is to be kept of it: nothing is kept here."""
    return UrlCache(site.pepper_urls, clock).issue(server)


async def rotate_url(site: Site, clock: Clock, server: str, grace_until: float) -> Secret:
    """Make a server's new secret, or its first; every other one ends at ``grace_until`` (wall clock) at the latest.

    Returns once every worker knows it: a URL cannot be looked up as a key can.
    """
    secret, record = make_url(site, clock, server)
    await site.store.urls.rotate(server, record, grace_until)
    await asyncio.sleep(SEEN_WITHIN_S)
    return secret


async def revoke_urls(site: Site, server: str, now: float) -> int:
    """End every secret URL of a server that is live at ``now``, for every worker within a second. Return how many."""
    return await site.store.urls.revoke(server, now)


async def live_urls(site: Site, server: str, now: float) -> Sequence[UrlRecord]:
    """Return the secret URLs of a server that open it at ``now``, the oldest first."""
    return [record for record in await site.store.urls.list(server) if record.is_live(now)]
