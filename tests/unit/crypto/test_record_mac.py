import pytest

from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.mac import RingMac
from mcpward.crypto.record_mac import MAC_BYTES, RecordMacs

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_code_depends_on_key_purpose_and_message() -> None:
    macs = RecordMacs(KeyRing([OLD]), "a")
    code = macs.mac(b"message")
    assert len(code) == MAC_BYTES
    assert code == RecordMacs(KeyRing([OLD]), "a").mac(b"message")
    others = [
        macs.mac(b"message."),
        RecordMacs(KeyRing([OLD]), "b").mac(b"message"),
        RecordMacs(KeyRing([NEW]), "a").mac(b"message"),
    ]
    assert code not in others
    assert len(set(others)) == 3


def test_the_newest_key_makes_codes_and_every_key_is_found() -> None:
    before, after = RecordMacs(KeyRing([OLD]), "a"), RecordMacs(KeyRing([NEW, OLD]), "a")
    assert after.newest != before.newest
    older = after.under(before.newest)
    assert older is not None
    assert older(b"message") == before.mac(b"message")
    assert after.mac(b"message") != before.mac(b"message")
    assert before.under(after.newest) is None


def test_what_was_sealed_opens_and_nothing_else_does() -> None:
    macs = RecordMacs(KeyRing([NEW, OLD]), "a")
    sealed = macs.seal(b"data")
    assert macs.open(sealed) == b"data"
    assert RecordMacs(KeyRing([NEW]), "a").open(sealed) == b"data"
    assert RecordMacs(KeyRing([OLD]), "a").open(sealed) is None
    assert RecordMacs(KeyRing([NEW]), "b").open(sealed) is None
    for at in range(len(sealed)):
        assert macs.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) is None
    for end in range(len(sealed)):
        assert macs.open(sealed[:end]) is None
    assert macs.open(sealed + b"\0") is None
    assert macs.open(macs.mac(b"data") + b"data") is None


def test_no_key_is_shown() -> None:
    assert repr(RecordMacs(KeyRing([OLD]), "a")) == "RecordMacs(***)"


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 200])
def test_a_message_of_any_length_has_a_code(size: int) -> None:
    assert len(RecordMacs(KeyRing([OLD]), "a").mac(b"x" * size)) == MAC_BYTES


def test_codes_are_those_that_earlier_releases_have_stored():
    ring = KeyRing([b"r" * 32, b"o" * 32])
    of_rows = "138947136bb203625f93378e8b44dca86a51ec65673c8deb0159c30395e0e47301933eca"
    assert RingMac(ring, "store mark").make(b"text").hex() == of_rows
    records = RecordMacs(ring, "traffic record")
    assert records.seal(b"text").hex() == "13894713965f6030ad7168144b991ba60cbae8e774657874"
    older = records.under(ring.ids[1])
    assert older is not None
    assert older(b"text").hex() == "d88d4a8c5a73b557a1feafd596a17269"
