import re
from binascii import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.ids import BASE62
from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import checksum, issue, parse, reissue
from support.clock import ManualClock

PEPPER = Pepper(b"p" * 32)


def key() -> str:
    return issue(PEPPER, ManualClock(), name="ann", servers=["orders"])[0].reveal()


def test_a_key_has_the_published_form() -> None:
    text = key()
    assert re.fullmatch(r"sk-mcpward-[0-9A-Za-z]{12}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", text)
    value = 0
    for digit in text[-6:]:
        value = value * 62 + BASE62.index(digit)
    assert value == crc32(text[:-6].encode())


@given(st.text(alphabet=BASE62, max_size=100))
def test_a_checksum_is_the_crc_in_six_base62_digits(text: str) -> None:
    value = 0
    for digit in checksum(text):
        value = value * 62 + BASE62.index(digit)
    assert (len(checksum(text)), value) == (6, crc32(text.encode()))


def test_what_is_kept_does_not_hold_the_key() -> None:
    """Attack 34."""
    secret, record = issue(PEPPER, ManualClock(), name="ann", servers=["orders"])
    text = secret.reveal()
    kept = repr({name: getattr(record, name) for name in record.__struct_fields__})
    assert text[24:67] not in kept
    assert text[24:67].encode() not in record.digest
    assert text[24:] not in f"{secret!r} {record!r}"


def test_a_key_is_read_back() -> None:
    secret, record = issue(PEPPER, ManualClock(), name="ann", servers=["orders"])
    parsed = parse(secret.reveal())
    assert parsed is not None
    assert parsed.id == record.id


def test_any_single_mistyped_character_is_noticed() -> None:
    """Attack 35: a checksum that fits no other key within one character."""
    text = key()
    for place in range(len(text)):
        for letter in (*BASE62, "_", "-", " ", "\n", "é", "²", "٣", "\0"):
            if letter != text[place]:
                assert parse(text[:place] + letter + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        str.lower,
        str.title,
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t[:-1],
        lambda t: t + "0",
        lambda t: t.replace("_", "-"),
        lambda t: t * 2,
        lambda t: t[11:],
        lambda _: "",
    ],
)
def test_a_key_has_one_spelling(change) -> None:
    text = key()
    assert parse(change(text)) is None


@given(st.text(max_size=90))
def test_no_text_from_anywhere_breaks_the_reader(text: str) -> None:
    assert parse(text) is None


def test_a_right_checksum_over_foreign_characters_is_no_key() -> None:
    body = "sk-mcpward-../../dev/nu_" + "A" * 43
    assert parse(body + checksum(body)) is None


def test_two_keys_share_nothing() -> None:
    texts = [key() for _ in range(200)]
    assert len({text[11:23] for text in texts}) == len({text[24:67] for text in texts}) == 200


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "example.com", "", "10.0.0.0/8 "])
def test_a_network_that_is_no_block_is_refused_when_the_key_is_made(network: str) -> None:
    with pytest.raises(ValueError):
        issue(PEPPER, ManualClock(), name="ann", servers=["orders"], networks=[network])


def test_a_key_for_no_server_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one server"):
        issue(PEPPER, ManualClock(), name="ann", servers=[])


def test_a_reissued_key_has_the_same_rights_and_another_secret() -> None:
    clock = ManualClock()
    secret, old = issue(
        PEPPER,
        clock,
        name="ann",
        servers=["orders"],
        tools=["a"],
        scopes=["s"],
        access=Access.WRITE,
        rate=Rate(1, 60.0, 1),
        networks=["10.0.0.0/8"],
        expires_at=clock.now() + 9,
    )
    clock.advance(1)
    fresh, new = reissue(PEPPER, clock, old)
    rights = ("name", "servers", "tools", "scopes", "access", "rate", "networks", "expires_at")
    assert [getattr(new, name) for name in rights] == [getattr(old, name) for name in rights]
    assert fresh.reveal() != secret.reveal()
    assert (new.rotated_from, new.created_at) == (old.id, old.created_at + 1)
    assert PEPPER.matches(fresh.reveal(), new.digest)
    assert not PEPPER.matches(secret.reveal(), new.digest)
