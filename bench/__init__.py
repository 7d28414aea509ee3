"""``make bench``: what a tool call costs, beside others who serve the same tool.

    python -m bench                  the whole comparison: about five minutes, ends by itself
    python -m bench --rounds 1 --seconds 1 --only mcpward,echo
    python -m bench idle             memory of 5,000 idle keep-alive connections
    python -m bench limits           what limits cost, in memory and on Redis, beside the package ``limits``

How it is measured. Each server is a process of its own, started as its users start it, alone on one core; the load
comes from another core, through loopback: 32 keep-alive connections, each sending its next call when the answer to
the last one is there, every call with other arguments. Rounds alternate: each round starts every server anew, in the
opposite order of the round before; the table has medians of the rounds. A call that is refused, fails or answers
something else ends the benchmark: refusing is fast.

Who stands beside whom (``peers.py``). All serve ``add(a, b, text, flag)`` of ``tool.py`` to a modern (2026-07-28)
``tools/call`` with a bearer key, except the echo, which gives back the body that it got:

* ``mcpward``       as shipped, all controls on: key, rate, schema, redaction over 20 secrets, deadline, traffic record
* ``mcpward-open``  the same with every control off that can be: what the controls add
* ``sdk``           the official SDK's ``MCPServer`` with a token verifier
* ``fastmcp``       FastMCP with key, rate limiter and strict validation
* ``echo``          uvicorn's bare ASGI echo (uvloop, httptools): the ceiling of this stack
* ``express``       the official TypeScript SDK on Express with token, limiter and zod; it speaks the legacy
  protocol, and is measured where ``npm ci --ignore-scripts`` was run in ``bench/node``

Results: the terminal, ``bench/results/latest.json`` and ``bench/results/latest.svg`` (and ``.png``). Needs Linux and
two cores; with one core it says so, and the figures mean little.
"""
