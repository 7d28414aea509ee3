"""Calls as the protocol package would return them, for tests of the packages behind it."""

from typing import Any

from mcpward.core.values import Arrival, AuthMethod, Call, Era, Kind, Principal

PRINCIPAL = Principal(
    key="api-key:k1", way=AuthMethod.API_KEY, server="orders", subject="k1", client="laptop", key_id="k1",
    scopes=frozenset({"orders:read"}),
)  # fmt: skip


def arrival_of(server: str = "orders") -> Arrival:
    return Arrival(
        id="req-1", at=0.0, started=0.0, peer="127.0.0.1", bucket="127.0.0.1", verb="POST", server=server, headers={}
    )


def call_of(target: str, arguments: bytes | None = None, **changes: Any) -> Call:
    """A modern ``tools/call`` of ``target`` with raw ``arguments``."""
    fields: dict[str, Any] = {
        "arrival": arrival_of(),
        "principal": PRINCIPAL,
        "era": Era.MODERN,
        "version": "2026-07-28",
        "kind": Kind.TOOL,
        "method": "tools/call",
        "id": 1,
        "target": target,
        "arguments": arguments,
    }
    return Call(**(fields | changes))
