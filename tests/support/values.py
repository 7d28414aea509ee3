"""Arrivals, principals, calls and tools for tests that begin in the middle of mcpward."""

from typing import Any

from mcpward.core.scope import Access
from mcpward.core.values import AcceptedCall, Arrival, AuthMethod, Call, Era, Kind, Principal, Rate, Tool


def an_arrival(**changes: Any) -> Arrival:
    given: dict[str, Any] = {
        "id": "00ff00ff00ff00ff",
        "at": 1_800_000_000.0,
        "started": 1_000.0,
        "peer": "192.0.2.7",
        "bucket": "192.0.2.7",
        "verb": "POST",
        "server": "orders",
        "headers": {},
        "body": b'{"jsonrpc":"2.0"}',
        "connection": 1,
    }
    return Arrival(**given | changes)


def a_principal(
    key: str = "api-key:abc", *, way: AuthMethod = AuthMethod.API_KEY, rate: Rate | None = None, server: str = "orders"
) -> Principal:
    key_id = key.removeprefix("api-key:") if way is AuthMethod.API_KEY else None
    return Principal(key=key, way=way, server=server, subject=key, key_id=key_id, rate=rate)


def a_tool(name: str = "query_orders", access: Access = Access.READ, *, server: str = "orders", **more: Any) -> Tool:
    return Tool(server=server, name=name, access=access, listing={}, bind=lambda _: {}, run=dict, **more)


def a_call(
    principal: Principal | None = None,
    *,
    target: str = "query_orders",
    arguments: bytes | None = b'{"limit":20}',
    kind: Kind = Kind.TOOL,
    method: str = "tools/call",
    arrival: Arrival | None = None,
    **more: Any,
) -> Call:
    return Call(
        arrival=arrival or an_arrival(),
        principal=principal or a_principal(),
        era=Era.MODERN,
        version="2026-07-28",
        kind=kind,
        method=method,
        id=1,
        target=target,
        arguments=arguments,
        **more,
    )


def accepted(call: Call, tool: Tool) -> AcceptedCall:
    return AcceptedCall(call=call, tool=tool, arguments={})
