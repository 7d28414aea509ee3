import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from mcpward.crypto.aead import Aead, SealRefused
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing

NEW, OLD = KeyRing([b"n" * 32]), KeyRing([b"o" * 32])
BOTH = KeyRing([b"n" * 32, b"o" * 32])
# Cases of Wycheproof that the envelope does not offer: other nonce, key and tag sizes.
VECTORS = Path(__file__).parents[2] / "corpora/wycheproof/aes_gcm_test.json"


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_what_was_sealed_opens_again(plain: bytes, aad: bytes) -> None:
    assert Envelope(NEW).open(Envelope(NEW).seal(plain, aad), aad) == plain


def test_the_newest_key_seals_and_all_open() -> None:
    assert Envelope(BOTH).open(Envelope(OLD).seal(b"value", b""), b"") == b"value"
    assert Envelope(NEW).open(Envelope(BOTH).seal(b"value", b""), b"") == b"value"
    with pytest.raises(SealRefused):
        Envelope(OLD).open(Envelope(BOTH).seal(b"value", b""), b"")


def test_other_associated_data_does_not_open() -> None:
    """Attack 87: a blob moved to another place."""
    envelope = Envelope(NEW)
    blob = envelope.seal(b"value", b"here")
    for aad in (b"", b"there", b"her", b"here "):
        with pytest.raises(SealRefused):
            envelope.open(blob, aad)


def test_another_purpose_does_not_open() -> None:
    with pytest.raises(SealRefused):
        Envelope(NEW, "a").open(Envelope(NEW, "b").seal(b"value", b""), b"")


def test_no_bit_can_be_changed() -> None:
    """Attack 88: version, key id, nonce, ciphertext and tag."""
    envelope = Envelope(BOTH)
    blob = envelope.seal(b"value", b"aad")
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealRefused):
            envelope.open(bytes(changed), b"aad")


def test_the_key_id_of_another_key_of_the_ring_does_not_open() -> None:
    blob = Envelope(NEW).seal(b"value", b"")
    with pytest.raises(SealRefused):
        Envelope(BOTH).open(blob[:1] + bytes.fromhex(OLD.ids[0]) + blob[5:], b"")


def test_no_part_of_a_blob_opens() -> None:
    envelope = Envelope(NEW)
    blob = envelope.seal(b"value", b"")
    for length in range(len(blob)):
        with pytest.raises(SealRefused):
            envelope.open(blob[:length], b"")
    with pytest.raises(SealRefused):
        envelope.open(blob + b"\0", b"")


@pytest.mark.slow
def test_attack_89_a_million_seals_use_a_million_nonces() -> None:
    seal = Envelope(NEW).seal
    assert len({seal(b"", b"")[5:17] for _ in range(1_000_000)}) == 1_000_000


def test_a_refusal_says_the_same_for_every_cause() -> None:
    envelope, texts = Envelope(NEW), set()
    for blob in (b"", b"\x02" + b"0" * 40, envelope.seal(b"v", b"x"), envelope.seal(b"v", b"")[:-1]):
        with pytest.raises(SealRefused) as refused:
            envelope.open(blob, b"")
        texts.add(str(refused.value))
        assert refused.value.__cause__ is None
    assert len(texts) == 1


def vectors() -> list[dict[str, Any]]:
    groups = json.loads(VECTORS.read_text())["testGroups"]
    mine = [group for group in groups if (group["ivSize"], group["keySize"], group["tagSize"]) == (96, 256, 128)]
    return [test for group in mine for test in group["tests"]]


def test_what_seals_agrees_with_wycheproof() -> None:
    """Every vector of the sizes in use: the valid ones open, all others are refused."""
    seen = {"valid": 0, "invalid": 0}
    for vector in vectors():
        one, aad = Aead(bytes.fromhex(vector["key"])), bytes.fromhex(vector["aad"])
        sealed = bytes.fromhex(vector["iv"] + vector["ct"] + vector["tag"])
        seen[vector["result"]] += 1
        if vector["result"] == "valid":
            assert one.open(sealed, aad) == bytes.fromhex(vector["msg"])
        else:
            with pytest.raises(SealRefused):
                one.open(sealed, aad)
    assert seen["valid"] >= 30
    assert seen["invalid"] >= 20


def test_the_envelope_is_that_cipher_with_its_head_before_the_associated_data() -> None:
    """An independent reading of the documented form."""
    blob = Envelope(NEW, "p").seal(b"value", b"aad")
    head, nonce, sealed = blob[:5], blob[5:17], blob[17:]
    assert head == b"\x01" + bytes.fromhex(NEW.ids[0])
    assert AESGCM(NEW.derive("p")).decrypt(nonce, sealed, head + b"aad") == b"value"
