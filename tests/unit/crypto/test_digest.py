import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.crypto.digest import Pepper, fingerprint

KEY, OLD = b"k" * 32, b"o" * 32


@given(st.binary(min_size=32, max_size=64), st.text(max_size=300))
def test_a_digest_is_hmac_sha256_under_the_pepper(key: bytes, text: str) -> None:
    assert Pepper(key).digest(text) == hmac.digest(key, text.encode(), "sha256")


def test_rfc_4231_case_2_holds_for_a_padded_key() -> None:
    # RFC 4231 §4.3: HMAC pads a short key with zeros, so "Jefe" and its padded form are one key.
    pepper = Pepper(b"Jefe".ljust(32, b"\0"))
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert pepper.digest("what do ya want for nothing?").hex() == expected


def test_a_digest_without_the_pepper_proves_nothing() -> None:
    """Attack 34: an attacker with the dump but without the pepper cannot check a guess."""
    digest = Pepper(KEY).digest("text")
    assert digest != hashlib.sha256(b"text").digest()
    assert not Pepper(OLD).matches("text", digest)


def test_only_the_same_text_matches() -> None:
    pepper = Pepper(KEY)
    digest = pepper.digest("text")
    assert pepper.matches("text", digest)
    assert not pepper.matches("texu", digest)
    assert not pepper.matches("text", digest[:-1])
    assert not pepper.matches("text", b"")


def test_what_an_older_pepper_made_still_matches() -> None:
    ring = Pepper(KEY, OLD)
    assert ring.matches("text", Pepper(OLD).digest("text"))
    assert ring.matches("text", Pepper(KEY).digest("text"))
    assert ring.digest("text") == Pepper(KEY).digest("text")


def test_a_short_pepper_is_no_pepper() -> None:
    for keys in ((b"",), (b"k" * 31,), (KEY, b""), (b"k" * 65,)):
        with pytest.raises(ValueError, match="32 to 64 bytes"):
            Pepper(*keys)


def test_a_pepper_is_not_printed() -> None:
    assert "k" * 8 not in f"{Pepper(KEY)!r} {Pepper(KEY)}"


def test_a_fingerprint_is_the_same_wherever_the_key_is_and_another_under_another_key():
    here, there, elsewhere = fingerprint(b"a" * 32), fingerprint(b"a" * 32), fingerprint(b"b" * 32)
    assert here(b"text") == there(b"text")
    assert len(here(b"text")) == 32
    assert len({here(b"text"), elsewhere(b"text"), here(b"texts"), here(b"")}) == 4


def test_a_fingerprint_needs_a_whole_key():
    for size in (0, 31, 65):
        with pytest.raises(ValueError, match="32 to 64"):
            fingerprint(b"a" * size)
