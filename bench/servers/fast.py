"""FastMCP with its own controls: static key, rate limiter (far too high to hit), strict validation."""

import os
import sys

import uvicorn
from bench.tool import add
from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from fastmcp.server.middleware.rate_limiting import RateLimitingMiddleware

if __name__ == "__main__":
    server = FastMCP(
        "bench",
        auth=StaticTokenVerifier({os.environ["BENCH_KEY"]: {"client_id": "bench", "scopes": ["mcp"]}}),
        middleware=[RateLimitingMiddleware(max_requests_per_second=1e9, burst_capacity=10**9)],
        strict_input_validation=True,
    )
    server.tool(add)
    uvicorn.run(
        server.http_app(path="/mcp", stateless_http=True, json_response=True),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=300,
    )
