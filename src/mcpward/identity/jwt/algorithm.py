"""The signature algorithms that a token may use, and the keys that each of them takes (RFC 7518 §3.1, RFC 8037).

Asymmetric only. ``none`` and the HMAC family are not in the table, so no configuration can name them (attacks 1, 2).
"""

from typing import Final

from msgspec import Struct


class Algorithm(Struct, frozen=True):
    """The type of key that the algorithm takes; ``curve`` is empty for RSA."""

    name: str
    kty: str
    curve: str = ""


_ALL: Final = (
    Algorithm("RS256", "RSA"),
    Algorithm("RS384", "RSA"),
    Algorithm("RS512", "RSA"),
    Algorithm("PS256", "RSA"),
    Algorithm("PS384", "RSA"),
    Algorithm("PS512", "RSA"),
    Algorithm("ES256", "EC", "P-256"),
    Algorithm("ES384", "EC", "P-384"),
    Algorithm("ES512", "EC", "P-521"),
    Algorithm("EdDSA", "OKP", "Ed25519"),
    Algorithm("Ed25519", "OKP", "Ed25519"),  # RFC 9864: the same algorithm under its newer name
)
ALGORITHMS: Final = {algorithm.name: algorithm for algorithm in _ALL}
#: All of them: the key determines a token's algorithm, and so does the operator if a provider uses only one.
DEFAULT: Final = frozenset(ALGORITHMS)


def names_for(kty: str, curve: str) -> frozenset[str]:
    """Return the names of the algorithms that take a key of this type and curve; none of them: an empty set."""
    return frozenset(each.name for each in _ALL if (each.kty, each.curve) == (kty, curve))
