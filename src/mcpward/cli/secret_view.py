"""The parts of a secret that may be shown: everything but its value."""

from typing import TYPE_CHECKING, Any, Final

from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.operations.secrets import KeptSecret

HEADER: Final = ("name", "version", "age", "last used", "hosts", "earlier versions")
_DAY_S: Final = 86_400


def row_of(secret: "KeptSecret", now: float) -> tuple[object, ...]:
    """Return the secret's line in a list: the cells of :data:`HEADER`."""
    current = secret.current
    earlier = [f"{one.version} until {moment_text(one.ends_at)}" for one in secret.versions[1:] if _is_kept(one, now)]
    hosts = ", ".join(current.hosts) or "any"
    return (
        secret.name,
        current.version,
        _age(now - current.set_at),
        moment_text(current.last_used_at, "never"),
        f"{hosts} (http only)" if current.is_http_only else hosts,
        ", ".join(earlier) or "-",
    )


def shape_of(secret: "KeptSecret") -> dict[str, Any]:
    """All that may be shown, the present version first."""
    current = secret.current
    return {
        "server": secret.server,
        "name": secret.name,
        "version": current.version,
        "set_at": moment_text(current.set_at),
        "last_used_at": moment_text(current.last_used_at) if current.last_used_at is not None else None,
        "hosts": list(current.hosts),
        "header": current.header or None,
        "http_only": current.is_http_only,
        "earlier": [{"version": one.version, "kept_until": moment_text(one.ends_at)} for one in secret.versions[1:]],
    }


def _is_kept(entry: Any, now: float) -> bool:
    return entry.ends_at is not None and entry.ends_at > now


def _age(seconds: float) -> str:
    days, hours = int(seconds // _DAY_S), int(seconds // 3600)
    if days:
        return f"{days} d"
    return f"{hours} h" if hours else f"{max(0, int(seconds // 60))} min"
