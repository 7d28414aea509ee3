"""How a token or a set of keys is refused. The details are for the log: they never quote what was refused."""

from enum import Enum
from typing import Final

TOO_LONG: Final = "the token is too long"


class TokenRefused(Exception):
    """The token is not valid here. ``detail`` is the private reason, in our words; callers all get one answer."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class KeyUnknown(TokenRefused):
    """The token names a key that is not in the set, or none if there are several.

    The one refusal that a newer set of keys can change.
    """


class KeyDoubtful(TokenRefused):
    """The key of that name did not sign the token: it is forged, or the provider assigned the name to another key.

    A newer set of keys can change this refusal too.
    """


class Poison(Enum):
    """Why a whole set of keys is refused. The value is the name that an operator reads."""

    NOT_JSON = "not-json"
    NOT_A_KEY_SET = "not-a-key-set"
    TOO_MANY_KEYS = "too-many-keys"
    NO_USABLE_KEY = "no-usable-key"


class Unusable(Enum):
    """Why one entry of a set of keys is skipped. The value is the name that an operator reads."""

    SYMMETRIC_KEY = "symmetric-key"
    PRIVATE_KEY = "private-key"
    MALFORMED_KEY = "malformed-key"
    WEAK_KEY = "weak-key"
    OVERSIZED_KEY = "oversized-key"
    AMBIGUOUS_KID = "ambiguous-kid"
    NOT_FOR_SIGNATURES = "not-for-signatures"
    ALGORITHM_NOT_ALLOWED = "algorithm-not-allowed"


class KeyUnusable(Exception):
    """One entry of a set of keys is skipped (RFC 7517 §5). ``reason`` may be logged and shown."""

    def __init__(self, reason: Unusable) -> None:
        super().__init__(reason.value)
        self.reason = reason


class KeysRefused(Exception):
    """A set of keys is poisoned (attack 26): nothing of it is used. ``reason`` and ``detail`` may be logged and shown.

    ``detail`` names the entries, if each of them is unusable.
    """

    def __init__(self, reason: Poison, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail
