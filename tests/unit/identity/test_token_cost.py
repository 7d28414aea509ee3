"""The cost of the worst refused token: attacks 10 and 16. Every client that can connect can send one."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from mcpward.identity.jwt.algorithm import ALGORITHMS
from mcpward.identity.jwt.compact import MAX_TOKEN_BYTES
from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.key_set import KeySet
from mcpward.identity.jwt.verify import check
from support.mint import AUDIENCE, CLAIMS, ISSUER, NOW, Mint, segment, text

MOST_CPU_S: Final = 0.005
MOST_BYTES: Final = 10_000_000
RULES = IssuerRules(issuer=ISSUER, audience=AUDIENCE, algorithms=frozenset(ALGORITHMS))
ROOM: Final = MAX_TOKEN_BYTES * 3 // 4 - 1_600  # of a payload, beside a header and the longest signature


def keys_and_mints() -> tuple[KeySet, list[Mint]]:
    mints = [Mint(algorithm, kid=algorithm) for algorithm in ALGORITHMS]
    return KeySet.parse({"keys": [mint.member for mint in mints]}, RULES), mints


KEYS, MINTS = keys_and_mints()
MINT = Mint("ES512", kid="ES512")  # the dearest to verify


def filled(head: bytes, unit: bytes, tail: bytes) -> bytes:
    return head + unit * ((ROOM - len(head) - len(tail)) // len(unit)) + tail


def judged(payload: bytes, header: bytes = b"") -> bytes:
    return MINT.raw(header or text(MINT.header), payload)


START, END = text(CLAIMS | {"exp": 1})[:-1] + b', "x": ', b"}"
PAYLOADS: dict[str, bytes] = {
    "deep arrays": filled(START, b"[", END),
    "deep objects": filled(START, b'{"a":', END),
    "closed depth": START + b"[" * 2_000 + b"]" * 2_000 + END,
    "wide array": filled(START + b"[", b"1,", b"1]" + END),
    "arrays in an array": filled(START + b"[", b"[],", b"[]]" + END),
    "many names": START + b"{" + b",".join(b'"%x":1' % n for n in range(700)) + b"}" + END,
    "escapes": filled(START + b'"', b"\\u0041", b'"' + END),
    "backslashes": filled(START + b'"', b"\\\\", b'"' + END),
    "quotes": filled(START + b'"', b'\\"', b'"' + END),
    "brackets in a text": filled(START + b'"', b"[{", b'"' + END),
    "a long integer": filled(START, b"9", END),
    "a long fraction": filled(START + b"0.", b"9", END),
    "a long exponent": filled(START + b"1e", b"9", END),
    "many scopes": text(CLAIMS | {"exp": 1, "scope": " ".join("a" * 2 for _ in range(1_500))}),
    "a long list of audiences": text(CLAIMS | {"aud": ["a"] * 1_000}),
    "no JSON": b"\xff" * ROOM,
}
TOKENS: dict[str, bytes] = {
    **{name: judged(payload) for name, payload in PAYLOADS.items()},
    **{f"a header: {name}": judged(text(CLAIMS), payload[: ROOM - 1_000]) for name, payload in PAYLOADS.items()},
    "dots that just fit": b"." * MAX_TOKEN_BYTES,
    "another spelling": b"A." + b"A" * (MAX_TOKEN_BYTES - 4) + b".B",
    "rounds of a password": MINT.token({"p2c": 2**31, "p2s": "c2FsdA"}),
    **{
        f"a wrong signature, {mint.algorithm}": mint.token(pad="x" * 3_000)[:-8] + b"AAAAAAAA"
        for mint in MINTS
    },
    **{f"signed and expired, {mint.algorithm}": mint.token(pad="x" * 3_000, exp=1) for mint in MINTS},
}  # fmt: skip


def cpu_s(act: Callable[[], None]) -> float:
    """The least of a few runs: what else the machine does is not ours."""
    runs = []
    for _ in range(5):
        began = time.thread_time()
        act()
        runs.append(time.thread_time() - began)
    return min(runs)


def refused(token: bytes, keys: KeySet = KEYS) -> None:
    with pytest.raises(TokenRefused):
        check(token, keys, RULES, NOW)


def assert_cheap(token: bytes, keys: KeySet = KEYS) -> None:
    assert cpu_s(lambda: refused(token, keys)) < MOST_CPU_S
    tracemalloc.start()
    try:
        refused(token, keys)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES


@pytest.mark.parametrize("name", TOKENS)
def test_attack_16_the_worst_token_costs_little_time_and_room(name: str):
    assert_cheap(TOKENS[name])


@pytest.mark.parametrize("size", [MAX_TOKEN_BYTES + 1, 1_000_000, 100_000_000])
@pytest.mark.parametrize("start", [b"", MINT.token(), b"." * 4_000], ids=["nothing", "a good token", "dots"])
def test_attack_16_a_token_of_any_length_costs_the_same(start: bytes, size: int):
    assert_cheap(start.ljust(size, b"A"))


def test_attack_10_the_largest_key_that_is_taken_is_not_too_dear():
    numbers = {"n": segment(b"\xff" * 1024).decode(), "e": segment(b"\xff" * 4).decode()}
    keys = KeySet.parse({"keys": [Mint("PS512", kid="big").member | numbers]}, RULES)
    head = text({"alg": "PS512", "kid": "big", "typ": "at+jwt"})
    assert_cheap(b".".join(map(segment, (head, text(CLAIMS), b"\x7f" * 1024))), keys)
