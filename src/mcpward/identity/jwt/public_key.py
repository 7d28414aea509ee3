"""One public key of a provider (RFC 7517, RFC 7518 §6, RFC 8037 §2), read strictly before anything imports it."""

from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from msgspec import Struct

from mcpward.identity.jwt import algorithm, base64url
from mcpward.identity.jwt.errors import KeyUnusable, Unusable
from mcpward.identity.jwt.header import is_kid

_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_COORDINATE: Final = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}
# FIPS 186-5 §5.1 asks for more than 2^16; a long exponent would make every refused token dear.
_EXPONENTS: Final = range(65_537, 2**32)
_SMALLEST_RSA: Final = 2048
_LARGEST_RSA: Final = 8192


class PublicKey(Struct, frozen=True, eq=False):
    """A key and all that it may verify. ``thumbprint`` is its only true name (RFC 7638): providers choose kids.

    ``told`` counts how many of ``alg`` and ``use`` its entry states: of two keys with one name the one that states more
    is meant.
    """

    kid: str | None
    algorithms: frozenset[str]
    thumbprint: str
    material: Key
    told: int = 0

    def __repr__(self) -> str:
        return f"PublicKey(kid={self.kid!r}, algorithms={sorted(self.algorithms)})"


def read(member: object, allowed: frozenset[str]) -> PublicKey:
    """Read one member of ``keys``.

    Raises :class:`KeyUnusable` for an entry that cannot verify tokens: for encryption, for another operation, of a
    kind or an algorithm that is not ``allowed``, incomplete, weak, or with secret parts. RFC 7517 §5 asks to skip it.
    """
    if not isinstance(member, dict):
        raise KeyUnusable(Unusable.MALFORMED_KEY)
    _require_public(member)
    kty, curve = member["kty"], member.get("crv", "")
    named = member.get("alg")
    for text in (curve, named, member.get("use")):
        if text is not None and not isinstance(text, str):
            raise KeyUnusable(Unusable.MALFORMED_KEY)
    algorithms = algorithm.names_for(kty, "" if kty == "RSA" else curve) & allowed
    if named is not None:
        algorithms &= {named}
    if not _may_verify(member):
        raise KeyUnusable(Unusable.NOT_FOR_SIGNATURES)
    if not algorithms:
        raise KeyUnusable(Unusable.ALGORITHM_NOT_ALLOWED)
    material = _import(_parts_of(member, kty, curve))
    told = (named is not None) + (member.get("use") is not None)
    return PublicKey(member.get("kid"), algorithms, material.thumbprint(), material, told)


def _require_public(member: Mapping[str, Any]) -> None:
    kty = member.get("kty")
    if kty == "oct" or "k" in member:
        raise KeyUnusable(Unusable.SYMMETRIC_KEY)
    if not _PRIVATE.isdisjoint(member):
        raise KeyUnusable(Unusable.PRIVATE_KEY)
    if not isinstance(kty, str) or ("kid" in member and not is_kid(member["kid"])):
        raise KeyUnusable(Unusable.MALFORMED_KEY)


def _may_verify(member: Mapping[str, Any]) -> bool:
    """RFC 7517 §4.2, §4.3 (attack 13). If both are there, both must agree to it."""
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or not all(isinstance(each, str) for each in operations):
        raise KeyUnusable(Unusable.MALFORMED_KEY)
    return member.get("use", "sig") == "sig" and "verify" in operations


def _parts_of(member: Mapping[str, Any], kty: str, curve: str) -> dict[str, str | list[str]]:
    """Return the numbers of a key and nothing else: no certificate and no unknown member gets further than this."""
    if kty == "RSA":
        modulus, exponent = _number(member, "n"), _number(member, "e")
        if modulus.bit_length() < _SMALLEST_RSA or exponent not in _EXPONENTS:
            raise KeyUnusable(Unusable.WEAK_KEY)
        if modulus % 2 == 0 or exponent % 2 == 0:
            raise KeyUnusable(Unusable.MALFORMED_KEY)
        return {"kty": kty, "n": _spelt(modulus), "e": _spelt(exponent)}
    names = ("x",) if kty == "OKP" else ("x", "y")
    if any(len(_octets(member, name)) != _COORDINATE[curve] for name in names):
        raise KeyUnusable(Unusable.MALFORMED_KEY)
    return {"kty": kty, "crv": curve} | {name: member[name] for name in names}


def _octets(member: Mapping[str, Any], name: str) -> bytes:
    text = member.get(name)
    try:
        return base64url.decode(text.encode("ascii") if isinstance(text, str) else b"=")
    except ValueError:
        raise KeyUnusable(Unusable.MALFORMED_KEY) from None


def _number(member: Mapping[str, Any], name: str) -> int:
    """Return a number (RFC 7518 §2). Some libraries write a zero octet before it, as its §6.3.1.1 warns."""
    octets = _octets(member, name).removeprefix(b"\0")
    if len(octets) > _LARGEST_RSA // 8:
        raise KeyUnusable(Unusable.OVERSIZED_KEY)
    if not octets or octets[0] == 0:
        raise KeyUnusable(Unusable.MALFORMED_KEY)
    return int.from_bytes(octets)


def _spelt(number: int) -> str:
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8)).decode("ascii")


def _import(parts: dict[str, str | list[str]]) -> Key:
    kinds: dict[object, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    try:
        return kinds[parts["kty"]].import_key(parts)
    except (JoseError, ValueError):  # a point that is not on its curve, for one
        raise KeyUnusable(Unusable.MALFORMED_KEY) from None
