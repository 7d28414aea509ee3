"""The keys of a provider: unknown, changed, out of reach, poisoned. Attacks 23-26, against the shipped process.

Sources: RFC 7517 §5, RFC 8725 §3.10, OWASP SSRF (redirects), CWE-400 (key documents without end).
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.guarded import Door, guarded, issuers, oauth_server, send
from support.issuer import KEYS, Canary, Document, Issuer, listening
from support.load import Crowd, figures, memory_bytes, percentile, show, statuses
from support.raw import connect, request
from support.tokens import Mint, b64, key_set, signer, signing_input
from support.ward import ACCEPT, Ward, modern_request

SERVER = oauth_server("demo", "main")
MEDIA = (("Content-Type", "application/json"), ("Accept", ACCEPT))
FOLLOWS_S = 5.0
STORM = 10_000
ERRORS = ("Traceback", "never retrieved", "Exception in callback")


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def door(tmp_path: Path, issuer: Issuer) -> Iterator[Door]:
    """A site of the test's own: a provider's effects on it stay."""
    with listening(issuer), guarded(tmp_path / "site", SERVER, issuers(main=issuer.metadata)) as ward:
        yield Door(ward)
        assert not [word for word in ERRORS if word in ward.log()]


def named(mint: Mint, kid: str) -> str:
    """A token under an unknown key name. Its signature is made up: it must never be checked."""
    return f"{signing_input(mint.header(kid=kid), mint.claims())}.{b64(b's' * 256)}"


def wait_until(condition: Any, seconds: float) -> float:
    """Wait until something is true, and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_attack_23_ten_thousand_unknown_keys_cost_the_provider_one_look_in_half_a_minute(door: Door, issuer: Issuer):
    mint = issuer.mint(door.resource)
    good = door.message(lines=[("Authorization", f"Bearer {mint.token(exp=int(time.time()) + 3600)}")])
    forged = [
        door.message(lines=[("Authorization", f"Bearer {named(mint, f'made-up-{number}')}")]) for number in range(500)
    ]
    splice = [message.split(b"Bearer ", 1) for message in forged]

    def storm(number: int) -> bytes:
        before, after = splice[number % 500]
        _, rest = after.split(b".", 1)
        head = b64(json.dumps(mint.header(kid=f"made-up-{number}")).encode()).encode()
        return before + b"Bearer " + head + b"." + rest

    with Crowd(door.ward.port, lambda _: good, callers=2, per_s=40) as callers:
        time.sleep(5)  # the look at the start is 5 s ago, and how long callers wait in peace is known
        calm = callers.seen()
        began, before = time.monotonic(), issuer.asked(KEYS)
        with Crowd(door.ward.port, storm, callers=4, per_s=700) as flood:
            while len(flood.seen()) < STORM:
                assert time.monotonic() - began < 120
                time.sleep(0.1)
        ended = time.monotonic()
        during = callers.seen(began, ended)
    looks = [one.at - began for one in issuer.received if one.path == KEYS and one.at >= began]
    show(figures("in peace", calm), figures("in the storm", during), figures("the storm", flood.seen()))
    show(f"looks at the keys: {before} before, then after {[f'{at:.1f} s' for at in looks]} of {ended - began:.1f} s")
    assert statuses(flood.seen()).keys() == {401}
    assert statuses(during).keys() == {200}
    assert len(looks) <= 1 + (ended - began) // 30
    assert percentile(during, 0.99) < max(0.25, 5 * percentile(calm, 0.99))


def test_attack_24_a_new_key_is_followed_within_five_seconds_and_the_old_one_ends(door: Door, issuer: Issuer):
    old = issuer.key("ES256")
    new = signer("ES256", "after-the-change")
    before = issuer.mint(door.resource, "ES256")
    after = Mint(issuer.issuer, door.resource, new)
    kept, fresh = before.token(), after.token()
    assert door.lets_in(kept)
    door.require_refused(fresh)
    issuer.publish(new, issuer.key("RS256"))
    took = wait_until(lambda: door.lets_in(fresh), FOLLOWS_S)
    show(f"a new key was followed after {took:.2f} s")
    door.require_refused(kept)  # although it had been let in and was remembered
    door.require_refused(before.token())
    assert door.lets_in(issuer.mint(door.resource, "RS256").token())
    issuer.publish(old, issuer.key("RS256"))
    took = wait_until(lambda: door.lets_in(before.token()), FOLLOWS_S)
    show(f"the way back was followed after {took:.2f} s")
    door.require_refused(fresh)


def test_attack_24_two_keys_side_by_side_are_both_good(door: Door, issuer: Issuer):
    new = signer("ES256", "beside")
    old_token = issuer.mint(door.resource, "ES256").token()
    new_token = Mint(issuer.issuer, door.resource, new).token()
    assert door.lets_in(old_token)
    issuer.publish(*issuer.keys, new)
    wait_until(lambda: door.lets_in(new_token), FOLLOWS_S)
    assert door.lets_in(old_token)
    assert door.lets_in(issuer.mint(door.resource, "ES256").token())


def test_attack_24_a_large_body_under_a_withdrawn_key_is_refused_and_not_put_off_for_ever(door: Door, issuer: Issuer):
    """A large body is not read before the key is known: 503 and come again. A caller that comes again gets the same
    answer as all.
    """
    old = issuer.mint(door.resource, "ES256").token()

    def large(token: str) -> int:
        body = json.dumps({"filler": "x" * 900_000}).encode()
        rows = [*MEDIA, ("Authorization", f"Bearer {token}")]
        return send(door.ward.port, request(door.ward.port, "POST", door.path, rows, body)).status

    assert large(old) == 400  # let in, and no message
    issuer.publish(issuer.key("RS256"))
    time.sleep(4.2)
    assert not door.lets_in(named(issuer.mint(door.resource), "unknown"))
    told = [large(old)]
    while told[-1] != 401:
        assert told[-1] == 503
        assert len(told) < 20
        time.sleep(0.1)
        told.append(large(old))
    assert [large(old) for _ in range(5)] == [401] * 5


def test_attack_24_a_key_that_was_replaced_under_its_name_is_followed_at_once(door: Door, issuer: Issuer):
    """Some providers never change the name of their key."""
    old = issuer.mint(door.resource, "ES256").token()
    assert door.lets_in(old)
    replaced = replace(signer("ES256", "replaced"), kid="ES256")
    issuer.publish(issuer.key("RS256"), replaced)
    fresh = Mint(issuer.issuer, door.resource, replaced).token()
    took = wait_until(lambda: door.lets_in(fresh), FOLLOWS_S)
    show(f"a key that was replaced under its name was followed after {took:.2f} s")
    door.require_refused(old)
    assert door.lets_in(issuer.mint(door.resource, "RS256").token())


@pytest.mark.timeout(120)
def test_attack_23_bad_signatures_under_a_known_key_cost_the_provider_one_look_in_half_a_minute(
    door: Door, issuer: Issuer
):
    forger = Mint(issuer.issuer, door.resource, replace(signer("ES256", "of-a-forger"), kid="ES256"))
    good = issuer.mint(door.resource).token()
    began, before = time.monotonic(), issuer.asked(KEYS)

    def storm(number: int) -> int:
        return door.knock(forger.token(jti=f"forged {number}")).status

    with ThreadPoolExecutor(4) as crowd:
        assert set(crowd.map(storm, range(400))) == {401}
    assert door.lets_in(good)
    looks, took = issuer.asked(KEYS) - before, time.monotonic() - began
    show(f"400 bad signatures in {took:.1f} s: {looks} looks at the keys")
    assert 1 <= looks <= 1 + took // 30


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_attack_24_a_change_of_keys_in_the_midst_of_a_storm_is_followed_within_the_budget(door: Door, issuer: Issuer):
    """A caller with made-up keys can delay a change by half a minute, the provider's pause, and no longer."""
    mint = issuer.mint(door.resource)
    new = signer("ES256", "in-the-storm")
    fresh = Mint(issuer.issuer, door.resource, new).token()

    def storm(number: int) -> bytes:
        return door.message(lines=[("Authorization", f"Bearer {named(mint, f'made-up-{number}')}")])

    with Crowd(door.ward.port, storm, callers=2, per_s=40):
        time.sleep(6)
        issuer.publish(*issuer.keys, new)
        took = wait_until(lambda: door.lets_in(fresh), 30 + FOLLOWS_S)
    show(f"in a storm a new key was followed after {took:.2f} s")


def test_attack_25_while_the_provider_is_out_known_keys_open_and_unknown_ones_do_not(door: Door, issuer: Issuer):
    remembered = issuer.mint(door.resource).token()
    assert door.lets_in(remembered)
    issuer.stop()
    try:
        for alg in ("RS256", "ES256", "EdDSA"):
            assert door.lets_in(issuer.mint(door.resource, alg).token(jti="never seen before"))
        assert door.lets_in(remembered)
        time.sleep(4.2)  # a look at the provider is allowed by now, and fails
        for kid in ("unknown", "unknown", "other"):
            door.require_refused(named(issuer.mint(door.resource), kid))
        assert door.lets_in(issuer.mint(door.resource).token())
    finally:
        issuer.reopen()
    new = signer("ES256", "after-the-outage")
    issuer.publish(new)
    took = wait_until(lambda: door.lets_in(Mint(issuer.issuer, door.resource, new).token()), 2 * FOLLOWS_S)
    show(f"after the outage a new key was followed after {took:.2f} s")


def test_attack_25_a_provider_that_was_never_there_is_an_outage_and_no_bad_credential(tmp_path: Path, issuer: Issuer):
    issuer.start()
    issuer.stop()
    with guarded(tmp_path / "site", SERVER, issuers(main=issuer.metadata)) as ward:
        door = Door(ward)
        token = issuer.mint(door.resource).token()
        for _ in range(3):
            answer = door.knock(token)
            assert answer.status == 503
            assert 0 < int(answer.headers["retry-after"]) <= 60
            assert "www-authenticate" not in answer.headers
        missing = door.knock(None)
        assert missing.status == 401
        assert "error" not in missing.headers["www-authenticate"]
        issuer.reopen()
        try:
            started = time.monotonic()
            while (answer := door.knock(token)).status != 200:
                assert answer.status == 503, answer.raw
                assert time.monotonic() - started < 3 * FOLLOWS_S
                time.sleep(0.1)
            show(f"let in {time.monotonic() - started:.2f} s after the provider came up")
        finally:
            issuer.stop()


def listened_s(door: Door, token: str, after: Callable[[], None] = lambda: None) -> float:
    """Listen for changes, do something then, and tell how long afterwards the stream was ended."""
    body, own = modern_request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    rows = [*MEDIA, *own.items(), ("Authorization", f"Bearer {token}")]
    with connect(door.ward.port, 15) as wire:
        wire.sendall(request(door.ward.port, "POST", door.path, rows, json.dumps(body).encode()))
        received = b""
        while b"acknowledged" not in received:
            received += wire.recv(1 << 16)
        after()
        began = time.monotonic()
        while not received.endswith(b"0\r\n\r\n"):
            piece = wire.recv(1 << 16)
            assert piece, received
            received += piece
        return time.monotonic() - began


def test_attack_18_a_stream_ends_with_its_token(door: Door, issuer: Issuer):
    took = listened_s(door, issuer.mint(door.resource).token(exp=int(time.time()) - 60 + 3))
    show(f"a stream whose token had at most 3 s to live was ended after {took:.2f} s")
    assert took < 6


def test_attack_24_a_stream_ends_with_the_key_that_opened_it(door: Door, issuer: Issuer):
    def change() -> None:
        time.sleep(4.2)
        issuer.publish(issuer.key("RS256"))
        assert not door.lets_in(named(issuer.mint(door.resource), "unknown"))  # an attacker causes a look

    took = listened_s(door, issuer.mint(door.resource, "ES256").token(), change)
    show(f"a stream was ended {took:.2f} s after its key was known to be withdrawn")
    assert took < 6


# ---- poison ----

MINE = signer("ES256", "of-the-attacker")
METADATA_HOST = "http://169.254.169.254/latest/meta-data/"


def poisoned(canary: Canary) -> dict[str, Document]:
    """Documents of a provider that an attacker has taken over, or that is broken; each holds a key of theirs."""
    good = [signer(alg, alg).public() for alg in ("RS256", "ES256", "EdDSA")]
    mine = MINE.public()
    plain, html = {"content-type": "application/json"}, {"content-type": "text/html"}
    return {
        "10 MB": Document({"keys": [*good, mine], "filler": "x" * 10_000_000}),
        "10,000 keys": Document({"keys": [*good, mine, *({"kty": "EC", "kid": f"k{n}"} for n in range(10_000))]}),
        "101 keys": Document({"keys": [*good, *(mine | {"kid": f"k{n}"} for n in range(98))]}),
        "oct alone": Document({"keys": [{"kty": "oct", "kid": MINE.kid, "k": b64(b"k" * 32)}]}),
        "oct": Document({"keys": [*good, {"kty": "oct", "kid": MINE.kid, "k": b64(b"k" * 32)}]}),
        "duplicate kid": Document({"keys": [*good, mine, signer("ES256", "other").public(kid=MINE.kid)]}),
        "duplicate name": Document(
            json.dumps({"keys": good}).encode()[:-1] + b',"keys":' + json.dumps([mine]).encode() + b"}"
        ),
        "redirect to metadata": Document(b"", 302, {"location": METADATA_HOST}),
        "redirect to loopback": Document(b"", 307, plain | {"location": canary.url}),
        "permanent redirect": Document({"keys": [mine]}, 308, plain | {"location": canary.url}),
        "text/html": Document({"keys": [mine]}, 200, html),
        "a page": Document(b"<html><h1>down for maintenance</h1>", 200, html),
        "no JSON": Document(b"{keys:"),
        "deep": Document(b"[" * 100_000),
        "no keys": Document({}),
        "empty": Document({"keys": []}),
        "nothing usable": Document({"keys": [mine | {"use": "enc"}]}),
        "a private key": Document({"keys": [*good, MINE.private()]}),
        "a weak key": Document({"keys": [*good, signer("RS256", "weak", bits=1024).public()]}),
        "null": Document({"keys": [*good, None]}),
        "off its curve": Document({"keys": [*good, mine | {"y": mine["x"]}]}),
        "an error": Document({"keys": [mine]}, 500),
        "not found": Document({"keys": [mine]}, 404),
        "compressed": Document({"keys": [mine]}, 200, plain | {"content-encoding": "gzip"}),
        "too slow": Document({"keys": [mine]}, delay_s=6.0),
        "a list": Document([mine]),
        "a list of lists": Document({"keys": [[mine]]}),
        "byte order mark": Document(b"\xff\xfe" + json.dumps({"keys": [mine]}).encode("utf-16-le")),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_attack_26_a_poisoned_document_changes_nothing_and_is_logged_once(tmp_path: Path):
    """One provider for each document, all at one site. All keep their good keys, and no other keys count."""
    canary = Canary()
    documents = poisoned(canary)
    providers = {f"p{number}": Issuer() for number in range(len(documents))}
    trusted = issuers(**{name: one.metadata for name, one in providers.items()})
    with (
        listening(*providers.values()),
        guarded(tmp_path / "site", oauth_server("demo", *providers), trusted) as ward,
    ):
        door = Door(ward)
        remembered = {name: one.mint(door.resource, "EdDSA").token() for name, one in providers.items()}
        assert all(map(door.lets_in, remembered.values()))
        time.sleep(4.2)  # from then on an unknown name is looked up at once
        memory, log = memory_bytes(ward), len(ward.log())
        for one, document in zip(providers.values(), documents.values(), strict=True):
            one.documents[KEYS] = document

        def provoke(one: Issuer) -> int:
            return door.knock(Mint(one.issuer, door.resource, MINE).token()).status

        before = {name: one.asked(KEYS) for name, one in providers.items()}
        with ThreadPoolExecutor(8) as crowd:
            assert set(crowd.map(provoke, providers.values())) == {401}
        for name, one in providers.items():
            wait_until(lambda one=one, name=name: one.asked(KEYS) > before[name], 10)
        time.sleep(6.5)  # each is tried again meanwhile, and is no better

        for (name, one), (what, document) in zip(providers.items(), documents.items(), strict=True):
            assert one.asked(KEYS) > before[name], what
            assert door.lets_in(remembered[name]), what
            assert door.lets_in(one.mint(door.resource, "RS256").token()), what
            door.require_refused(Mint(one.issuer, door.resource, MINE).token())
            lines = [line for line in ward.log()[log:].splitlines() if f"keys of {name} " in line]
            show(f"{what}: {lines}")
            assert len(lines) == 1, what
            assert document is one.documents[KEYS]
        assert canary.connections == 0
        grown = memory_bytes(ward) - memory
        show(f"memory grew by {grown / 1e6:.1f} MB")
        assert grown < 30e6

        for one in providers.values():
            one.publish(*one.keys, MINE)
        name, one = next(iter(providers.items()))
        wait_until(lambda: door.lets_in(Mint(one.issuer, door.resource, MINE).token()), 40)
    canary.close()


def test_attack_26_a_house_that_finds_only_poison_lets_nobody_in_and_says_why(tmp_path: Path, issuer: Issuer):
    issuer.documents[KEYS] = Document(key_set({"kty": "oct", "kid": "shared", "k": b64(b"k" * 32)}))
    with listening(issuer), guarded(tmp_path / "site", SERVER, issuers(main=issuer.metadata)) as ward:
        door = Door(ward)
        assert door.knock(issuer.mint(door.resource).token()).status == 503
        assert "keys of main" in ward.log()
        assert "symmetric-key" in ward.log()
        issuer.publish(*issuer.keys)
        wait_until(lambda: door.knock(issuer.mint(door.resource).token()).status == 200, 3 * FOLLOWS_S)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://127.0.0.1:1"}, {"issuer": None}, {"jwks_uri": None}, {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": METADATA_HOST}, {"code_challenge_methods_supported": ["plain"]}, {"jwks_uri": "http://example.com/k"},
        {"code_challenge_methods_supported": None}, {"jwks_uri": "http://user:pass@127.0.0.1/k"},
    ],
    ids=str,
)  # fmt: skip
def test_attack_26_metadata_that_points_elsewhere_keeps_the_house_shut(
    tmp_path: Path, issuer: Issuer, changes: dict[str, Any]
):
    """The start reports to the operator which piece is missing or wrong."""
    said = {name: value for name, value in issuer.announcement(**changes).items() if value is not None}
    issuer.documents["/.well-known/oauth-authorization-server"] = Document(said)
    trusted = issuers(main=issuer.metadata)
    with listening(issuer), guarded(tmp_path / "site", SERVER, trusted, start=False) as ward:
        with pytest.raises(AssertionError, match="ended with 2"):
            Ward.start(ward)
        assert next(iter(changes)) in ward.log()
        assert "error:" in ward.log()
        assert "hint:" in ward.log()
        assert issuer.asked(KEYS) == 0 or "code_challenge_methods_supported" in changes
