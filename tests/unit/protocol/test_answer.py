"""initialize, ping and server/discover, judged by the types of the official SDK."""

import json

import mcp_types
import pytest

from support.rpc import initialize, modern, modern_headers, request


def result(house, body, headers=None, **more):
    reply = house.protocol.answer(house.read(body, headers, **more))
    assert reply.status == 200
    message = json.loads(reply.body)
    assert message["jsonrpc"] == "2.0"
    assert message["id"] == body["id"]
    return message["result"]


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
def test_initialize_agrees_to_a_served_version(house, version) -> None:
    answer = mcp_types.InitializeResult.model_validate(result(house, initialize(version)))
    assert answer.protocol_version == version
    title = None if version == "2025-03-26" else "Orders"
    said = answer.server_info
    assert (said.name, said.version, said.title) == ("orders", "1.2", title)
    assert answer.instructions == "Ask about orders."


@pytest.mark.parametrize("version", ["2024-11-05", "2026-07-28", "1900-01-01", "nonsense", ""])
def test_initialize_offers_the_newest_legacy_version_instead_of_an_unserved_one(house, version) -> None:
    assert result(house, initialize(version))["protocolVersion"] == "2025-11-25"


def test_only_what_is_served_is_announced(house) -> None:
    assert result(house, initialize())["capabilities"] == {"logging": {}, "tools": {}, "resources": {}, "prompts": {}}
    bare = result(house, initialize(), server="bare")
    assert bare["capabilities"] == {"logging": {}, "tools": {}}
    assert "instructions" not in bare


def test_the_session_speaks_the_version_that_was_agreed(house) -> None:
    token = house.open_session("2024-11-05")
    assert house.read(request("ping"), {"Mcp-Session-Id": token}).version == "2025-11-25"


def test_ping_is_answered_with_nothing(house) -> None:
    assert result(house, request("ping", number="p"), {"Mcp-Session-Id": house.open_session()}) == {}


def test_discover_tells_every_served_version(house) -> None:
    said = result(house, modern("server/discover"), modern_headers("server/discover"))
    answer = mcp_types.DiscoverResult.model_validate(said)
    assert answer.supported_versions == ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]
    assert said["resultType"] == "complete"
    assert said["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "orders"
    assert (said["ttlMs"], said["cacheScope"]) == (60_000, "private")
    assert said["capabilities"] == {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}


def test_no_session_is_made_in_the_modern_era(house) -> None:
    reply = house.protocol.answer(house.read(modern("server/discover"), modern_headers("server/discover")))
    assert reply.headers == ()
