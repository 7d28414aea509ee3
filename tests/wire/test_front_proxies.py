"""nginx and Caddy as deploy/ configures them: TLS, a sub-path, events one by one, and the address of the caller."""

import json

import pytest

from support.front_proxy import caddy, front_proxy, nginx
from support.ward import ACCEPT, modern_request
from support.wire import rows, site, until

TOOLS = """
import asyncio, os
from mcpward import Context, Server
server = Server("bench")

@server.tool(read_only=True)
async def steps(file: str, ctx: Context) -> str:
    "Report, wait for a file, report again."
    await ctx.report_progress(1, 2, "first")
    while not os.path.exists(file):
        await asyncio.sleep(0.02)
    await ctx.report_progress(2, 2, "second")
    return "done"
"""
PEERS = {nginx: "127.0.0.5", caddy: "127.0.0.6"}
SETTINGS = {
    "site.public_url": "https://mcp.example.com/ai",
    "site.trusted_proxies": ["127.0.0.1/32"],
    "site.behind_tls_proxy": True,
}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("site"), SETTINGS, start=False) as ward:
        (ward.folder / "bench.py").write_text(TOOLS)
        ward.key = ward.create_key("bench")
        yield ward.start()


@pytest.mark.parametrize("write", [nginx, caddy])
def test_a_proxy_of_deploy_passes_on_the_sub_path_the_callers_address_and_each_event_at_once(tmp_path, ward, write):
    gate = tmp_path / "go"
    body, headers = modern_request("tools/call", {"name": "steps", "arguments": {"file": str(gate)}}, name="steps")
    body["params"]["_meta"]["progressToken"] = 1
    headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
    headers["x-forwarded-for"] = "198.51.100.9"  # callers that write that are not believed
    with front_proxy(tmp_path / "proxy", write, ward) as proxy, proxy.client(PEERS[write]) as client:
        with client.stream("POST", "/ai/bench/mcp", content=json.dumps(body), headers=headers) as answer:
            assert answer.status_code == 200
            heard = answer.iter_lines()
            assert next(line for line in heard if "first" in line)
            gate.touch()  # the cancellation came before the tool went on
            rest = "\n".join(heard)
            assert "second" in rest
            assert "done" in rest
        assert until(lambda: rows(ward, "tool = 'steps' AND outcome = 'ok' AND peer = ?", PEERS[write]))
        # OAuth's documents are asked for at the root of the host, and it is the site that answers there.
        unknown = client.get("/.well-known/oauth-protected-resource/ai/bench/mcp")
        assert (unknown.status_code, unknown.json()["error"]["data"]["reason"]) == (404, "route-unknown")
    assert not rows(ward, "peer = '198.51.100.9'")
