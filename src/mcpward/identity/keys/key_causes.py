"""Why an API key opened nothing, in words for the operator: log and record have them, callers never do.

Nothing of a credential is quoted but a key's id, which is no secret.
"""

import re
from datetime import UTC, datetime
from typing import Final

from mcpward.identity.keys.api_key import PREFIX
from mcpward.identity.keys.records import KeyRecord

_BEGINS: Final = re.compile(f"{PREFIX}([0-9A-Za-z]{{12}})_").match


def ended(record: KeyRecord, ends_at: float | None, now: float) -> str | None:
    """Return how the key has ended by ``now`` (wall clock); None if it has not. ``ends_at`` is the first end."""
    if record.revoked_at is not None:
        return f"the key was revoked at {_moment(record.revoked_at)}"
    if ends_at is None or now < ends_at:
        return None
    if ends_at == record.grace_until:
        return f"the key was rotated, and its grace period ended at {_moment(ends_at)}"
    if ends_at == record.expires_at:
        return f"the key expired at {_moment(ends_at)}"
    return f"the key reached the age of keys.max_age at {_moment(ends_at)}"


def unproved(text: str, key_id: str | None, *, is_known: bool) -> str:
    """Return the private reason for a text that is no key in the cache.

    ``key_id`` is the id in a text with the form and the checksum of a key; ``is_known`` if this site has issued a key
    of that id.
    """
    if key_id is not None:
        known = f"the id is that of key {key_id}, but the secret is not"
        unknown = f"there is no key {key_id} here: it is of another site, or of other data"
        return known if is_known else unknown
    begins = _BEGINS(text)
    if begins is not None:
        return f"malformed: a mistyped or cut key, whose id would be {begins[1]}"
    if text.startswith(PREFIX):
        return "malformed: a mistyped or cut key"
    return f"malformed: it is no API key, which begins with {PREFIX}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
