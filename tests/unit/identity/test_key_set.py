import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from msgspec.structs import replace

from mcpward.identity.jwt import base64url, public_key
from mcpward.identity.jwt.algorithm import ALGORITHMS
from mcpward.identity.jwt.errors import KeysRefused, Poison, Unusable
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.key_set import MAX_KEYS, KeySet
from support.mint import AUDIENCE, ISSUER, Mint, key_for, public, segment

RULES = IssuerRules(issuer=ISSUER, audience=AUDIENCE, algorithms=frozenset(ALGORITHMS))
EC, RSA, ED = Mint("ES256").member, Mint("RS256", kid="k2").member, Mint("EdDSA", kid="k3").member


def number(value: int) -> str:
    return segment(value.to_bytes((value.bit_length() + 7) // 8)).decode()


def assert_poisoned(document: Any, reason: Poison, rules: IssuerRules = RULES) -> None:
    with pytest.raises(KeysRefused) as refused:
        KeySet.parse(document, rules)
    assert refused.value.reason is reason
    assert str(refused.value) == reason.value


def assert_skipped(member: Any, reason: Unusable, beside: Any = None) -> None:
    """The entry is skipped by name; the key beside it goes on; alone it is no set of keys."""
    good = beside or Mint("ES384", kid="good").member
    for members in ([good, member], [member, good]):
        keys = KeySet.parse({"keys": members}, RULES)
        assert keys.kids == {good["kid"]}
        assert [one.reason for one in keys.skipped] == [reason.value]
    with pytest.raises(KeysRefused) as refused:
        KeySet.parse({"keys": [member]}, RULES)
    assert refused.value.reason is Poison.NO_USABLE_KEY
    assert reason.value in refused.value.detail


def without(member: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in member.items() if name not in names}


def test_a_document_gives_its_keys_by_name_and_by_thumbprint():
    keys = KeySet.parse(json.dumps({"keys": [EC, RSA, ED], "more": 1}).encode(), RULES)
    assert (len(keys), keys.kids) == (3, {"k1", "k2", "k3"})
    key = keys.find("k1")
    assert key is not None
    assert key.algorithms == {"ES256"}
    assert key.thumbprint in keys
    assert keys.find("K1") is None
    assert "" not in keys
    assert (repr(keys), repr(key)) == ("KeySet(kids=['k1', 'k2', 'k3'])", "PublicKey(kid='k1', algorithms=['ES256'])")


def test_a_thumbprint_names_the_key_and_not_what_the_provider_calls_it():
    """So a token that was verified before is known to be good or not when a kid gets another key."""
    before = KeySet.parse({"keys": [EC]}, RULES).find("k1")
    renamed = KeySet.parse({"keys": [EC | {"kid": "k9"}]}, RULES)
    replaced = KeySet.parse(Mint(name="b").document, RULES)
    assert before is not None
    assert before.thumbprint in renamed
    assert before.thumbprint not in replaced


def test_a_key_that_names_no_algorithm_takes_those_of_its_kind_that_the_issuer_may_use():
    rules = replace(RULES, algorithms=frozenset({"RS256", "PS256", "ES384"}))
    key = KeySet.parse({"keys": [without(RSA, "alg", "use")]}, rules).find("k2")
    assert key is not None
    assert key.algorithms == {"RS256", "PS256"}


def test_the_only_key_for_an_algorithm_is_found_without_a_name():
    nameless = KeySet.parse({"keys": [without(EC, "kid"), RSA]}, RULES)
    key = nameless.only("ES256")
    assert key is not None
    assert key.kid is None
    assert nameless.only("ES384") is None
    assert KeySet.parse({"keys": [EC, Mint(name="b", kid="k9").member]}, RULES).only("ES256") is None


@pytest.mark.parametrize("member", [{"use": "enc"}, {"use": "sig", "key_ops": ["encrypt"]}], ids=ascii)
def test_attack_13_a_key_for_something_else_is_skipped(member: dict[str, Any]):
    assert_skipped(RSA | member, Unusable.NOT_FOR_SIGNATURES)


@pytest.mark.parametrize(
    "member",
    [{"alg": "RSA-OAEP"}, {"alg": "HS256"}, {"alg": "none"}, {"alg": "ES256"}, {"kty": "AKP"}, {"kty": "rsa"}],
    ids=ascii,
)
def test_a_key_of_a_kind_that_is_not_allowed_is_skipped(member: dict[str, Any]):
    assert_skipped(RSA | member, Unusable.ALGORITHM_NOT_ALLOWED)


@pytest.mark.parametrize("curve", ["X25519", "Ed448", "secp256k1", "p-256", "P-256 "])
def test_a_key_on_another_curve_is_passed_over(curve: str):
    assert KeySet.parse({"keys": [RSA, EC | {"crv": curve}, ED | {"crv": curve}]}, RULES).kids == {"k2"}


def test_a_zero_octet_before_a_number_says_nothing():
    """RFC 7518 §6.3.1.1: some libraries write one."""
    octets = base64url.decode(RSA["n"].encode())
    padded = RSA | {"n": base64url.encode(b"\0" + octets).decode(), "e": "AAEAAQ"}
    assert public_key.read(padded, RULES.algorithms).thumbprint == public_key.read(RSA, RULES.algorithms).thumbprint


def test_what_a_provider_adds_to_a_key_is_not_looked_at():
    """Certificates least of all: ``x5c`` is what Entra ID, Auth0 and Keycloak publish beside the numbers."""
    more = {"x5c": ["not a certificate"], "x5t": "AAAA", "x5u": "http://127.0.0.1:1/", "issuer": "x", "nbf": 1}
    assert KeySet.parse({"keys": [RSA | more]}, RULES).kids == {"k2"}


DOCUMENTS: list[tuple[Any, Poison]] = [
    (b"", Poison.NOT_JSON),
    (b"<html>", Poison.NOT_JSON),
    (b'{"keys": [], "keys": []}', Poison.NOT_JSON),
    (b'{"keys": ' + b"[" * 50 + b"]" * 50 + b"}", Poison.NOT_JSON),
    (b'{"keys": [' + b"1," * 20_000 + b"1]}", Poison.NOT_JSON),
    (b"[]", Poison.NOT_A_KEY_SET),
    (None, Poison.NOT_A_KEY_SET),
    ({}, Poison.NOT_A_KEY_SET),
    ({"keys": {}}, Poison.NOT_A_KEY_SET),
    ({"keys": None}, Poison.NOT_A_KEY_SET),
    (EC, Poison.NOT_A_KEY_SET),
    ({"keys": []}, Poison.NO_USABLE_KEY),
    ({"keys": [EC | {"kid": f"k{n}"} for n in range(MAX_KEYS + 1)]}, Poison.TOO_MANY_KEYS),
    ({"keys": [EC | {"kid": f"k{n}"} for n in range(10_000)]}, Poison.TOO_MANY_KEYS),
]


@pytest.mark.parametrize("document, reason", DOCUMENTS, ids=map(str, range(len(DOCUMENTS))))
def test_attack_26_a_document_that_is_not_fit_is_refused_by_name(document: Any, reason: Poison):
    assert_poisoned(document, reason)


def test_a_hundred_keys_are_not_too_many():
    members = [EC | {"kid": f"k{n}"} for n in range(MAX_KEYS)]
    assert len(KeySet.parse({"keys": members}, RULES).kids) == MAX_KEYS


@pytest.mark.parametrize(
    "member", [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}, RSA | {"k": "c2VjcmV0"}], ids=["oct", "k beside numbers"]
)
def test_attack_26_a_symmetric_key_verifies_nothing(member: dict[str, Any]):
    assert_skipped(member, Unusable.SYMMETRIC_KEY)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_attack_26_a_key_whose_secret_part_is_published_verifies_nothing(algorithm: str):
    private = dict(key_for(algorithm).as_dict(private=True), kid="p")
    assert_skipped(private, Unusable.PRIVATE_KEY)
    assert_skipped(private | {"use": "enc"}, Unusable.PRIVATE_KEY)


def test_a_key_that_is_published_twice_is_one_key():
    keys = KeySet.parse({"keys": [EC, EC | {"x5t": "AAAA"}]}, RULES)
    assert (len(keys), keys.skipped) == (1, ())
    nameless = KeySet.parse({"keys": [without(EC, "kid"), EC]}, RULES)
    assert nameless.only("ES256") is not None


def test_two_keys_of_one_name_are_told_apart_by_their_algorithm():
    keys = KeySet.parse(
        {"keys": [EC, RSA | {"kid": "k1"}, RSA | {"kid": "k1", "use": "enc", "alg": "RSA-OAEP"}]}, RULES
    )
    found = [keys.find("k1", name) for name in ("ES256", "RS256", "PS256")]
    assert [key and key.algorithms for key in found] == [{"ES256"}, {"RS256"}, None]
    assert [one.reason for one in keys.skipped] == ["not-for-signatures"]


def test_of_two_keys_of_one_name_the_one_that_says_what_it_is_for_is_meant():
    silent = without(Mint("RS256", name="b", kid="k2").member, "alg", "use")
    keys = KeySet.parse({"keys": [silent, RSA]}, RULES)
    named = keys.find("k2", "RS256")
    other = keys.find("k2", "PS256")
    assert named is not None
    assert other is not None
    assert named.thumbprint == KeySet.parse({"keys": [RSA]}, RULES).find("k2").thumbprint  # type: ignore[union-attr]  # a key that is not found fails the test
    assert other.thumbprint != named.thumbprint
    assert [str(one) for one in keys.skipped] == ["'k2': ambiguous-kid"]


def test_attack_26_two_keys_of_one_name_that_nothing_tells_apart_are_both_refused_and_no_other():
    other = Mint("ES256", name="b", kid="k1").member
    keys = KeySet.parse({"keys": [EC, RSA, other]}, RULES)
    assert keys.kids == {"k2"}
    assert [str(one) for one in keys.skipped] == ["'k1': ambiguous-kid"]
    assert_poisoned({"keys": [EC, other]}, Poison.NO_USABLE_KEY)


def test_what_is_skipped_is_named_in_ascii_and_shortened():
    odd = [{"kty": "EC", "kid": "é\n" + "k" * 300}, 7, {"kty": 1, "kid": ["x"]}]
    keys = KeySet.parse({"keys": [*odd, RSA]}, RULES)
    assert [one.name for one in keys.skipped] == [ascii("é\n" + "k" * 62), "entry 2", "entry 3"]


MALFORMED: list[Any] = [
    None, [], "k", 1,
    without(EC, "kty"), EC | {"kty": 1}, EC | {"kty": ["EC"]},
    EC | {"kid": 1}, EC | {"kid": ""}, EC | {"kid": None}, EC | {"kid": "k" * 257}, EC | {"kid": "k\n"},
    EC | {"kid": []},
    EC | {"alg": 1}, EC | {"alg": ["ES256"]}, EC | {"use": 1}, EC | {"use": ["sig"]},
    EC | {"key_ops": "verify"}, EC | {"key_ops": [1]}, EC | {"key_ops": None}, EC | {"crv": 1}, EC | {"crv": ["P-256"]},
    without(EC, "x"), without(EC, "y"), EC | {"x": 1}, EC | {"x": ""}, EC | {"x": EC["x"] + "="}, EC | {"x": "é"},
    EC | {"x": EC["x"][:-2]}, EC | {"x": "AAAA" + EC["x"]}, EC | {"y": EC["x"]},
    EC | {"x": segment(bytes(32)).decode(), "y": segment(bytes(32)).decode()},
    ED | {"x": ED["x"][:-2]}, ED | {"x": EC["x"] + "AAAA"}, without(ED, "x"),
    without(RSA, "n"), without(RSA, "e"), RSA | {"n": 1}, RSA | {"e": 65537}, RSA | {"n": ""},
    RSA | {"n": "AA" + RSA["n"]}, RSA | {"e": "AAABAAE"}, RSA | {"n": RSA["n"] + "="}, RSA | {"n": RSA["n"] + "\n"},
    RSA | {"n": number(2**2047)}, RSA | {"e": number(65_538)},
]  # fmt: skip


@pytest.mark.parametrize("member", MALFORMED, ids=map(str, range(len(MALFORMED))))
def test_attack_26_an_entry_without_the_form_of_a_key_is_skipped(member: Any):
    assert_skipped(member, Unusable.MALFORMED_KEY)


WEAK: list[tuple[dict[str, Any], Unusable]] = [
    ({"n": number(2**1023 + 1)}, Unusable.WEAK_KEY),
    ({"n": number(2**2046 + 1)}, Unusable.WEAK_KEY),
    ({"n": number(15)}, Unusable.WEAK_KEY),
    ({"e": number(1)}, Unusable.WEAK_KEY),
    ({"e": number(3)}, Unusable.WEAK_KEY),
    ({"e": number(2**32 + 1)}, Unusable.WEAK_KEY),
    ({"e": number(2**2000 + 1)}, Unusable.WEAK_KEY),
    ({"n": number(2**8192 + 1)}, Unusable.OVERSIZED_KEY),
    ({"n": number(2**16_383 + 1)}, Unusable.OVERSIZED_KEY),
    ({"e": number(2**16_383 + 1)}, Unusable.OVERSIZED_KEY),
]


@pytest.mark.parametrize("numbers, reason", WEAK, ids=map(str, range(len(WEAK))))
def test_attack_26_a_key_with_numbers_that_are_too_small_or_too_large_is_skipped(
    numbers: dict[str, Any], reason: Unusable
):
    assert_skipped(RSA | numbers, reason)


@pytest.mark.parametrize("bits", [2048, 8192])
def test_the_smallest_and_the_largest_rsa_keys_are_taken(bits: int):
    member = RSA | {"n": number(2 ** (bits - 1) + 1)}  # whether a modulus has two factors only its owner can know
    assert KeySet.parse({"keys": [member]}, RULES).kids == {"k2"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["EC", "RSA", "OKP", "P-256"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "k"]), JSON, max_size=6
)


def test_one_key_may_be_published_once_for_each_of_its_algorithms():
    keys = KeySet.parse({"keys": [RSA, RSA | {"alg": "PS256", "kid": "k4"}]}, RULES)
    assert [key.algorithms for key in map(keys.find, ("k2", "k4")) if key is not None] == [{"RS256"}, {"PS256"}]


@given(st.sampled_from([EC, RSA, ED]), MEMBERS)
def test_a_key_of_any_form_is_read_passed_over_or_refused(member: dict[str, Any], changes: dict[str, Any]):
    try:
        keys = KeySet.parse({"keys": [member | changes]}, RULES)
    except KeysRefused:
        return
    assert len(keys) == 1


def test_a_provider_s_rotation_keeps_both_keys():
    old, new = Mint(name="a", kid="old"), Mint(name="b", kid="new")
    assert KeySet.parse({"keys": [new.member, old.member]}, RULES).kids == {"old", "new"}


def test_only_the_curve_of_signatures_is_taken_of_its_family():
    exchange = public(OKPKey.generate_key("X25519"), kid="x")
    assert KeySet.parse({"keys": [ED, exchange]}, RULES).kids == {"k3"}
