"""The parts of a key that may be shown: everything but its digest."""

from typing import TYPE_CHECKING, Any, Final

from mcpward.config.rate import rate_text
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.identity.keys.records import KeyRecord

HEADER: Final = ("id", "name", "owner", "servers", "class", "may confirm", "state", "ends", "last used")


def row_of(record: "KeyRecord", now: float, max_age_s: float | None) -> tuple[object, ...]:
    """Return the key's line in a list: the cells of :data:`HEADER`."""
    from mcpward.operations.keys import state_of

    return (
        record.id,
        record.name,
        record.owner or "-",
        ",".join(record.servers),
        record.access.label,
        "yes" if record.may_confirm else "no",
        state_of(record, now, max_age_s),
        moment_text(record.ends_at(max_age_s), "no end"),
        moment_text(record.last_used_at, "never used"),
    )


def shape_of(record: "KeyRecord", now: float, max_age_s: float | None) -> dict[str, Any]:
    """All that may be shown: the digest is left out. ``ends_at`` is the first of all the ends that the key has."""
    from mcpward.operations.keys import state_of

    return {
        "id": record.id,
        "name": record.name,
        "owner": record.owner,
        "note": record.note,
        "tags": list(record.tags),
        "servers": list(record.servers),
        "class": record.access.label,
        "tools": None if record.tools is None else list(record.tools),
        "scopes": list(record.scopes),
        "rate": rate_text(record.rate) if record.rate else None,
        "networks": list(record.networks),
        "may_confirm": record.may_confirm,
        "state": state_of(record, now, max_age_s),
        "created_at": moment_text(record.created_at),
        "ends_at": _moment(record.ends_at(max_age_s)),
        "expires_at": _moment(record.expires_at),
        "grace_until": _moment(record.grace_until),
        "revoked_at": _moment(record.revoked_at),
        "last_used_at": _moment(record.last_used_at),
        "rotated_from": record.rotated_from,
    }


#: The forms of ``ends_at``; the third is the site's ``keys.max_age``.
_ENDS: Final = ("expires_at", "grace_until")
_UNSET: Final = {
    "tools": "all",
    "scopes": "none",
    "networks": "all",
    "tags": "none",
    "rate": "none",
    "ends_at": "no end",
    "expires_at": "never",
    "last_used_at": "never used",
}


def lines_of(shape: dict[str, Any]) -> list[tuple[str, str]]:
    """Write a key of :func:`shape_of` for people: one name and value a line, and the moment of its end only once."""
    again = {word for word in _ENDS if shape[word] in {None, shape["ends_at"]}}
    return [(word.replace("_", " "), words_of(word, value)) for word, value in shape.items() if word not in again]


def changes_of(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Write what differs between two shapes of a key for people, likewise."""
    again = {word for word in _ENDS if all(shape[word] == shape["ends_at"] for shape in (before, after))}
    changed = [word for word in after if before[word] != after[word] and word not in again]
    return [(word.replace("_", " "), words_of(word, before[word]), words_of(word, after[word])) for word in changed]


def words_of(word: str, value: object) -> str:
    """Write one value of :func:`shape_of` for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(str(one) for one in value) if isinstance(value, list) else str(value or "")
    return text or _UNSET.get(word, "-")


def _moment(at: float | None) -> str | None:
    return None if at is None else moment_text(at)
