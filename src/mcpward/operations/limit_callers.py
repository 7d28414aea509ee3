"""The limits and callers that an operator means, and the callers that a site knows."""

import re
from typing import Final

from mcpward.limits.rates.bucket_usage import BucketFilter
from mcpward.operations.denied import Denied
from mcpward.operations.keys import every_key, first_key
from mcpward.operations.site import Site

__all__ = ["KEY", "BucketFilter", "caller_of", "is_key_id", "known_callers", "words_of"]

#: The name of a caller with a key in limits and record, up to the id of its first key.
KEY: Final = "api-key:"
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)


def is_key_id(caller: str) -> bool:
    """Return whether a caller is named by the id of a key only."""
    return _KEY_ID.fullmatch(caller) is not None


async def caller_of(site: Site, key_id: str) -> str:
    """Return the caller that limits know the holder of a key as: a rotated key is the caller that its first was.

    A key that is not there is taken as it is: counters may be shared with another site.
    """
    try:
        return KEY + await first_key(site, key_id)
    except Denied:
        return KEY + key_id


async def known_callers(site: Site) -> list[str]:
    """Return keys, and callers and addresses on record."""
    keys = [KEY + key.id for key in await every_key(site)]
    traffic = site.store.traffic
    return [*dict.fromkeys([*keys, *await traffic.known("principal"), *await traffic.known("peer")])]


def words_of(match: BucketFilter) -> str:
    """Return which buckets are meant."""
    parts = [
        f"the limit {match.limit}" if match.limit is not None else "all limits",
        f"of server {match.server}" if match.server is not None else "",
        f"by {match.caller}" if match.caller is not None else "",
    ]
    return " ".join(part for part in parts if part)
