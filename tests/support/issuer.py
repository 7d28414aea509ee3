"""An authorization server in the test's own process, which says whatever a test wants, and other listeners.

For documents that no honest provider would ever publish or sign. Tokens come from :mod:`support.tokens`.
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.tokens import Mint, Signer, key_set, signer

METADATA = "/.well-known/oauth-authorization-server"
KEYS = "/jwks"


@dataclass(frozen=True)
class Document:
    """An answer. ``body`` is bytes as they are, a JSON value, or what gives one of them for the body of the request."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    delay_s: float = 0.0


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    verb: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def raw(self) -> bytes:
        """Return all of it, to look for what must not be there."""
        return f"{self.verb} {self.path}\n{dict(self.headers)}\n".encode() + self.body


class Listener:
    """An HTTP server that answers with ``documents`` by path, and keeps what it received."""

    def __init__(self, documents: Mapping[str, Document] | None = None, port: int = 0) -> None:
        self.documents: dict[str, Document] = dict(documents or {})
        self.received: list[Received] = []
        self._server = _Server(("127.0.0.1", port), self._handler())
        self.port = int(self._server.server_address[1])
        self.base = f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port: nothing listens at it from now on."""
        self._server.shutdown()
        self._server.server_close()

    def reopen(self) -> None:
        """Listen again at the same port."""
        self._server = _Server(("127.0.0.1", self.port), self._handler())
        self.start()

    def asked(self, path: str) -> int:
        """Return how often a path was asked for."""
        return Counter(one.path for one in self.received)[path]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener.received.append(Received(self.command, self.path, headers, body, time.monotonic()))
                document = listener.documents.get(self.path, Document(b"{}", 404))
                time.sleep(document.delay_s)
                said = document.body(body) if callable(document.body) else document.body
                content = said if isinstance(said, bytes) else json.dumps(said).encode()
                try:
                    self.send_response(document.status)
                    for name, value in document.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the other side had read enough

            do_GET = do_POST = do_HEAD = do_OPTIONS = answer  # noqa: N815 - the library's own names

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Log nothing of a connection that broke off: tests break many."""


class Issuer(Listener):
    """An authorization server with one signing key of each kind, or with those given."""

    def __init__(self, *keys: Signer, name: str = "") -> None:
        super().__init__()
        self.keys = keys or tuple(signer(alg, f"{name}{alg}") for alg in ("RS256", "ES256", "EdDSA"))
        self.issuer = self.base
        self.metadata = f"{self.base}{METADATA}"
        self.documents[METADATA] = Document(self.announcement())
        self.publish(*self.keys)

    def announcement(self, **changes: Any) -> dict[str, Any]:
        """Return the metadata (RFC 8414 §2)."""
        return {
            "issuer": self.issuer, "jwks_uri": f"{self.base}{KEYS}", "authorization_endpoint": f"{self.base}/auth",
            "token_endpoint": f"{self.base}/token", "introspection_endpoint": f"{self.base}/introspect",
            "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
        } | changes  # fmt: skip

    def publish(self, *keys: Signer | Mapping[str, Any]) -> None:
        """From now on these are the keys."""
        self.documents[KEYS] = Document(key_set(*keys))

    def key(self, alg: str) -> Signer:
        """Return its signing key of that kind."""
        return next(key for key in self.keys if key.alg == alg)

    def mint(self, audience: str, alg: str = "RS256", **changes: Any) -> Mint:
        """Return what makes its tokens for a resource."""
        return Mint(self.issuer, audience, self.key(alg), **changes)


class Canary:
    """A port that no code may call. It counts the callers."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/keys.json"
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Have them all answer until the end of the block."""
    for listener in listeners:
        listener.start()
    try:
        yield
    finally:
        for listener in listeners:
            listener.stop()
