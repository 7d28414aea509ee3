"""Signs tokens as an authorization server does, and as one that lies; for tests of what is made of them."""

import hmac
import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

NOW = 1_800_000_000.0
ISSUER = "https://id.example.com/tenant"
AUDIENCE = "https://mcp.example.com/orders/mcp"
CLAIMS = {
    "iss": ISSUER,
    "sub": "ann",
    "aud": AUDIENCE,
    "client_id": "desk",
    "scope": "orders:read orders:write",
    "iat": NOW - 10,
    "exp": NOW + 300,
    "jti": "1",
}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def segment(part: bytes) -> bytes:
    return urlsafe_b64encode(part).rstrip(b"=")


def key_for(algorithm: str, name: str = "a") -> Key:
    """A private key for ``algorithm``; another ``name`` gives another key."""
    return _draw(algorithm, name)


@cache
def _draw(algorithm: str, name: str) -> Key:
    if algorithm[:2] in {"RS", "PS"}:
        return RSAKey.generate_key(2048)
    if algorithm in _CURVES:
        return ECKey.generate_key(_CURVES[algorithm])
    return OKPKey.generate_key("Ed25519")


def public(key: Key, **members: Any) -> dict[str, Any]:
    """The key as a provider publishes it."""
    return dict(key.as_dict(private=False), **members)


def sign(algorithm: str, key: Key, signed: bytes) -> bytes:
    name = "Ed25519" if algorithm == "EdDSA" else algorithm  # the older name makes joserfc warn
    return JWSRegistry.algorithms[name].sign(signed, key)


class Mint:
    """One issuer with one key. Every part of a token can be said otherwise than an honest issuer would."""

    def __init__(self, algorithm: str = "ES256", name: str = "a", kid: str = "k1") -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.key = key_for(algorithm, name)

    @property
    def member(self) -> dict[str, Any]:
        return public(self.key, kid=self.kid, use="sig", alg=self.algorithm)

    @property
    def document(self) -> dict[str, Any]:
        return {"keys": [self.member]}

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": self.algorithm, "kid": self.kid, "typ": "at+jwt"}

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> bytes:
        """A token with ``claims`` changed and ``header`` names added; a value of None leaves the name out."""
        return self.raw(text(self.header | (header or {})), text(CLAIMS | claims))

    def raw(self, header: bytes, payload: bytes, algorithm: str | None = None, key: Key | None = None) -> bytes:
        """A token of these very bytes, signed for good."""
        signed = segment(header) + b"." + segment(payload)
        return signed + b"." + segment(sign(algorithm or self.algorithm, key or self.key, signed))

    def hmac(self, secret: bytes, header: dict[str, Any] | None = None) -> bytes:
        """A token whose key is a well-known text."""
        signed = segment(text(self.header | {"alg": "HS256"} | (header or {}))) + b"." + segment(text(CLAIMS))
        return signed + b"." + segment(hmac.digest(secret, signed, "sha256"))


def text(members: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()
