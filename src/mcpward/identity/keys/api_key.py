"""The API key as a text: ``sk-mcpward-<12: key id>_<43: secret><6: CRC-32 of all before>``, all base62.

By the prefix and the checksum secret scanners find leaked keys offline, and mcpward refuses a mistyped or invented key
before any look-up (attack 35). The checksum is no secret and proves nothing else.
"""

import re
from binascii import crc32
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.ids import BASE62, base62
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import Rate
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.records import KeyRecord

PREFIX: Final = "sk-mcpward-"
_FORM: Final = re.compile(f"({PREFIX}([0-9A-Za-z]{{12}})_[0-9A-Za-z]{{43}})([0-9A-Za-z]{{6}})").fullmatch
# Two digits at a time: three lookups instead of six divisions on every request.
_PAIRS: Final = tuple(high + low for high in BASE62 for low in BASE62)


class ParsedKey(Struct, frozen=True):
    """A text that has the form and the checksum of a key. Whether it *is* one is for the key cache to decide."""

    id: str


def checksum(text: str) -> str:
    """Return the CRC-32 of ``text`` as 6 base62 digits."""
    crc = crc32(text.encode("ascii"))
    return _PAIRS[crc // 14_776_336] + _PAIRS[crc // 3844 % 3844] + _PAIRS[crc % 3844]


def find_id(text: str) -> str | None:
    """Return the key id that ``text`` carries, or None if form or checksum is wrong. Reads no store."""
    form = _FORM(text)
    if form is None:
        return None
    body, key_id, digits = form.groups()
    return key_id if checksum(body) == digits else None


def parse(text: str) -> ParsedKey | None:
    """Read a key's form; None if form or checksum is wrong. Reads no store."""
    key_id = find_id(text)
    return None if key_id is None else ParsedKey(key_id)


def issue(
    pepper: Pepper,
    clock: Clock,
    *,
    name: str,
    servers: Sequence[str],
    tools: Sequence[str] | None = None,
    scopes: Sequence[str] = (),
    access: Access = Access.READ,
    rate: Rate | None = None,
    networks: Sequence[str] = (),
    expires_at: float | None = None,
    may_confirm: bool = False,
    owner: str | None = None,
    note: str | None = None,
    tags: Sequence[str] = (),
) -> tuple[Secret, KeyRecord]:
    """Draw a new key. The secret exists only in this result; the record is the part to store.

    Raises ``ValueError`` for a network that is not a CIDR block, and for a key without a server.
    """
    if not servers:
        raise ValueError("a key opens at least one server")
    key_id = base62(12)
    body = f"{PREFIX}{key_id}_{base62(43)}"
    text = body + checksum(body)
    record = KeyRecord(
        id=key_id,
        name=name,
        digest=pepper.digest(text),
        servers=tuple(servers),
        tools=None if tools is None else tuple(tools),
        scopes=tuple(scopes),
        access=access,
        rate=rate,
        networks=tuple(str(ip_network(network)) for network in networks),
        created_at=clock.now(),
        expires_at=expires_at,
        may_confirm=may_confirm,
        owner=owner,
        note=note,
        tags=tuple(tags),
    )
    return Secret(text, name="api key"), record


def reissue(pepper: Pepper, clock: Clock, old: KeyRecord) -> tuple[Secret, KeyRecord]:
    """Draw the key that takes the place of ``old``: another secret, the same rights and the same end."""
    secret, fresh = issue(pepper, clock, name=old.name, servers=old.servers)
    record = replace(
        old,
        id=fresh.id,
        digest=fresh.digest,
        created_at=fresh.created_at,
        last_used_at=None,
        rotated_from=old.id,
        revoked_at=None,
        grace_until=None,
        revision=0,
    )
    return secret, record
