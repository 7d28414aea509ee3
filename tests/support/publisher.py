"""An authorization server on the test's own event loop, as far as a resource server sees one. It stalls and dies.

For tests below HTTP that inject time. Tokens come from :mod:`support.mint`.
"""

import asyncio
import json
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from support.mint import Mint
from support.outside import Outside, http

CLIENT = ("mcp ward", "s3cret:/+ x")


class Publisher:
    """``documents`` are answered as they are; ``seen`` counts the requests by path. ``tokens`` are the opaque ones.

    While ``hold`` is there and not set, no answer is given.
    """

    def __init__(self, path: str = "") -> None:
        self._outside = Outside(self._answer)
        self._server: asyncio.Server | None = None
        self._news = asyncio.Condition()
        self.path = path
        self.seen: Counter[str] = Counter()
        self.documents: dict[str, bytes] = {}
        self.tokens: dict[str, Any] = {}
        self.hold: asyncio.Event | None = None

    @property
    def port(self) -> int:
        return self._outside.port

    @property
    def name(self) -> str:
        return self._outside.url(self.path)

    @property
    def metadata_url(self) -> str:
        return self._outside.url(f"/.well-known/oauth-authorization-server{self.path}")

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.name,
            "jwks_uri": self._outside.url("/jwks"),
            "authorization_endpoint": self._outside.url("/authorize"),
            "token_endpoint": self._outside.url("/token"),
            "introspection_endpoint": self._outside.url("/introspect"),
            "code_challenge_methods_supported": ["S256"],
        }

    def announce(self, **changed: Any) -> None:
        """Publish the metadata; a value of None leaves the name out."""
        said = {name: value for name, value in (self.metadata | changed).items() if value is not None}
        self.documents[f"/.well-known/oauth-authorization-server{self.path}"] = http(json.dumps(said).encode())

    def publish(self, *mints: Mint, **fields: Any) -> None:
        """Publish the keys of ``mints``."""
        document = {"keys": [mint.member for mint in mints]}
        self.documents["/jwks"] = http(json.dumps(document).encode(), **fields)

    @property
    def fetches(self) -> int:
        return self.seen["/jwks"]

    async def asked(self, path: str, times: int) -> None:
        """Wait until so many requests for ``path`` have come."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: self.seen[path] >= times)

    async def open(self) -> None:
        """Serve, a second time on the same port."""
        self._server = await asyncio.start_server(self._outside.serve, "127.0.0.1", self._outside.port)
        self._outside.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Refuse connections, and end those that there are."""
        if self._server is not None:
            self._server.close()
            self._outside.hang_up()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        path = request.split(b" ", 2)[1].decode()
        self.seen[path] += 1
        async with self._news:
            self._news.notify_all()
        if self.hold is not None:
            await self.hold.wait()
        answer = self.documents.get(path, http(b"", 404))
        if path == "/introspect" and path not in self.documents:
            answer = self._introspect(request)
        writer.write(answer)
        await writer.drain()

    def _introspect(self, request: bytes) -> bytes:
        """RFC 7662, section 2.3: who does not show itself as a client learns nothing."""
        head, _, body = request.partition(b"\r\n\r\n")
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        shown = tuple(fields.get(name, "") for name in ("client_id", "client_secret"))
        for line in head.decode().split("\r\n"):
            if line.lower().startswith("authorization: basic "):
                shown = tuple(map(unquote_plus, b64decode(line.split(" ")[2]).decode().split(":")))
        if shown != CLIENT:
            return http(b'{"error": "invalid_client"}', 401)
        return http(json.dumps(self.tokens.get(fields["token"], {"active": False})).encode())


@asynccontextmanager
async def publisher(path: str = "") -> AsyncIterator[Publisher]:
    """Serve metadata and one key until the block ends."""
    there = Publisher(path)
    await there.open()
    there.announce()
    there.publish(Mint())
    try:
        yield there
    finally:
        if there.hold is not None:
            there.hold.set()
        await there.die()
        await asyncio.sleep(0)
