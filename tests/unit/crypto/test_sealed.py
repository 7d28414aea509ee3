import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.sealed import SealedToken

RING = KeyRing([b"n" * 32])
TOKENS = SealedToken(RING, "session")


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_a_token_is_visible_ascii_and_opens_on_any_worker(payload: bytes, aad: bytes) -> None:
    token = TOKENS.seal(payload, aad)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert SealedToken(KeyRing([b"n" * 32]), "session").open(token, aad) == payload


@given(st.text(max_size=200))
def test_a_text_from_anywhere_is_none_of_ours(text: str) -> None:
    assert TOKENS.open(text, b"") is None


def test_another_principal_purpose_or_ring_does_not_open() -> None:
    token = TOKENS.seal(b"state", b"api-key:a")
    assert TOKENS.open(token, b"api-key:b") is None
    assert SealedToken(RING, "other").open(token, b"api-key:a") is None
    assert SealedToken(KeyRing([b"o" * 32]), "session").open(token, b"api-key:a") is None


def test_a_token_has_one_spelling() -> None:
    """Attack 15: padding, the other alphabet, spare bits, line ends and foreign characters."""
    for size in (1, 2, 3):
        token = TOKENS.seal(b"x" * size, b"")
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spellings = {token[:-1] + letter for letter in last} - {token}
        spellings |= {token + "=", token + "==", token + "\n", " " + token, token + "!", token[:9] + "\n" + token[9:]}
        spellings |= {token.replace("-", "+").replace("_", "/")} - {token}
        assert [spelling for spelling in spellings if TOKENS.open(spelling, b"") is not None] == []


def test_a_long_text_is_not_even_decoded() -> None:
    assert TOKENS.open("A" * 10_000_000, b"") is None
    with pytest.raises(ValueError, match="too long"):
        TOKENS.seal(b"x" * 4096, b"")
