"""The parts of a secret that may be shown: everything but its value."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.core.managed_secrets import ManagedSecrets
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


def managed_rows(held: "ManagedSecrets", kept: Collection[str]) -> list[tuple[object, ...]]:
    """Return the lines of what an external manager keeps; ``kept`` are names of the vault, whose values come first."""
    names = sorted({*held.values, *held.problems})
    return [(name, _source(name, held, kept), "-", "-", "any", "-") for name in names]


def managed_shapes(server: str, held: "ManagedSecrets", kept: Collection[str]) -> list[dict[str, Any]]:
    """The same, as JSON."""
    return [
        {
            "server": server,
            "name": name,
            "source": "manager",
            "version": held.version,
            "used": name in held.values and name not in kept,
            "problem": held.problems.get(name),
        }
        for name in sorted({*held.values, *held.problems})
    ]


def _source(name: str, held: "ManagedSecrets", kept: Collection[str]) -> str:
    entry = f"manager {held.version}"
    if name in held.problems:
        return f"{entry} (cannot be used)"
    return f"{entry} (the vault's is used)" if name in kept else entry


def shape_of(secret: "KeptSecret") -> dict[str, Any]:
    """All that may be shown, the present version first."""
    current = secret.current
    return {
        "server": secret.server,
        "name": secret.name,
        "source": "vault",
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
