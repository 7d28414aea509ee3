"""Credentials that another service has to judge: guesses cost the provider few questions, and others no slot.

Only its provider knows the meaning of an opaque token (RFC 7662), so each made-up one is a question. Sources: CWE-367
(a limit that is looked at before, and counted after), CWE-770.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from support.guarded import Door, guarded, issuers, oauth_server
from support.hostile import CROWD, HONEST, STRANGER
from support.issuer import Document, Issuer, listening
from support.load import show
from support.raw import connect
from support.volley import status_of, volley
from support.ward import Ward

ASK = "/introspect"
GOOD, BAD = "good", "made-up"
_numbers = count()


class Site:
    """A server whose opaque tokens a provider judges: those that begin with ``good`` are good, after a while."""

    def __init__(self, ward: Ward, issuer: Issuer) -> None:
        self.ward, self.issuer = ward, issuer
        self.door = Door(ward)

    def call(self, kind: str = GOOD) -> bytes:
        """Return a call with a token that no caller has shown before."""
        token = f"{kind}-{next(_numbers):030d}"
        return self.door.message(lines=[("Authorization", f"Bearer {token}")])

    def asked(self, kind: str) -> int:
        """Return how many tokens of a kind the provider was asked about."""
        return sum(f"token={kind}-".encode() in one.body for one in self.issuer.received)

    def status(self, data: bytes, source: str = HONEST) -> int:
        """Send a call from an address, and return its status."""
        with connect(self.ward.port, 15, source=source) as wire:
            return status_of(wire, data)


@contextmanager
def asking(folder: Path, *, delay_s: float, failures: str = "10/minute") -> Iterator[Site]:
    issuer = Issuer()
    trusted = issuers(main=issuer.metadata)
    trusted += 'introspection = true\nclient_id = "mcpward"\nclient_secret = "env:PROVIDER_SECRET"\n'
    limits = f'[limits]\nauth_failures = "{failures}"\nrequests = "1000000/minute"\n'
    servers, env = oauth_server("demo", "main"), {"PROVIDER_SECRET": "s3cr3t"}
    with listening(issuer), guarded(folder / "site", servers, trusted, toml=limits, env=env) as ward:
        site = Site(ward, issuer)
        claims: dict[str, Any] = {"active": True} | issuer.mint(site.door.resource).claims()

        def say(body: bytes) -> dict[str, Any]:
            return claims if f"token={GOOD}-".encode() in body else {"active": False}

        issuer.documents[ASK] = Document(say, delay_s=delay_s)
        assert site.status(site.call()) == 200
        yield site


def test_attack_136_of_guesses_at_once_no_more_reach_the_provider_than_may_fail(tmp_path: Path):
    with asking(tmp_path, delay_s=0.05) as site:
        wires = [connect(site.ward.port, 15, source=STRANGER) for _ in range(103)]
        try:
            told = volley(wires, [site.call(BAD) for _ in wires])
        finally:
            for wire in wires:
                wire.close()
        assert site.asked(BAD) == 10
        assert told == {401: 10, 429: 93}


def test_attack_136_guesses_of_callers_who_leave_at_once_are_counted_too(tmp_path: Path):
    with asking(tmp_path, delay_s=0.2) as site:
        for _ in range(60):
            with connect(site.ward.port, 15, source=STRANGER) as wire:
                wire.sendall(site.call(BAD))
        assert site.status(site.call(BAD), STRANGER) == 429
        assert site.asked(BAD) <= 10


def test_attack_136_many_good_tokens_of_one_address_are_all_let_in_at_once(tmp_path: Path):
    """A team behind one address, whose tokens are all new in the morning."""
    with asking(tmp_path, delay_s=0.01) as site:
        wires = [connect(site.ward.port, 15, source="127.0.0.77") for _ in range(100)]
        try:
            assert volley(wires, [site.call() for _ in wires]) == {200: 100}
        finally:
            for wire in wires:
                wire.close()


def test_attack_137_crowds_that_guess_keep_no_good_token_of_another_address_out(tmp_path: Path):
    """One address, then fifty, guess as fast as they can at a provider that takes its time."""
    with asking(tmp_path, delay_s=0.15, failures="1000/minute") as site:
        for who in ((STRANGER,), CROWD):
            over, told = threading.Event(), Counter[int]()

            def guess(addresses: tuple[str, ...], over: threading.Event, told: Counter[int]) -> None:
                wires = [connect(site.ward.port, 15, source=each) for each in addresses]
                try:
                    while not over.is_set():
                        told += volley(wires, [site.call(BAD) for _ in wires])
                finally:
                    for wire in wires:
                        wire.close()

            crowd = threading.Thread(target=guess, args=(who * (100 // len(who)), over, told))
            crowd.start()
            try:
                seen = Counter(site.status(site.call()) for _ in range(20))
            finally:
                over.set()
                crowd.join(60)
            show(f"{len(who)} guessing, told {dict(told)}: new good tokens of another address {dict(seen)}")
            assert seen == {200: 20}
