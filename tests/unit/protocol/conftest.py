"""The protocol package as mcpward wires it: real sealed tokens, two servers, a clock that stands still."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from mcpward.core.ended_cache import EndedCache
from mcpward.core.errors import Refusal
from mcpward.core.values import Arrival, AuthMethod, Call, Principal
from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.sealed import SealedToken
from mcpward.protocol.methods import ServerInfo
from mcpward.protocol.read import Protocol
from mcpward.protocol.session import Sessions
from mcpward.protocol.state import States
from support.rpc import initialize

SERVERS = {
    "orders": ServerInfo("orders", "1.2", "Orders", "Ask about orders.", has_resources=True, has_prompts=True),
    "bare": ServerInfo("bare", "0.1"),
    "full": ServerInfo(
        "full",
        "2",
        "Full",
        has_resources=True,
        has_prompts=True,
        has_completions=True,
        has_changes=True,
        has_tasks=True,
        website_url="https://example.com",
        description="All there is.",
        icons=({"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"]},),
        extensions={"com.example/x": {"depth": 1}},
    ),
}


class House:
    """The package, and the short methods that the tests call."""

    servers = SERVERS

    def __init__(self, clock) -> None:
        self.clock = clock
        self.token = SealedToken(KeyRing([bytes(range(32))]), "mcp-session")
        self.state = SealedToken(KeyRing([bytes(range(32))]), "mcp-state")
        self.ended = EndedCache()
        self.protocol = self.worker()

    def worker(self) -> Protocol:
        """Another process of the same site: same keys, nothing in memory."""
        sessions = Sessions(self.token.seal, self.token.open, self.ended, self.clock)
        return Protocol(SERVERS, sessions, States(self.state.seal, self.state.open, self.clock))

    @staticmethod
    def principal(key: str = "api-key:anna", server: str = "orders", way: AuthMethod = AuthMethod.API_KEY) -> Principal:
        return Principal(key=key, way=way, server=server, subject=key)

    @staticmethod
    def arrival(
        body: bytes | dict[str, Any],
        headers: Mapping[str, str | bytes] | None = None,
        *,
        verb: str = "POST",
        server: str = "orders",
        repeated: tuple[str, ...] = (),
    ) -> Arrival:
        raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        fields = {
            name.lower().encode(): value if isinstance(value, bytes) else value.encode()
            for name, value in (headers or {}).items()
        }
        return Arrival(
            id="r1",
            at=0.0,
            started=0.0,
            peer="192.0.2.1",
            bucket="192.0.2.1",
            verb=verb,
            server=server,
            headers=fields,
            repeated=frozenset(name.encode() for name in repeated),
            body=raw,
        )

    def read(self, body, headers=None, *, principal: Principal | None = None, **more: Any) -> Call:
        server = more.get("server", "orders")
        return self.protocol.read(self.arrival(body, headers, **more), principal or self.principal(server=server))

    def refused(self, body, headers=None, **more: Any) -> Refusal:
        with pytest.raises(Refusal) as no:
            self.read(body, headers, **more)
        return no.value

    def open_session(self, version: str = "2025-11-25", **more: Any) -> str:
        call = self.read(initialize(version), **more)
        return dict(self.protocol.answer(call).headers)[b"mcp-session-id"].decode("ascii")


@pytest.fixture
def house(clock) -> House:
    return House(clock)
