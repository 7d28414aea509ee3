"""The official SDK's MCPServer with a bearer key: stateless, plain JSON answers, uvloop and httptools."""

import hmac
import os
import sys

import uvicorn
from bench.tool import add
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer


class OneKey:
    """Knows one key, the cheapest verifier there is."""

    def __init__(self, key):
        self._key = key

    async def verify_token(self, token):
        if hmac.compare_digest(token.encode(), self._key.encode()):
            return AccessToken(token=token, client_id="bench", scopes=["mcp"])
        return None


if __name__ == "__main__":
    port = int(sys.argv[1])
    server = MCPServer(
        "bench",
        token_verifier=OneKey(os.environ["BENCH_KEY"]),
        auth=AuthSettings(
            issuer_url="https://id.example.com",
            resource_server_url=f"http://127.0.0.1:{port}/mcp",
            required_scopes=["mcp"],
            validate_token_resource=False,
        ),
        log_level="WARNING",
    )
    server.tool()(add)
    uvicorn.run(
        server.streamable_http_app(stateless_http=True, json_response=True),
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=300,
    )
