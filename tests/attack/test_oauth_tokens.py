"""Forged, bent, stale and misdirected access tokens, against the shipped process: attacks 1-22 and 31.

Sources: RFC 8725 (JWT best practices), RFC 9068 §4, RFC 8707; CVE-2015-9235 (alg none and HS256), CVE-2018-0114 (jwk),
CVE-2022-21449 (ECDSA zeros), CVE-2023-52428 (p2c), CVE-2024-33663 (key confusion).

Every refusal must be byte for byte the answer to nonsense. For each way of spoiling a token, the good token beside it
is let in: otherwise a refusal would prove nothing.
"""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from support.certificate import certificate
from support.guarded import Door, guarded, issuers, oauth_server
from support.issuer import Canary, Issuer, listening
from support.load import cpu_s, memory_bytes
from support.raw import connect, listen
from support.tokens import ABSENT, Mint, Signer, b64, hmac_signature, signer, signing_input, unb64
from support.ward import LAVISH

ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
#: More than any clock of this test can be wrong, less than what is tested.
SLACK_S = 3


class House:
    """``demo`` trusts three issuers of which two call their keys alike, ``other`` only the first of them."""

    def __init__(self, demo: Door, other: Door, main: Issuer, rival: Issuer, narrow: Issuer) -> None:
        self.demo, self.other = demo, other
        self.main, self.rival, self.narrow = main, rival, narrow
        self.refused = demo.require_refused

    def mint(self, alg: str = "RS256", **changes: Any) -> Mint:
        return self.main.mint(self.demo.resource, alg, **changes)

    def signed(self, header: dict[str, Any] | bytes, **claims: Any) -> str:
        """A token under the main issuer's own signature, with a header as given."""
        return self.mint().token(header=header, **claims)


def same_names() -> tuple[Signer, ...]:
    """An attacker's keys that are named as the main issuer's are."""
    return tuple(Signer(alg, alg, signer(alg, f"rival-{alg}").key) for alg in ("RS256", "ES256", "EdDSA"))


@pytest.fixture(scope="module")
def _house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    main, rival, narrow = Issuer(), Issuer(*same_names()), Issuer(name="narrow-")
    # Its RSA key does not say what it is for, so that only the configuration can.
    narrow.publish(narrow.key("RS256").public(alg=ABSENT), *narrow.keys[1:])
    trusted = issuers(main=main.metadata, rival=rival.metadata)
    trusted += f'[issuers.narrow]\nmetadata = "{narrow.metadata}"\nalgorithms = ["RS256"]\n'
    servers = oauth_server("demo", "main", "rival", "narrow") + oauth_server("other", "main")
    servers += f'[servers.open]\nsource = "guarded.py"\nmode = "public"\n[servers.open.limits]\n{LAVISH}\n'
    with (
        listening(main, rival, narrow),
        guarded(tmp_path_factory.mktemp("tokens") / "site", servers, trusted) as ward,
    ):
        yield House(Door(ward, "/demo/mcp"), Door(ward, "/other/mcp"), main, rival, narrow)


@pytest.fixture
def house(_house: House) -> Iterator[House]:
    yield _house
    assert _house.demo.lets_in(_house.mint().token())


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_a_good_token_is_let_in(house: House, alg: str):
    assert house.demo.who(house.mint(alg).token())["subject"] == "ada"


# ---- what signs ----


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "NoNe "])
@pytest.mark.parametrize("ending", [".", "", ".AA", "..", ".bm9uZQ"])
def test_attack_1_no_signature_is_no_signature(house: House, alg: str, ending: str):
    mint = house.mint()
    house.refused(signing_input(mint.header(alg=alg), mint.claims()) + ending)
    house.refused(signing_input(mint.header(alg=alg, kid=ABSENT), mint.claims()) + ending)


@pytest.mark.parametrize("alg", ["none", "nOnE", "", "rs256", "RS256 ", "RS257", None, 1, ["RS256"], {"RS256": 1}])
def test_attack_1_a_good_signature_under_another_algorithm_is_refused(house: House, alg: Any):
    house.refused(house.mint().headed(alg=alg))
    house.refused(house.mint().headed(alg=ABSENT))


@pytest.mark.parametrize("form", ["pem", "pem without its last line", "der", "jwk", "jwk without spaces", "n", "raw n"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_attack_2_the_public_key_is_no_shared_secret(house: House, form: str, alg: str):
    key, mint = house.main.key("RS256"), house.mint()
    secret = {
        "pem": key.pem(), "pem without its last line": key.pem().rstrip(b"\n"), "der": key.der(),
        "jwk": json.dumps(key.public()).encode(), "jwk without spaces": json.dumps(key.public(), separators=(",",
        ":")).encode(),
        "n": key.public()["n"].encode(), "raw n": unb64(key.public()["n"]),
    }[form]  # fmt: skip
    for kid in (key.kid, ABSENT):
        signing = signing_input(mint.header(alg=alg, kid=kid), mint.claims())
        house.refused(f"{signing}.{b64(hmac_signature(secret, signing.encode()))}")


@pytest.mark.parametrize("kid", ["RS256", "stranger", ABSENT])
def test_attack_3_a_key_in_the_token_opens_nothing(house: House, kid: Any):
    stranger = signer("RS256", "stranger")
    mint = house.mint()
    for by in (stranger, house.main.key("RS256")):
        for jwk in (stranger.public(), stranger.public(kid="RS256"), stranger.private(), {}, None, "x"):
            house.refused(mint.token(header=mint.header(kid=kid, jwk=jwk), by=by))


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_attack_4_no_address_in_a_token_is_called(house: House, name: str):
    canary, stranger, mint = Canary(), signer("RS256", "stranger"), house.mint()
    try:
        for url in (
            canary.url,
            f"http://localhost:{canary.port}/",
            f"//127.0.0.1:{canary.port}/",
            "file:///etc/passwd",
        ):
            for by in (stranger, house.main.key("RS256")):
                for kid in (stranger.kid, "RS256", ABSENT):
                    house.refused(mint.token(header=mint.header(kid=kid, **{name: url}), by=by))
        time.sleep(0.2)
        assert canary.connections == 0
    finally:
        canary.close()


def test_attack_4_an_unknown_issuer_is_not_called(house: House):
    canary = Canary()
    try:
        for claimed in (canary.url, f"http://127.0.0.1:{canary.port}", f"http://127.0.0.1:{canary.port}/"):
            house.refused(house.mint().token(iss=claimed, by=signer("RS256", "stranger")))
        time.sleep(0.2)
        assert canary.connections == 0
    finally:
        canary.close()


def test_attack_5_a_certificate_in_the_token_opens_nothing(house: House, tmp_path: Path):
    certificate(tmp_path)
    text = "".join(line for line in (tmp_path / "cert.pem").read_text().splitlines() if "-----" not in line)
    stranger, mint = signer("ES256", "stranger"), house.mint()
    for by in (stranger, house.main.key("RS256")):
        for chain in ([text], [text, text], [], text, None):
            house.refused(mint.token(header=mint.header(x5c=chain, alg=by.alg), by=by))


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null", "/dev/null", "' OR 1=1--", "RS256'--", "K" * 5000, ["RS256"], 1, 0, True, None, {}, "",
        "\0", "RS256\0",
        "RS256 ", " RS256", "rs256", "ＲS256", "http://127.0.0.1:1/", "${env:HOME}", "{{7*7}}", "\u202eRS256", "|id",
        "key\n",
    ],
    ids=repr,
)  # fmt: skip
def test_attack_6_a_key_id_is_a_name_and_nothing_else(house: House, kid: Any):
    before = len(house.demo.ward.log())
    house.refused(house.mint().headed(kid=kid))
    lines = house.demo.ward.log()[before:].splitlines()
    assert all("a credential was refused" in line for line in lines)  # no error, and nothing that the caller writes
    assert not [line for line in lines if str(kid) in line and len(str(kid)) > len("RS256")]


def test_attack_6_a_key_id_of_ten_kilobytes_is_refused(house: House):
    house.refused(house.mint().headed(kid="K" * 10_240))


@pytest.mark.parametrize("crit", [["exp"], ["unknown"], [], "exp", None, 1, {}, ["b64"], ["alg"], [["exp"]]], ids=repr)
def test_attack_7_what_must_be_understood_and_is_not_is_refused(house: House, crit: Any):
    house.refused(house.mint().headed(crit=crit))
    house.refused(house.mint().headed(crit=crit, unknown=1, exp=1))


def test_attack_8_an_unencoded_or_detached_payload_is_refused(house: House):
    mint, key = house.mint(), house.main.key("RS256")
    for value in (False, True, None, 0):
        house.refused(mint.headed(b64=value))
        house.refused(mint.headed(b64=value, crit=["b64"]))
    head, _, signature = mint.token().split(".")
    house.refused(f"{head}..{signature}")
    claims = json.dumps(mint.claims()).encode()
    head = b64(json.dumps(mint.header(b64=False, crit=["b64"])).encode())
    signature = b64(key.sign(head.encode() + b"." + claims))
    house.refused(f"{head}..{signature}")
    house.refused(f"{head}.{b64(claims)}.{signature}")


@pytest.mark.parametrize(
    "fields",
    [
        {"zip": "DEF"}, {"zip": ""}, {"enc": "A256GCM"}, {"alg": "dir", "enc": "A256GCM"}, {"cty": "JWT"},
        {"alg": "RSA-OAEP-256", "enc": "A256GCM"}, {"alg": "ECDH-ES", "enc": "A128GCM", "epk": {}},
    ],
    ids=repr,
)  # fmt: skip
def test_attack_9_encrypted_nested_and_compressed_tokens_are_refused(house: House, fields: dict[str, Any]):
    mint = house.mint()
    head = b64(json.dumps(mint.header(**fields)).encode())
    house.refused(f"{head}.{b64(b'k' * 32)}.{b64(b'i' * 12)}.{b64(b'c' * 64)}.{b64(b't' * 16)}")
    house.refused(f"{head}..{b64(b'i' * 12)}.{b64(b'c' * 64)}.{b64(b't' * 16)}")
    house.refused(mint.headed(**fields))
    house.refused(mint.token(header=mint.header(**fields), claims=mint.token().encode()))
    house.refused(mint.token(claims=json.dumps(mint.token()).encode()))


def test_attack_10_a_work_factor_is_not_worked(house: House):
    """Less than 5 ms of CPU for each, in the whole process; the kernel counts it."""
    mint, rounds = house.mint(), 60
    head = b64(json.dumps(mint.header(alg="PBES2-HS512+A256KW", enc="A256GCM", p2c=2**31, p2s=b64(b"s" * 16))).encode())
    five = f"{head}.{b64(b'k' * 40)}.{b64(b'i' * 12)}.{b64(b'c' * 64)}.{b64(b't' * 16)}"
    three = mint.headed(alg="PBES2-HS512+A256KW", p2c=2**31, p2s=b64(b"s" * 16))
    for token in (five, three):
        house.refused(token)
        before = cpu_s(house.demo.ward)
        for _ in range(rounds):
            house.demo.knock(token)
        assert (cpu_s(house.demo.ward) - before) / rounds < 0.005


def test_attack_11_signatures_that_are_none_are_refused(house: House):
    mint = house.mint("ES256")
    good = mint.token()
    head, body, signature = good.split(".")
    raw = unb64(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    pairs = [
        (0, 0), (0, s), (r, 0), (1, 1), (ORDER_P256, ORDER_P256), (r, ORDER_P256), (ORDER_P256, s), (r, 1), (s, r),
        (2**256 - 1, 2**256 - 1), (r, s + ORDER_P256 if s + ORDER_P256 < 2**256 else 0),
    ]  # fmt: skip
    made = [r_.to_bytes(32, "big") + s_.to_bytes(32, "big") for r_, s_ in pairs]
    made += [encode_dss_signature(r, s), raw[:63], raw + b"\0", b"\0" + raw, raw[:32], raw * 2, b"\0" * 132, b"\0"]
    for forged in made:
        house.refused(f"{head}.{body}.{b64(forged)}")
    house.refused(f"{head}.{body}.")
    for alg in ("RS256", "EdDSA"):  # the ES256 key under another algorithm's name, and the reverse
        house.refused(mint.headed(alg=alg))
        house.refused(house.mint(alg).headed(alg="ES256", kid="ES256"))
    assert house.demo.lets_in(good)


def test_attack_12_an_algorithm_that_the_issuer_may_not_use_is_refused(house: House):
    """Its key could verify it, and says nothing against it."""
    key = house.narrow.key("RS256")
    mint = house.narrow.mint(house.demo.resource)
    assert house.demo.lets_in(mint.token())
    pss = Signer("PS256", key.kid, key.key)
    house.refused(mint.token(header=mint.header(alg="PS256"), by=pss))
    for alg in ("ES256", "EdDSA"):
        house.refused(house.narrow.mint(house.demo.resource, alg).token())
    for alg in ("RS384", "RS512", "PS384", "ES512", "ES256K"):
        house.refused(mint.headed(alg=alg))


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": ["sign"], "use": ABSENT}, {"key_ops": []},
        {"use": "enc", "key_ops": ["verify"]}, {"use": "sig", "key_ops": ["wrapKey"]}, {"alg": "PS256"},
        {"alg": "RSA-OAEP"},
    ],
    ids=repr,
)  # fmt: skip
def test_attack_13_a_key_for_something_else_verifies_nothing(tmp_path: Path, changes: dict[str, Any]):
    """The other key of the set is good, so the set is in use."""
    issuer = Issuer()
    issuer.publish(issuer.key("RS256").public(**changes), issuer.key("ES256"))
    trusted = issuers(main=issuer.metadata)
    with listening(issuer), guarded(tmp_path / "site", oauth_server("demo", "main"), trusted) as ward:
        door = Door(ward)
        assert door.lets_in(issuer.mint(door.resource, "ES256").token())
        door.require_refused(issuer.mint(door.resource, "RS256").token())


# ---- how it is written ----


def twice(value: dict[str, Any], name: str, second: Any, *, first: bool) -> bytes:
    """JSON in which a name stands twice: the good value first, or last."""
    other = {name: second}
    parts = [json.dumps(each)[1:-1] for each in ((value, other) if first else (other, value))]
    return ("{" + ",".join(parts) + "}").encode()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "part, name, second",
    [
        ("header", "alg", "none"), ("header", "alg", "RS256"), ("header", "kid", "x"), ("header", "typ", "JWT"),
        ("claims", "aud", "https://else.where/mcp"), ("claims", "exp", 1), ("claims", "iss", "https://else.where"),
        ("claims", "sub", "eve"), ("claims", "scope", "demo:write"), ("claims", "nbf", 1), ("claims", "other", 1),
    ],
)  # fmt: skip
def test_attack_14_a_name_that_stands_twice_is_refused(house: House, part: str, name: str, second: Any, first: bool):
    mint = house.mint()
    if part == "header":
        house.refused(mint.token(header=twice(mint.header(), name, second, first=first)))
    else:
        good = mint.claims(nbf=1, other=2)
        assert house.demo.lets_in(mint.token(claims=good))
        house.refused(mint.token(claims=twice(good, name, second, first=first)))


@pytest.mark.parametrize(
    "part", [b"", b"{", b"[]", b"null", b'"x"', b"{}x", b"{'a':1}", b"\xff", b'{"a":NaN}', b"[" * 4000]
)
def test_attack_14_what_is_not_strict_json_is_refused(house: House, part: bytes):
    house.refused(house.mint().token(claims=part))
    house.refused(house.mint().token(header=part))
    for strange in (b"\xef\xbb\xbf", b" \n", b"\0"):
        house.refused(house.mint().token(header=strange + json.dumps(house.mint().header()).encode() + b"\0"))


def trailing(segment: str) -> str:
    """The same bytes with other unused bits at the end, where there are any."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) ^ 1]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_attack_15_a_token_has_one_spelling(house: House, at: int):
    parts = next(parts for parts in spellings(house) if len(parts[at]) % 4)
    spoilt = [
        parts[at] + "=" * (-len(parts[at]) % 4), parts[at] + "=", parts[at] + "A", parts[at][:-1],
        trailing(parts[at]), parts[at][:8] + " " + parts[at][8:], parts[at][:8] + "\t" + parts[at][8:],
        parts[at] + "%3D", parts[at] + "\\n",
    ]  # fmt: skip
    for segment in spoilt:
        house.refused(".".join([*parts[:at], segment, *parts[at + 1 :]]))
    assert house.demo.lets_in(".".join(parts))


def spellings(house: House) -> Iterator[list[str]]:
    for length in range(1, 4):
        yield house.mint("ES256").token(filler="x" * length, header=house.mint("ES256").header(typ="at+jwt")).split(".")
    for kid in ("RS256", "ES256", "EdDSA"):
        yield house.mint(kid).token().split(".")


def test_attack_15_the_other_alphabet_is_refused(house: House):
    for _ in range(200):
        head, body, signature = house.mint("EdDSA").token(filler="ÿþ>?").split(".")
        if set("-_") & set(signature):
            break
    assert house.demo.lets_in(f"{head}.{body}.{signature}")
    house.refused(f"{head}.{body}.{signature.replace('-', '+').replace('_', '/')}")


def test_attack_15_a_line_break_in_a_token_is_no_header_line(house: House):
    """Nothing after it is read as a header of its own, and the answer is a refusal of some kind."""
    token = house.mint().token()
    for odd in ("\n", "\r\n ", "\r", "\0", "\x7f", "\xa0", "é"):
        head, body, signature = token.split(".")
        assert house.demo.knock(f"{head}.{body}{odd}.{signature}").status in {400, 401}


@pytest.mark.parametrize("size", [16_385, 20_000, 30_000])
def test_attack_16_a_token_that_is_too_long_is_refused_as_any_other(house: House, size: int):
    mint = house.mint()
    token = mint.token(filler="")
    fill = (size - len(token)) * 3 // 4
    long = mint.token(filler="x" * fill)
    assert abs(len(long) - size) < 8
    house.refused(long + "A" * (16_385 - len(long)) if len(long) < 16_385 else long)
    house.refused("A" * size)
    house.refused("." * size)


@pytest.mark.parametrize("megabytes", [1, 100])
def test_attack_16_a_huge_token_is_cut_off_and_not_kept(house: House, megabytes: int):
    ward, piece = house.demo.ward, b"A" * (1 << 20)
    before = memory_bytes(ward)
    head = house.demo.message().split(b"\r\n\r\n", maxsplit=1)[0]
    with connect(ward.port) as wire:
        wire.sendall(head + b"\r\nAuthorization: Bearer ")
        try:
            for _ in range(megabytes):
                wire.sendall(piece)
        except OSError:
            pass  # refused before the end of it was sent
        heard = listen(wire, wait_s=5)
    assert heard.closed
    assert heard.statuses in ([431], [])  # an answer may be lost when a connection is cut under load
    assert memory_bytes(ward) - before < 10 << 20


# ---- what it says ----


@pytest.mark.parametrize(
    "exp",
    [
        ABSENT, None, "", "soon", True, False, [], {}, b"NaN", b"Infinity", b"1e400", b"-1e400", 0, -1, 253402300800,
        1e18, b"99999999999999999999999999", 1.5e300, b"1e999999999",
    ],
    ids=repr,
)  # fmt: skip
def test_attack_17_a_time_that_is_none_is_refused(house: House, exp: Any):
    """Also the year 10,000 and later: a token that never expires is none."""
    mint = house.mint()
    if isinstance(exp, bytes):
        text = json.dumps(mint.claims(exp="EXP")).encode().replace(b'"EXP"', exp)
        house.refused(mint.token(claims=text))
    else:
        house.refused(mint.token(exp=exp))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_attack_17_a_time_beyond_all_numbers_is_no_fault_of_the_house(house: House, name: str):
    """Nor where it has no signature: these claims are looked at before the key of an unknown name is asked for."""
    for by in (house.main.key("RS256"), signer("RS256", "nobody")):
        for value in (10**310, -(10**310)):
            house.refused(house.mint().token(by=by, header=house.mint().header(kid=by.kid), **{name: value}))


def test_attack_17_a_time_in_words_is_refused_although_it_would_be_good(house: House):
    soon = int(time.time()) + 300
    house.refused(house.mint().token(exp=str(soon)))
    house.refused(house.mint().token(exp=[soon]))
    for name in ("nbf", "iat"):
        values: list[Any] = [str(soon - 400), True, None, [], {}, "now"]
        for value in values:
            house.refused(house.mint().token(**{name: value}))
    assert house.demo.lets_in(house.mint().token(exp=soon + 0.5))  # NumericDate may have a fraction (RFC 7519 §2)


def test_attack_18_clocks_may_differ_by_the_leeway_and_no_more(house: House):
    mint, now = house.mint(), int(time.time())
    refused: dict[str, Any] = {"exp": now - 61, "nbf": now + 61 + SLACK_S, "iat": now + 61 + SLACK_S}
    good: dict[str, Any] = {"exp": now - 59 + SLACK_S, "nbf": now + 59, "iat": now + 59}
    for name, value in refused.items():
        house.refused(mint.token(**{name: value}))
    for name, value in good.items():
        assert house.demo.lets_in(mint.token(**{name: value})), name


def test_attack_18_a_token_ends_although_it_was_good_before(house: House):
    token = house.mint().token(exp=int(time.time()) - 60 + 3)
    assert house.demo.lets_in(token)
    until = time.monotonic() + 6
    while house.demo.lets_in(token):
        assert time.monotonic() < until
        time.sleep(0.1)
    house.refused(token)


def test_attack_19_an_issuer_is_spelt_exactly(house: House):
    own = house.main.issuer
    for claimed in (
        f"{own}/", own.upper(), own.replace("127.0.0.1", "localhost"), own[:-1], f"{own}0", f" {own}", f"{own}#",
        f"{own}?",
        own.replace("http:", "https:"), f"{own}/tenant", own.replace("127.0.0.1", "127.0.0.1."), "", None, [own], 1,
        ABSENT,
        f"http://a@{own[7:]}", house.rival.issuer, house.narrow.issuer, house.main.metadata, f"{own}\0",
        own.replace("/", "\\"),
    ):  # fmt: skip
        house.refused(house.mint().token(iss=claimed))


def test_attack_20_a_token_for_somebody_else_is_refused(house: House):
    own, base = house.demo.resource, house.demo.ward.base
    port = str(house.demo.ward.port)
    for audience in (
        ABSENT, None, "", [], [None], {}, 1, [1], [own, 1], house.other.resource, [house.other.resource], base,
        f"{base}/",
        f"{base}/demo", f"{own}/", f"{own}/x", own[:-1], f"{own}?", f"{own}#", f"{own}?x", own.upper(), "*", [[own]],
        own.replace("127.0.0.1", "localhost"), own.replace(port, "80"), own.replace(f":{port}", ""), f" {own}",
        f"{own} ",
        f"{own} {house.other.resource}", own.replace("http", "https"), own.replace("/demo", "//demo"),
        own.replace("/mcp", "/%6dcp"), own.replace("/demo", "/x/../demo"), {own: 1}, house.main.issuer, "test-client",
    ):  # fmt: skip
        house.refused(house.mint().token(aud=audience))


def test_attack_20_a_token_for_several_is_good_at_each_of_them_and_nowhere_else(house: House):
    own, other = house.demo.resource, house.other.resource
    both = house.mint().token(aud=[other, own])
    assert house.demo.lets_in(both)
    assert house.other.lets_in(both)
    assert house.demo.lets_in(house.mint().token(aud=[own]))
    assert house.demo.lets_in(house.mint().token(aud=[own, own.replace("127.0.0.1", "127.0.0.2")]))
    house.other.require_refused(house.mint().token(aud=own))


def test_attack_21_an_id_token_is_no_access_token(house: House):
    mint = house.mint()
    id_claims = mint.claims(aud="test-client", nonce="n", auth_time=1, scope=ABSENT, client_id=ABSENT)
    for typ in ("JWT", "jwt", ABSENT, "id_token+jwt", "application/jwt", "", None, "at+jwtx", "logout+jwt", 1):
        house.refused(mint.token(header=mint.header(typ=typ), claims=id_claims))
        house.refused(mint.headed(typ=typ))
    for typ in ("at+jwt", "AT+JWT", "application/at+jwt"):  # RFC 7515 §4.1.9
        assert house.demo.lets_in(mint.headed(typ=typ))


def test_attack_22_one_issuer_cannot_speak_for_another(house: House):
    """Both call their keys alike, and the server trusts both."""
    for alg in ("RS256", "ES256", "EdDSA"):
        ours, theirs = house.main.mint(house.demo.resource, alg), house.rival.mint(house.demo.resource, alg)
        assert ours.signer.kid == theirs.signer.kid
        assert house.demo.lets_in(ours.token())
        assert house.demo.lets_in(theirs.token())
        house.refused(ours.token(by=theirs.signer))
        house.refused(theirs.token(by=ours.signer))
        house.refused(ours.token(iss=theirs.issuer))


def test_attack_22_the_same_subject_of_two_issuers_is_two_people(house: House):
    seen = [house.demo.who(one.mint(house.demo.resource).token()) for one in (house.main, house.rival)]
    assert [one["subject"] for one in seen] == ["ada", "ada"]
    assert [one["issuer"] for one in seen] == [house.main.issuer, house.rival.issuer]


def test_attack_22_an_issuer_that_a_server_does_not_trust_is_nobody_there(house: House):
    token = house.rival.mint(house.other.resource).token()
    house.other.require_refused(token)


@pytest.mark.parametrize(
    "cnf", [{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, {"x5t#S256": "x"}, {}, None, "x", []]
)
def test_attack_31_a_token_bound_to_a_key_is_not_taken_from_just_anybody(house: House, cnf: Any):
    house.refused(house.mint().token(cnf=cnf))


@pytest.mark.parametrize(
    "changes",
    [{"sub": ABSENT}, {"sub": ""}, {"sub": 1}, {"sub": ["ada"]}, {"sub": "a\0b"}, {"sub": "x" * 3000}, {"scope": 1}],
)
def test_a_token_without_a_subject_names_nobody(house: House, changes: dict[str, Any]):
    house.refused(house.mint().token(**changes))


def test_a_base64_or_hex_of_a_good_token_is_not_a_good_token(house: House):
    token = house.mint().token()
    raw = token.encode()
    for other in (base64.b64encode(raw).decode(), raw.hex(), token + token, f'"{token}"', token[::-1]):
        house.refused(other)
