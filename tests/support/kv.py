"""A KV secrets engine (version 2) as HashiCorp Vault and OpenBao document it, written from their pages: neither comes
in a package of PyPI, npm or Debian.

https://developer.hashicorp.com/vault/api-docs (headers, statuses) and …/api-docs/secret/kv/kv-v2 (reading a version).
It has only what reading needs: tokens with paths, namespaces, mounts, versions that may be deleted or destroyed, sealed
and standby.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "hvs.canary-token-of-the-manager-7d1e"


class Version:
    """One version of an entry."""

    def __init__(self, number: int, fields: dict[str, Any]) -> None:
        self.number = number
        self.fields: dict[str, Any] | None = fields
        self.deleted = ""
        self.is_destroyed = False

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "created_time": f"2026-11-01T00:00:{self.number:02}.000000000Z", "custom_metadata": None,
            "deletion_time": self.deleted, "destroyed": self.is_destroyed, "version": self.number,
        }  # fmt: skip


class Kv:
    """The engine's state, and what was asked of it. ``tokens`` are the path prefixes that each may read."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.tokens: dict[str, tuple[str, ...]] = {TOKEN: ("",)}
        self.entries: dict[tuple[str, str, str], list[Version]] = {}
        self.mounts = {("", "secret")}
        self.is_sealed = self.is_standby = self.needs_request_header = False
        self.redirect = ""
        self.status = 0
        self.delay_s = 0.0
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.lines: set[socket.socket] = set()
        self.port = port
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    # ---- what an operator of the engine does ----

    def put(self, path: str, mount: str = "secret", namespace: str = "", **fields: Any) -> None:
        versions = self.entries.setdefault((namespace, mount, path), [])
        versions.append(Version(len(versions) + 1, fields))
        self.mounts.add((namespace, mount))

    def delete(self, path: str) -> None:
        self.entries["", "secret", path][-1].deleted = "2026-11-02T00:00:00.000000000Z"

    def destroy(self, path: str) -> None:
        version = self.entries["", "secret", path][-1]
        version.fields, version.is_destroyed = None, True

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for line in tuple(self.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    # ---- reading ----

    def answer(self, target: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return status and body, checked in the order of the documented statuses."""
        if self.needs_request_header and headers.get("x-vault-request") != "true":
            return 412, {"errors": ["missing 'X-Vault-Request' header"]}
        if self.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if self.is_standby:
            return 429, {"errors": ["Vault is in standby mode"]}
        if self.status:
            return self.status, {"errors": ["1 error occurred"]}
        allowed = self.tokens.get(headers.get("x-vault-token", ""))
        path, namespace = urlsplit(target).path.removeprefix("/v1/"), headers.get("x-vault-namespace", "")
        if allowed is None or not any(path.startswith(prefix) for prefix in allowed):
            return 403, {"errors": ["permission denied"]}
        mount, _, entry = path.partition("/data/")
        if (namespace, mount) not in self.mounts:
            return 404, {"errors": [f'no handler for route "{path}". route entry not found.']}
        asked = int(parse_qs(urlsplit(target).query).get("version", ["0"])[0])
        return self._version(namespace, mount, entry, asked)

    def _version(self, namespace: str, mount: str, entry: str, asked: int) -> tuple[int, dict[str, Any]]:
        versions = self.entries.get((namespace, mount, entry), [])
        if not versions or asked > len(versions):
            return 404, {"errors": []}
        version = versions[asked - 1 if asked else -1]
        is_gone = bool(version.deleted) or version.is_destroyed
        data = {"data": None if is_gone else version.fields, "metadata": version.metadata}
        whole = {
            "request_id": "f1d1b6a0-0000-4000-8000-000000000000", "lease_id": "", "renewable": False,
            "lease_duration": 0, "data": data, "wrap_info": None, "warnings": None, "auth": None,
        }  # fmt: skip
        return (404 if is_gone else 200), whole


def _handler(kv: Kv) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            kv.lines.add(self.connection)

        def finish(self) -> None:
            kv.lines.discard(self.connection)
            super().finish()

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            kv.asked.append((self.path, headers))
            time.sleep(kv.delay_s)
            status, body = (307, {}) if kv.redirect else kv.answer(self.path, headers)
            content = json.dumps(body).encode()
            self.send_response(status)
            if kv.redirect:
                self.send_header("Location", f"{kv.redirect}{self.path}")
            self.send_header("Content-Type", "application/json")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def kv(tls: ssl.SSLContext | None = None) -> Iterator[Kv]:
    """Serve an engine until the end of the block."""
    engine = Kv(tls=tls)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
