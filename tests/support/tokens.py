"""Access tokens and key sets as a provider, or an attacker, would write them: by hand, byte by byte.

Written only with ``cryptography``, not with the library that checks tokens in mcpward: two that share a mistake would
agree.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


#: A claim or header field with this value is left out.
class _Absent:
    """Stands for a member that is left out. Test names hold its word, which is the same in every process."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()
_COORDINATE = {256: 32, 384: 48, 521: 66}
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def b64(raw: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(value: int, length: int | None = None) -> str:
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class Signer:
    """A private key with its name, and the algorithm that it signs with."""

    alg: str
    kid: str
    key: Private

    def sign(self, message: bytes) -> bytes:
        """Sign as RFC 7518 §3 and RFC 8037 say."""
        key = self.key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(message)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            size = _COORDINATE[key.curve.key_size]
            digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
            r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.alg.startswith("PS"):
            return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def public(self, **changes: Any) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 7517), with fields added, or left out by ``ABSENT``."""
        return _without_absent({"kid": self.kid, "use": "sig", "alg": self.alg, **_public(self.key)} | changes)

    def private(self) -> dict[str, Any]:
        """Return the whole key as a JWK, without an algorithm of its own: for the provider to sign with."""
        return {"kid": self.kid, "use": "sig", **_public(self.key), **_secret(self.key)}

    def pem(self) -> bytes:
        """Return the public half as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def der(self) -> bytes:
        """Return the public half as DER."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.DER, form)


def _public(key: Private) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point, size = key.public_key().public_numbers(), _COORDINATE[key.curve.key_size]
        return {
            "kty": "EC", "crv": {32: "P-256", 48: "P-384", 66: "P-521"}[size],
            "x": _number(point.x, size), "y": _number(point.y, size),
        }  # fmt: skip
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}


def _secret(key: Private) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        own = key.private_numbers()
        names = {"d": own.d, "p": own.p, "q": own.q, "dp": own.dmp1, "dq": own.dmq1, "qi": own.iqmp}
        return {name: _number(value) for name, value in names.items()}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"d": _number(key.private_numbers().private_value, _COORDINATE[key.curve.key_size])}
    raw, none = serialization.Encoding.Raw, serialization.NoEncryption()
    return {"d": b64(key.private_bytes(raw, serialization.PrivateFormat.Raw, none))}


@cache
def signer(alg: str = "RS256", kid: str = "", *, bits: int = 2048) -> Signer:
    """Return the signer of that name: the same key in the whole run, another for another name."""
    return Signer(alg, kid or f"key-{alg}", _make(alg, bits))


def _make(alg: str, bits: int) -> Private:
    curves: dict[str, type[ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1]] = {
        "ES256": ec.SECP256R1,
        "ES384": ec.SECP384R1,
        "ES512": ec.SECP521R1,
    }
    if alg in curves:
        return ec.generate_private_key(curves[alg]())
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def hmac_signature(secret: bytes, message: bytes) -> bytes:
    """Sign with HS256."""
    return hmac.digest(secret, message, hashlib.sha256)


@dataclass(frozen=True)
class Mint:
    """Makes tokens of one issuer for one resource: a good one, or one with something changed."""

    issuer: str
    audience: str
    signer: Signer
    subject: str = "ada"
    client: str = "test-client"
    scope: str = "demo:read"

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a good token (RFC 9068 §2.1), changed."""
        return _without_absent({"typ": "at+jwt", "alg": self.signer.alg, "kid": self.signer.kid} | changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token (RFC 9068 §2.2), changed."""
        now = int(time.time())
        good = {
            "iss": self.issuer, "sub": self.subject, "aud": self.audience, "client_id": self.client, "iat": now,
            "exp": now + 300, "jti": b64(hashlib.sha256(str(time.perf_counter_ns()).encode()).digest()[:12]),
            "scope": self.scope,
        }  # fmt: skip
        return _without_absent(good | changes)

    def token(self, header: Any = None, claims: Any = None, *, by: Signer | None = None, **changed: Any) -> str:
        """Return a token. ``header`` and ``claims`` are values or the very bytes; ``changed`` are single claims."""
        head = self.header() if header is None else header
        body = self.claims(**changed) if claims is None else claims
        signing = signing_input(head, body)
        return f"{signing}.{b64((by or self.signer).sign(signing.encode()))}"

    def headed(self, **changes: Any) -> str:
        """Return a token that is well signed under a changed header."""
        return self.token(header=self.header(**changes))


def signing_input(header: Any, claims: Any) -> str:
    """Return what is signed: both parts, encoded."""
    return f"{b64(_encoded(header))}.{b64(_encoded(claims))}"


def _encoded(part: Any) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()


def _without_absent(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not ABSENT}


def key_set(*keys: Signer | Mapping[str, Any]) -> dict[str, Any]:
    """Return a JWK set of public keys."""
    return {"keys": [key.public() if isinstance(key, Signer) else dict(key) for key in keys]}
