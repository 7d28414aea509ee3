"""Arrivals as ingress would make them, for tests of the packages behind it."""

from typing import Any

from mcpward.core.secret import Secret
from mcpward.core.values import Arrival


def arrival(server: str = "orders", path_secret: str | None = None, **changes: Any) -> Arrival:
    """One POST from 192.0.2.7; every field may be changed."""
    fields: dict[str, Any] = {
        "id": "0123456789abcdef",
        "at": 1_800_000_000.0,
        "started": 1_000.0,
        "peer": "192.0.2.7",
        "bucket": "192.0.2.7",
        "verb": "POST",
        "server": server,
        "headers": {},
        "path_secret": None if path_secret is None else Secret(path_secret),
    }
    return Arrival(**(fields | changes))
