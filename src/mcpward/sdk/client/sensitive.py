"""Words by which a form would ask for a secret. A server must not (``client/elicitation``, form mode security)."""

import re
from itertools import pairwise
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_WORDS: Final = frozenset({
    "apikey", "credential", "credentials", "cvc", "cvv", "otp", "passcode", "passphrase", "passwd", "password",
    "passwords", "pwd", "secret", "secrets", "token", "totp",
})  # fmt: skip
_PAIRS: Final = frozenset({
    ("access", "key"), ("api", "key"), ("api", "keys"), ("card", "number"), ("credit", "card"), ("private", "key"),
    ("recovery", "code"), ("security", "code"), ("ssh", "key"),
})  # fmt: skip


def asks_for_a_secret(name: str) -> bool:
    """Return whether a field's name or title sounds like a secret: ``password``, ``apiKey``, ``card_number``, …"""
    words = [word.lower() for word in _WORD.findall(name)]
    return not _WORDS.isdisjoint(words) or any(pair in _PAIRS for pair in pairwise(words))
