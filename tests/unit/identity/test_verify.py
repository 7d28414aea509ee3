import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey
from msgspec.structs import replace

from mcpward.identity.jwt.algorithm import ALGORITHMS
from mcpward.identity.jwt.claims import Claims
from mcpward.identity.jwt.compact import MAX_TOKEN_BYTES
from mcpward.identity.jwt.errors import KeyUnknown, TokenRefused
from mcpward.identity.jwt.issuer_rules import ANY, IssuerRules
from mcpward.identity.jwt.key_set import KeySet
from mcpward.identity.jwt.verify import check, peek
from support.mint import AUDIENCE, CLAIMS, ISSUER, NOW, Mint, key_for, segment, text

RULES = IssuerRules(issuer=ISSUER, audience=AUDIENCE)
MINT = Mint()
KEYS = KeySet.parse(MINT.document, RULES)
HEADER, PAYLOAD = text(MINT.header), text(CLAIMS)


def judge(token: bytes, rules: IssuerRules = RULES, keys: KeySet = KEYS, now: float = NOW) -> Claims:
    return check(token, keys, rules, now)


def assert_refused(token: bytes, rules: IssuerRules = RULES, keys: KeySet = KEYS, now: float = NOW) -> str:
    """Return the detail. It must be words of our own: nothing of the token is in it."""
    with pytest.raises(TokenRefused) as refused:
        check(token, keys, rules, now)
    assert refused.value.detail.isascii()
    assert refused.value.__cause__ is None
    return refused.value.detail


def test_a_token_says_who_is_calling():
    claims = judge(MINT.token(groups=["admins", "night shift"]))
    assert (claims.issuer, claims.subject, claims.client, claims.audience) == (ISSUER, "ann", "desk", (AUDIENCE,))
    assert claims.scopes == {"orders:read", "orders:write"}
    assert claims.groups == {"admins", "night shift"}
    assert claims.expires_at == NOW + 300
    assert claims.raw["jti"] == "1"
    assert claims.key in KEYS


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_of_the_list_is_verified(algorithm: str):
    mint = Mint(algorithm)
    rules = replace(RULES, algorithms=frozenset({algorithm}))
    keys = KeySet.parse(mint.document, rules)
    token = mint.token()
    assert judge(token, rules, keys).subject == "ann"
    head, payload, signature = token.split(b".")
    other = b"A" if signature[:1] != b"A" else b"B"
    assert_refused(b".".join((head, payload, other + signature[1:])), rules, keys)
    assert_refused(b".".join((head, segment(text(CLAIMS | {"sub": "bob"})), signature)), rules, keys)


def test_a_peek_chooses_issuer_and_key_and_proves_nothing():
    peeked = peek(MINT.raw(HEADER, text(CLAIMS | {"iss": "https://evil.example"}), key=key_for("ES256", "stranger")))
    assert (peeked.issuer, peeked.header.kid, peeked.header.algorithm) == ("https://evil.example", "k1", "ES256")
    with pytest.raises(TokenRefused):
        check(peeked, KEYS, RULES, NOW)
    assert check(peek(MINT.token()), KEYS, RULES, NOW).subject == "ann"


def test_nothing_that_is_held_prints_the_token():
    token = MINT.token(email="ann@example.com")
    peeked = peek(token)
    printed = f"{peeked!r} {peeked.compact!r} {judge(token)!r}"
    assert not any(part.decode() in printed for part in token.split(b"."))
    assert "ann@example.com" not in printed


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "NONE", "", "HS256", "HS384", "HS512", "es256", "ES256 "])
@pytest.mark.parametrize("tail", [b"", b".", b".AA"])
def test_attack_1_no_algorithm_is_no_signature(name: str, tail: bytes):
    token = segment(text(MINT.header | {"alg": name})) + b"." + segment(PAYLOAD) + tail
    assert_refused(token)
    with pytest.raises(TokenRefused):
        peek(token)


@pytest.mark.parametrize("form", ["PEM", "DER", "JWK"])
def test_attack_2_a_public_key_is_no_shared_secret(form: str):
    mint = Mint("RS256")
    key = mint.key
    assert isinstance(key, RSAKey)
    spelt = {"PEM": key.as_pem(), "DER": key.as_der(), "JWK": json.dumps(mint.member).encode()}[form]
    rules = replace(RULES, algorithms=frozenset({"RS256"}))
    assert_refused(mint.hmac(spelt), rules, KeySet.parse(mint.document, rules))
    assert_refused(mint.hmac(spelt, {"alg": "RS256"}), rules, KeySet.parse(mint.document, rules))


FOREIGN_HEADERS: list[tuple[int, dict[str, Any]]] = [
    (3, {"jwk": MINT.member}),
    (4, {"jku": "http://127.0.0.1:1/keys"}),
    (4, {"x5u": "http://127.0.0.1:1/chain"}),
    (5, {"x5c": ["MIIB"]}),
    (7, {"crit": ["exp"]}),
    (7, {"crit": []}),
    (7, {"crit": "exp"}),
    (8, {"b64": False, "crit": ["b64"]}),
    (8, {"b64": True}),
    (9, {"zip": "DEF"}),
    (9, {"enc": "A256GCM"}),
    (9, {"cty": "JWT"}),
    (10, {"p2c": 2**31, "p2s": "c2FsdA"}),
    (7, {"ALG": "none"}),
    (7, {"Crit": ["exp"]}),
    (3, {"JWK": MINT.member}),
]


@pytest.mark.parametrize("attack, header", FOREIGN_HEADERS)
def test_a_header_with_a_foreign_name_is_refused(attack: int, header: dict[str, Any]):
    """Attacks 3-5 and 7-10: the signature is right each time."""
    assert "name" in assert_refused(MINT.token(header))


@pytest.mark.parametrize(
    "header", [{"pi.atm": "2"}, {"gty": ["client_credentials"]}, {"tnk": "x", "ver": 1.0}], ids=ascii
)
def test_what_a_provider_notes_in_a_header_for_itself_is_ignored(header: dict[str, Any]):
    """RFC 7515 §4: names that are not understood are ignored, unless ``crit`` has them."""
    assert judge(MINT.token(header)).subject == "ann"


def test_thumbprints_of_certificates_are_tolerated():
    assert judge(MINT.token({"x5t": "AAAA", "x5t#S256": "BBBB"})).subject == "ann"
    assert_refused(MINT.token({"x5t": ["AAAA"]}))


KIDS: list[Any] = [
    "../../dev/null", "' OR 1=1--", "k" * 10_240, "k" * 257, ["k1"], 1, True, {"k1": 1}, "k1\0", "\0", "", "k1\n",
    "K1", " k1", "k1\u200b", "http://127.0.0.1:1/key",
]  # fmt: skip


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: ascii(kid)[:24])
def test_attack_6_a_key_id_is_compared_and_nothing_else(kid: Any):
    assert_refused(MINT.raw(text(MINT.header | {"kid": kid}), PAYLOAD))


@pytest.mark.parametrize("kid", ["k" * 257, "k1\0", "\0", "", "k1\n", "k1\u200b"], ids=ascii)
def test_attack_6_what_cannot_be_a_key_id_is_not_looked_for(kid: str):
    """Else it would be asked of the provider, and noted."""
    assert "key id" in assert_refused(MINT.token({"kid": kid}))


def test_attack_6_a_key_id_that_is_null_is_refused():
    assert_refused(MINT.raw(json.dumps(MINT.header | {"kid": None}).encode(), PAYLOAD))


def test_a_token_without_a_key_id_is_verified_where_one_key_alone_can_be_meant():
    token = MINT.token({"kid": None})
    assert judge(token).subject == "ann"
    two = {"keys": [MINT.member, Mint(name="b", kid="k2").member]}
    with pytest.raises(KeyUnknown):
        judge(token, keys=KeySet.parse(two, RULES))


def test_only_a_key_that_is_missing_is_worth_another_look():
    with pytest.raises(KeyUnknown):
        judge(MINT.token({"kid": "k2"}))
    for token in (Mint("PS256").token(), MINT.token({"kid": "k2"}, iss="https://id.example.com/other")):
        with pytest.raises(TokenRefused) as refused:
            judge(token)  # k1 is known, and is for ES256; k2 is another issuer's
        assert not isinstance(refused.value, KeyUnknown)


def test_attack_8_a_detached_payload_is_refused():
    head, _, signature = MINT.token().split(b".")
    assert_refused(head + b".." + signature)


def test_attack_9_encrypted_and_nested_tokens_are_refused():
    token = MINT.token()
    assert_refused(b".".join((*token.split(b"."), b"AAAA", b"AAAA")))
    assert_refused(MINT.raw(HEADER, token))
    assert_refused(MINT.raw(text(MINT.header | {"typ": "JWE"}), PAYLOAD))


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "numbers", [(0, 0), (0, 1), (1, 0), (ORDER, ORDER), (ORDER, 1), (1, ORDER), (2**256 - 1, 2**256 - 1)]
)
def test_attack_11_numbers_out_of_range_are_no_signature(numbers: tuple[int, int]):
    head, payload, _ = MINT.token().split(b".")
    raw = b"".join(number.to_bytes(32) for number in numbers)
    assert_refused(b".".join((head, payload, segment(raw))))


def test_attack_11_a_signature_in_another_coding_or_length_is_none():
    head, payload, signature = MINT.token().split(b".")
    from joserfc.util import urlsafe_b64decode

    raw = urlsafe_b64decode(signature)
    r, s = raw[:32], raw[32:]
    parts = b"".join(b"\x02" + bytes([len(each)]) + each for each in (b"\0" + r, b"\0" + s))
    for wrong in (b"\x30" + bytes([len(parts)]) + parts, raw + b"\0", raw[:-1], b"\0" + raw, r, b"\0"):
        assert_refused(b".".join((head, payload, segment(wrong))))


@pytest.mark.parametrize("shown, allowed", [("PS256", "RS256"), ("RS256", "PS256"), ("RS512", "RS256")])
def test_attack_12_the_issuer_says_which_algorithm_is_used(shown: str, allowed: str):
    key = key_for("RS256")
    member = {name: value for name, value in Mint("RS256").member.items() if name != "alg"}
    rules = replace(RULES, algorithms=frozenset({allowed}))
    keys = KeySet.parse({"keys": [member]}, rules)
    head = text(MINT.header | {"alg": shown})
    assert "algorithm" in assert_refused(Mint("RS256").raw(head, PAYLOAD, shown, key), rules, keys)
    assert judge(Mint("RS256").raw(text(MINT.header | {"alg": allowed}), PAYLOAD, allowed, key), rules, keys)


def test_attack_12_a_key_that_is_for_one_algorithm_is_for_no_other():
    mint = Mint("RS256")
    rules = replace(RULES, algorithms=frozenset({"RS256", "PS256"}))
    keys = KeySet.parse(mint.document, rules)
    assert "signature" in assert_refused(mint.raw(text(MINT.header | {"alg": "PS256"}), PAYLOAD, "PS256"), rules, keys)


@pytest.mark.parametrize(
    "member",
    [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": []}, {"use": "enc", "key_ops": ["verify"]}, {"use": "tls"}],
)
def test_attack_13_a_key_for_something_else_verifies_nothing(member: dict[str, Any]):
    other = Mint(name="b", kid="k2")
    keys = KeySet.parse({"keys": [MINT.member | member, other.member]}, RULES)
    assert keys.kids == {"k2"}
    with pytest.raises(KeyUnknown):
        judge(MINT.token(), keys=keys)


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_attack_14_a_name_that_stands_twice_in_the_header_is_refused(name: str):
    twice = HEADER[:-1] + b", " + json.dumps({name: MINT.header[name]}).encode()[1:]
    assert json.loads(twice) == MINT.header
    assert "strict" in assert_refused(MINT.raw(twice, PAYLOAD))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "scope"])
def test_attack_14_a_name_that_stands_twice_in_the_claims_is_refused(name: str):
    twice = PAYLOAD[:-1] + b", " + json.dumps({name: CLAIMS[name]}).encode()[1:]
    assert json.loads(twice) == CLAIMS
    assert "strict" in assert_refused(MINT.raw(HEADER, twice))
    escaped = PAYLOAD[:-1] + b', "\\u00' + format(ord(name[0]), "02x").encode() + name[1:].encode() + b'": "x"}'
    assert "strict" in assert_refused(MINT.raw(HEADER, escaped))


def respelt(part: bytes) -> list[bytes]:
    """Other spellings of one base64url text, which a lax decoder takes for the same bytes."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [part + b"=" * (-len(part) % 4 or 4), part + b"\n", b" " + part, part[:4] + b"\r\n" + part[4:]]
    spellings += [part[:4] + each + part[4:] for each in (b"\t", b"*", b"\0", b"%", "é".encode(), b"=")]
    if len(part) % 4:
        last = alphabet.index(part[-1:])
        spellings.append(part[:-1] + alphabet[last + 1 : last + 2])
    for url, plain in ((b"-", b"+"), (b"_", b"/")):
        if url in part:
            spellings.append(part.replace(url, plain))
    return spellings


@pytest.mark.parametrize("place", [0, 1, 2])
def test_attack_15_there_is_one_spelling_of_a_token(place: int):
    for pad in ("", "?", "??", "~~~", "ÿÿÿ"):
        parts = Mint("EdDSA").token(jti=pad).split(b".")
        keys = KeySet.parse(Mint("EdDSA").document, RULES)
        assert judge(b".".join(parts), keys=keys)
        for other in respelt(parts[place]):
            assert_refused(b".".join((*parts[:place], other, *parts[place + 1 :])), keys=keys)


def test_attack_15_nothing_stands_around_a_token():
    token = MINT.token()
    for other in (token + b"\n", b" " + token, token + b".", b"." + token, b"Bearer " + token, token + b"=", b""):
        assert_refused(other)


def test_attack_16_a_long_token_is_refused_by_its_length():
    longest = MINT.token(pad="x" * 5_000)
    pad = (MAX_TOKEN_BYTES - len(longest)) * 3 // 4 + 5_000
    fits = MINT.token(pad="x" * (pad - 3))
    assert MAX_TOKEN_BYTES - 8 <= len(fits) <= MAX_TOKEN_BYTES
    assert judge(fits).subject == "ann"
    assert "long" in assert_refused(MINT.token(pad="x" * (pad + 8)))
    assert "long" in assert_refused(fits.ljust(MAX_TOKEN_BYTES + 1, b"A"))


def test_attack_16_a_longer_limit_is_the_operators_to_set():
    token = MINT.token(pad="x" * MAX_TOKEN_BYTES)
    assert len(token) > MAX_TOKEN_BYTES
    assert peek(token, len(token)).issuer == ISSUER
    with pytest.raises(TokenRefused, match="long"):
        peek(token, len(token) - 1)


@pytest.mark.parametrize("place", [0, 2])
def test_attack_16_a_header_or_a_signature_that_is_too_long_is_not_decoded(place: int):
    parts = MINT.token().split(b".")
    parts[place] = parts[place] + b"A" * 4 * 1024
    assert "too long to be one" in assert_refused(b".".join(parts))


TIMES: list[Any] = ["9999999999", "", True, False, [], {}, [NOW + 9], 253_402_300_799, 2**63, 1e308, NOW + 31 * 86_400]


@pytest.mark.parametrize("exp", TIMES, ids=ascii)
def test_attack_17_an_end_that_is_no_near_number_is_refused(exp: Any):
    assert_refused(MINT.token(exp=exp))


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"1e400", b"-1e400", b"null", b"true", b"0x7fffffff", b"01", b'"x"']
)
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_attack_17_a_time_that_is_no_number_of_json_is_refused(number: bytes, name: str):
    rest = {key: value for key, value in CLAIMS.items() if key != name}
    payload = json.dumps(rest).encode()[:-1] + b', "' + name.encode() + b'": ' + number + b"}"
    assert_refused(MINT.raw(HEADER, payload))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("digits", [310, 4000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_attack_17_a_time_of_more_digits_than_a_float_holds_is_refused(name: str, digits: int, sign: str):
    payload = json.dumps(CLAIMS | {name: 0}).replace(f'"{name}": 0', f'"{name}": {sign}{"9" * digits}').encode()
    assert_refused(MINT.raw(HEADER, payload))


def test_attack_17_a_token_without_an_end_is_refused():
    assert "no expiry" in assert_refused(MINT.token(exp=None))


@pytest.mark.parametrize("leeway_s", [0.0, 30.0, 60.0])
def test_attack_18_clocks_may_differ_by_the_leeway_and_no_more(leeway_s: float):
    rules = replace(RULES, leeway_s=leeway_s)
    if leeway_s:
        assert judge(MINT.token(exp=NOW - leeway_s + 1), rules)
    for name in ("nbf", "iat"):
        assert judge(MINT.token(None, **{name: NOW + leeway_s}), rules)
        assert "future" in assert_refused(MINT.token(None, **{name: NOW + leeway_s + 1}), rules)
    assert judge(MINT.token(exp=NOW + 1), rules)
    assert "expired" in assert_refused(MINT.token(exp=NOW - leeway_s), rules)
    assert "expired" in assert_refused(MINT.token(exp=NOW - leeway_s - 1), rules)
    assert "expired" in assert_refused(MINT.token(exp=-1), rules)


ISSUERS: list[Any] = [
    ISSUER + "/", ISSUER.upper(), "HTTPS" + ISSUER[5:], ISSUER[:-1], ISSUER + "2", "https://id.example.com",
    "https://id.example.com/other", ISSUER + "?", ISSUER + "#", " " + ISSUER, ISSUER + "\0", "", [ISSUER],
    {"iss": ISSUER}, 1, "https://id.example.com:443/tenant",
]  # fmt: skip


@pytest.mark.parametrize("issuer", [*ISSUERS, None], ids=ascii)
def test_attack_19_the_issuer_is_one_exact_text(issuer: Any):
    assert "issuer" in assert_refused(MINT.token(iss=issuer))


AUDIENCES: list[Any] = [
    "https://mcp.example.com/billing/mcp", "https://mcp.example.com/orders", "https://mcp.example.com",
    "https://mcp.example.com/", AUDIENCE + "/", AUDIENCE + "?a=1", AUDIENCE.upper(), "HTTPS" + AUDIENCE[5:],
    "https://mcp.example.com:443/orders/mcp", "https://mcp.example.com:8443/orders/mcp", AUDIENCE[:-1], "", "*",
    f"{AUDIENCE} https://mcp.example.com", [], [AUDIENCE, 1], [[AUDIENCE]], {AUDIENCE: 1}, 1, True, [None, AUDIENCE],
]  # fmt: skip


@pytest.mark.parametrize("audience", [*AUDIENCES, None], ids=ascii)
def test_attack_20_the_audience_is_one_exact_text(audience: Any):
    assert "audience" in assert_refused(MINT.token(aud=audience))


def test_attack_20_a_list_may_hold_others_beside_ours():
    claims = judge(MINT.token(aud=["https://mcp.example.com/billing/mcp", AUDIENCE]))
    assert claims.audience == ("https://mcp.example.com/billing/mcp", AUDIENCE)


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "id+jwt", "dpop+jwt", "at+jwt2", "x/at+jwt", "", "AT-JWT"])
def test_attack_21_a_token_that_is_not_marked_is_refused(typ: str | None):
    assert "marked" in assert_refused(MINT.token({"typ": typ}))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"])
def test_a_media_type_has_no_case_and_a_short_form(typ: str):
    assert judge(MINT.token({"typ": typ})).subject == "ann"


LAX = replace(RULES, token_type=ANY)


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt"])
def test_a_lax_provider_need_not_mark_its_tokens(typ: str | None):
    assert judge(MINT.token({"typ": typ}), LAX).subject == "ann"
    for word in ("access", "access_token"):
        assert judge(MINT.token({"typ": typ}, typ="Bearer", token_use=word), LAX).subject == "ann"


RELATIVES: list[dict[str, Any]] = [
    {"at_hash": "x"}, {"c_hash": "x"}, {"s_hash": "x"}, {"events": {}}, {"typ": "ID"}, {"typ": "Refresh"}, {"typ": 1},
    {"typ": "Logout"}, {"token_use": "id"}, {"token_use": "refresh_token"}, {"token_use": ["access"]},
]  # fmt: skip


@pytest.mark.parametrize("claims", RELATIVES, ids=ascii)
def test_attack_21_relatives_of_an_access_token_are_told_apart_where_it_is_not_marked(claims: dict[str, Any]):
    assert "kind" in assert_refused(MINT.token({"typ": "JWT"}, **claims), LAX)


@pytest.mark.parametrize("client", [{}, {"client_id": ""}, {"nonce": "n"}], ids=ascii)
def test_attack_21_a_token_that_nothing_marks_names_the_client_it_was_issued_to(client: dict[str, Any]):
    """An ID token has the same audience if a client and mcpward share a registration (Entra ID, code flow)."""
    said = {"client_id": None} | client
    assert "client" in assert_refused(MINT.token({"typ": "JWT"}, **said), LAX)
    for name in ("azp", "cid", "appid"):
        assert judge(MINT.token({"typ": "JWT"}, client_id=None, **{name: "desk"}), LAX).client == "desk"


@pytest.mark.parametrize("typ", ["dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-id-jag+jwt", "JOSE", "x/jwt"])
def test_attack_21_a_token_that_is_marked_as_something_else_is_refused_by_lax_rules_too(typ: str):
    assert "kind" in assert_refused(MINT.token({"typ": typ}), LAX)


def test_attack_22_the_key_of_another_issuer_opens_nothing():
    """The same kid at both issuers: which keys are asked is decided by the token's issuer."""
    other = Mint(name="b")
    assert "signature" in assert_refused(other.token())
    b_rules = replace(RULES, issuer="https://id.example.com/b")
    b_keys = KeySet.parse(other.document, b_rules)
    assert "issuer" in assert_refused(other.token(), b_rules, b_keys)
    assert judge(other.token(iss=b_rules.issuer), b_rules, b_keys).issuer == b_rules.issuer


@pytest.mark.parametrize("bound", [{"jkt": "x"}, {"x5t#S256": "x"}, {}, "x", []], ids=ascii)
@pytest.mark.parametrize("rules", [RULES, LAX], ids=["strict", "lax"])
def test_attack_31_a_token_that_is_bound_to_a_key_is_no_bearer_token(bound: Any, rules: IssuerRules):
    assert "bound" in assert_refused(MINT.token(cnf=bound), rules)


def test_a_claim_cannot_be_deep_or_wide():
    deep: Any = []
    for _ in range(20):
        deep = [deep]
    assert_refused(MINT.token(deep=deep))
    assert_refused(MINT.raw(HEADER, b"[" * 5_000))
    assert_refused(MINT.token(wide=[1] * 2_001))


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b'"x"', b"1", b"{}", b"\xff", b'{"iss":"\xff"}', b"\xef\xbb\xbf{}"]
)
def test_claims_are_an_object_of_strict_json(payload: bytes):
    assert_refused(MINT.raw(HEADER, payload))
    assert_refused(MINT.raw(payload or b"{}", PAYLOAD))


@given(st.binary(max_size=200))
def test_no_bytes_are_a_token(noise: bytes):
    assert_refused(noise)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "client_id", "azp", "groups", "cnf", "typ"])


@given(st.dictionaries(NAMES, JSON, min_size=1), st.sampled_from([RULES, LAX]))
def test_genuine_tokens_with_claims_of_any_form_are_judged_or_refused(claims: dict[str, Any], rules: IssuerRules):
    try:
        judged = judge(MINT.raw(HEADER, json.dumps(CLAIMS | claims).encode()), rules)
    except TokenRefused:
        return
    assert (judged.issuer, AUDIENCE in judged.audience) == (ISSUER, True)
    assert judged.subject.isprintable()
    assert judged.expires_at > NOW - 30


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_token_with_one_byte_changed_is_refused(place: int, flip: int):
    token = bytearray(MINT.token())
    token[place % len(token)] ^= flip
    assert_refused(bytes(token))
