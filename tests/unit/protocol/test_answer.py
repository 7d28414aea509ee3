"""initialize, ping and server/discover, judged by the types of the official SDK."""

import json

import mcp_types
import pytest

from mcpward.protocol import reply
from mcpward.protocol.answer import lifecycle
from mcpward.protocol.methods import ServerInfo, table
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


@pytest.mark.parametrize("version", ["2024-10-07", "2026-07-28", "1900-01-01", "nonsense", ""])
def test_initialize_offers_the_newest_legacy_version_instead_of_an_unserved_one(house, version) -> None:
    assert result(house, initialize(version))["protocolVersion"] == "2025-11-25"


def test_only_what_is_served_is_announced(house) -> None:
    assert result(house, initialize())["capabilities"] == {"logging": {}, "tools": {}, "resources": {}, "prompts": {}}
    bare = result(house, initialize(), server="bare")
    assert bare["capabilities"] == {"logging": {}, "tools": {}}
    assert "instructions" not in bare


EVERYTHING = {
    "logging": {},
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
}
EXTENSION = {"com.example/x": {"depth": 1}}


def test_everything_that_is_served_is_announced_in_the_legacy_era(house) -> None:
    capabilities = result(house, initialize(), server="full")["capabilities"]
    assert capabilities == EVERYTHING | {"extensions": EXTENSION}  # only the modern era has tasks


def test_everything_that_is_served_is_announced_in_the_modern_era(house) -> None:
    said = result(house, modern("server/discover"), modern_headers("server/discover"), server="full")
    mcp_types.DiscoverResult.model_validate(said)
    assert said["capabilities"] == EVERYTHING | {"extensions": EXTENSION | {"io.modelcontextprotocol/tasks": {}}}


def test_nobody_speaks_of_tasks_that_are_not_served(house) -> None:
    server = ServerInfo("x", extensions={"io.modelcontextprotocol/tasks": {}})
    call = house.read(modern("server/discover"), modern_headers("server/discover"))
    said = json.loads(lifecycle(call, server, house.protocol.sessions).body)["result"]
    assert "extensions" not in said["capabilities"]


def test_a_server_without_tools_announces_none(house) -> None:
    call = house.read(modern("server/discover"), modern_headers("server/discover"))
    said = json.loads(lifecycle(call, ServerInfo("x", has_tools=False), house.protocol.sessions).body)["result"]
    assert said["capabilities"] == {"logging": {}}
    assert "tools/call" not in table(ServerInfo("x", has_tools=False), call.era)


WHOLE = {
    "description": "All there is.",
    "websiteUrl": "https://example.com",
    "icons": [{"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"]}],
}


@pytest.mark.parametrize(
    "version, more",
    [("2025-03-26", {}), ("2025-06-18", {"title": "Full"}), ("2025-11-25", {"title": "Full"} | WHOLE)],
)
def test_a_server_introduces_itself_in_the_words_of_the_version(house, version, more) -> None:
    said = result(house, initialize(version), server="full")["serverInfo"]
    assert said == {"name": "full", "version": "2"} | more


def test_discover_tells_all_of_the_server_and_other_results_its_name(house) -> None:
    key = "io.modelcontextprotocol/serverInfo"
    name = {"name": "full", "version": "2", "title": "Full"}
    said = result(house, modern("server/discover"), modern_headers("server/discover"), server="full")
    assert said["_meta"][key] == name | WHOLE
    call = house.read(modern("tools/list"), modern_headers("tools/list"), server="full")
    assert json.loads(reply.catalogue(call, b'{"tools":[]}').body)["result"]["_meta"][key] == name


@pytest.mark.parametrize(
    "method, params",
    [
        ("logging/setLevel", {"level": "warning"}),
        ("resources/subscribe", {"uri": "a:b"}),
        ("resources/unsubscribe", {"uri": "a:b"}),
    ],
)
def test_what_a_session_asks_for_is_answered_with_nothing(house, method, params) -> None:
    session = {"Mcp-Session-Id": house.open_session(server="full")}
    assert result(house, request(method, params, number=5), session, server="full") == {}


def test_the_session_speaks_the_version_that_was_agreed(house) -> None:
    token = house.open_session("2024-10-07")
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
    assert said["capabilities"] == {"logging": {}, "tools": {}, "resources": {}, "prompts": {}}


def test_no_session_is_made_in_the_modern_era(house) -> None:
    reply = house.protocol.answer(house.read(modern("server/discover"), modern_headers("server/discover")))
    assert reply.headers == ()
