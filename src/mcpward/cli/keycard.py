"""What may be shown of a key: everything but its digest."""

from typing import TYPE_CHECKING, Any, Final

from mcpward.cli.moment import moment_text
from mcpward.config.rate import rate_text

if TYPE_CHECKING:
    from mcpward.identity.records import KeyRecord

HEADER: Final = ("id", "name", "servers", "class", "may confirm", "state", "expires", "last used")


def state_of(record: "KeyRecord", now: float) -> str:
    """Say in a word what the key is worth at ``now``: live, grace, ended or revoked."""
    if record.revoked_at is not None:
        return "revoked"
    if not record.is_live(now):
        return "ended"
    return "grace" if record.grace_until is not None else "live"


def row_of(record: "KeyRecord", now: float) -> tuple[object, ...]:
    """Give the key's line in a list: the cells of :data:`HEADER`."""
    ends_at = moment_text(record.ends_at, "never")
    used_at = moment_text(record.last_used_at, "never")
    servers = ",".join(record.servers)
    confirms = "yes" if record.may_confirm else "no"
    return record.id, record.name, servers, record.access.label, confirms, state_of(record, now), ends_at, used_at


def shape_of(record: "KeyRecord", now: float) -> dict[str, Any]:
    """All that may be shown: the digest is left out."""
    return {
        "id": record.id,
        "name": record.name,
        "servers": list(record.servers),
        "class": record.access.label,
        "tools": None if record.tools is None else list(record.tools),
        "scopes": list(record.scopes),
        "rate": rate_text(record.rate) if record.rate else None,
        "networks": list(record.networks),
        "may_confirm": record.may_confirm,
        "state": state_of(record, now),
        "created_at": moment_text(record.created_at),
        "expires_at": moment_text(record.expires_at, "") or None,
        "grace_until": moment_text(record.grace_until, "") or None,
        "revoked_at": moment_text(record.revoked_at, "") or None,
        "last_used_at": moment_text(record.last_used_at, "") or None,
        "rotated_from": record.rotated_from,
    }


_UNSET: Final = {"tools": "all", "scopes": "none", "networks": "all", "expires_at": "never", "last_used_at": "never"}


def words_of(word: str, value: object) -> str:
    """Write one value of :func:`shape_of` for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(str(one) for one in value) if isinstance(value, list) else str(value or "")
    return text or _UNSET.get(word, "-")
