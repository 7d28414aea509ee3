"""How a token or a set of keys is refused. The details are for the log: they never quote what was refused."""

from enum import Enum


class TokenRefused(Exception):
    """The token is not good here. ``detail`` says why, in words of our own: private, and the same answer for all."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class KeyUnknown(TokenRefused):
    """The token names a key that is not in the set, or none where there are several.

    The one refusal that a newer set of keys can change.
    """


class Poison(Enum):
    """Why a whole set of keys is refused. The value is the name that an operator reads."""

    NOT_JSON = "not-json"
    NOT_A_KEY_SET = "not-a-key-set"
    TOO_MANY_KEYS = "too-many-keys"
    SYMMETRIC_KEY = "symmetric-key"
    PRIVATE_KEY = "private-key"
    DUPLICATE_KID = "duplicate-kid"
    MALFORMED_KEY = "malformed-key"
    WEAK_KEY = "weak-key"
    OVERSIZED_KEY = "oversized-key"
    NO_USABLE_KEY = "no-usable-key"


class KeysRefused(Exception):
    """A set of keys is poisoned (attack 26): nothing of it is used. ``reason`` may be logged and shown."""

    def __init__(self, reason: Poison) -> None:
        super().__init__(reason.value)
        self.reason = reason
