"""The tool as an author of mcpward writes it, with twenty secrets in the environment to keep inside."""

import os

from bench.tool import add

from mcpward import Server, env

SECRETS = [getattr(env, name) for name in sorted(os.environ) if name.startswith("BENCH_SECRET_")]

server = Server("bench")
server.tool(read_only=True)(add)
