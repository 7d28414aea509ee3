"""Whether a key made a signature. Joserfc implements the algorithms; its input was read strictly before."""

from typing import Final

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from mcpward.identity.jwt.compact import Compact
from mcpward.identity.jwt.public_key import PublicKey

_NEWER_NAMES: Final = {"EdDSA": "Ed25519"}  # RFC 9864: the name that means one curve only


def holds(compact: Compact, key: PublicKey) -> bool:
    """Return whether ``key`` signed ``compact``, with an algorithm that is the key's own.

    The key states its own algorithm, never the token (attacks 2, 12).
    """
    name = compact.header.algorithm
    if name not in key.algorithms:
        return False
    algorithm = JWSRegistry.algorithms[_NEWER_NAMES.get(name, name)]
    try:
        algorithm.check_key(key.material)
        return algorithm.verify(compact.signed, compact.signature, key.material)
    except (JoseError, ValueError, TypeError, OverflowError):
        return False
