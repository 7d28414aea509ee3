"""An identity provider as small as can be: two documents on loopback, and RS256 access tokens (RFC 9068)."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from joserfc import jwt
from joserfc.jwk import RSAKey

_LIFE_S = 3600
_KEYS = "/keys"
METADATA = "/.well-known/oauth-authorization-server"


class Issuer:
    """Issues tokens for one resource. ``url`` is its name and where its metadata lies."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._key = RSAKey.generate_key(2048, {"kid": "bench", "use": "sig", "alg": "RS256"})

    def documents(self) -> dict[str, object]:
        metadata = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": self.url + _KEYS,
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
        return {METADATA: metadata, _KEYS: {"keys": [self._key.as_dict(private=False)]}}

    def token(self, resource: str) -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": self.url,
            "sub": "bench",
            "aud": resource,
            "client_id": "bench",
            "iat": now,
            "exp": now + _LIFE_S,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": "bench"}, claims, self._key)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Serve an issuer's documents for the length of the block."""
    documents: dict[str, object] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(documents.get(self.path, {})).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        issuer = Issuer(server.server_address[1])
        documents.update(issuer.documents())
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield issuer
        finally:
            server.shutdown()
