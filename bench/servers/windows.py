"""uvicorn's bare echo behind the asynchronous moving window of the package ``limits``: what such a limit adds."""

import sys

import uvicorn
from limits import parse
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

OFTEN = parse("900000000 per minute")
redis = sys.argv[1] if len(sys.argv) > 2 else ""
options = {"implementation": "redispy"} if redis else {}
limiter = MovingWindowRateLimiter(storage_from_string(f"async+{redis or 'memory://'}", **options))


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status = 200 if await limiter.hit(OFTEN, "bench") else 429
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[-1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=300,
    )
