"""A real identity provider that is killed, held, slowed, poisoned and rotated while people call: what callers saw.

The rule: an outage is served from what is known, or it is 503 with a time to come back. It is never 401: after a 401, a
client throws a good token away and sends its person to log in again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from support.guarded import Door, guarded, issuers, oauth_server
from support.load import Crowd, Seen, figures, percentile, show, statuses
from support.provider import Provider, keys_of, providing
from support.tokens import Mint, b64

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]

PEOPLE = 12
TROUBLE_S = 5.0
FOLLOWS_S = 5.0


@pytest.fixture
def provider(node: Path) -> Iterator[Provider]:
    with providing() as provider:
        yield provider


@pytest.fixture
def door(tmp_path: Path, provider: Provider) -> Iterator[Door]:
    with guarded(tmp_path / "site", oauth_server("demo", "main"), issuers(main=provider.metadata)) as ward:
        yield Door(ward)
        assert "Traceback" not in ward.log()


def messages(door: Door, tokens: Sequence[str]) -> Callable[[int], bytes]:
    """Calls of all these people, one after the other."""
    calls = [door.message(lines=[("Authorization", f"Bearer {token}")]) for token in tokens]
    return lambda number: calls[number % len(calls)]


def people(door: Door, provider: Provider) -> list[str]:
    """A token for each, in all algorithms."""
    kinds = ("machine-RS256", "machine-PS256", "machine-ES256", "machine-EdDSA")
    return [provider.machine_token(door.resource, client=kinds[at % len(kinds)]) for at in range(PEOPLE)]


def require_calm(seen: Sequence[Seen], what: str) -> None:
    """Every caller was served, in about the time it takes without trouble."""
    show(figures(what, seen))
    assert statuses(seen).keys() == {200}
    assert len(seen) > 100
    assert percentile(seen, 0.99) < 1.0


def test_while_the_provider_is_dead_everybody_it_knew_is_served(door: Door, provider: Provider):
    """Also those whose tokens mcpward sees for the first time after the provider's death: the keys are known."""
    known, fresh = people(door, provider), people(door, provider)
    with Crowd(door.ward.port, messages(door, known)) as crowd:
        time.sleep(2)
        provider.kill()
        died = time.monotonic()
        assert all(map(door.lets_in, fresh))
        time.sleep(TROUBLE_S)
        require_calm(crowd.seen(until=died), "before its death")
        require_calm(crowd.seen(since=died), "after its death")
    provider.start()
    assert door.lets_in(provider.machine_token(door.resource))


def test_while_the_provider_hangs_nobody_waits_for_it(door: Door, provider: Provider):
    """It takes connections and never answers. Tokens under unknown keys wait at most as long as one call out may."""
    known = people(door, provider)
    stranger = provider.machine_token(door.resource)
    time.sleep(4.2)  # a look for an unknown key is allowed from here on
    with Crowd(door.ward.port, messages(door, known)) as crowd:
        time.sleep(1)
        provider.pause()
        held = time.monotonic()
        try:
            started = time.monotonic()
            answer = door.knock(unknown(stranger))
            waited = time.monotonic() - started
            time.sleep(TROUBLE_S)
        finally:
            provider.resume()
        require_calm(crowd.seen(since=held), "while it hangs")
        show(f"an unknown key was told {answer.status} after {waited:.2f} s")
        assert answer.status == 401  # the last good set says that there is no such key (attack 25)
        assert waited < 4


def test_while_the_provider_is_slow_nobody_waits_for_it(door: Door, provider: Provider):
    """Only a caller with an unknown key waits, and so causes the look that all others must not notice."""
    known = people(door, provider)
    time.sleep(4.2)
    provider.behave(delay=1.5)
    slowed = time.monotonic()
    with Crowd(door.ward.port, messages(door, known)) as crowd:
        answer = door.knock(unknown(known[0]))
        show(f"an unknown key was told {answer.status} after {time.monotonic() - slowed:.2f} s")
        assert answer.status == 401
        time.sleep(TROUBLE_S)
        require_calm(crowd.seen(since=slowed), "while it is slow")
    provider.behave()


POISON: dict[str, dict[str, object]] = {
    "an empty set": {"body": '{"keys":[]}'},
    "3 MB": {"body": "x" * 3_000_000},
    "a page": {"type": "text/html", "body": "<h1>gone</h1>"},
    "an error": {"status": 500, "body": "{}"},
    "a redirect": {"status": 302, "location": "http://169.254.169.254/", "body": ""},
}


def test_while_the_provider_is_poisoned_the_last_good_keys_count(door: Door, provider: Provider):
    known, fresh = people(door, provider), people(door, provider)
    time.sleep(4.2)  # from here on a look for an unknown key is allowed, and each that fails is made again
    with Crowd(door.ward.port, messages(door, known), per_s=40) as crowd:
        for what, answer in POISON.items():
            poisoned, before = time.monotonic(), provider.asked["GET /jwks"]
            provider.behave(answers={"/jwks": answer})
            while provider.asked["GET /jwks"] == before:
                assert door.knock(unknown(known[0])).status == 401
                assert time.monotonic() - poisoned < 10
                time.sleep(0.1)
            time.sleep(0.3)
            assert all(map(door.lets_in, fresh)), what
            show(figures(f"while {what} is in the place of its keys", crowd.seen(since=poisoned)))
        require_calm(crowd.seen(), "in all that time")
        provider.behave()
        before = provider.asked["GET /jwks"]
        while provider.asked["GET /jwks"] == before:
            assert time.monotonic() - poisoned < 20
            time.sleep(0.1)
    assert all(map(door.lets_in, fresh))


def unknown(token: str) -> str:
    """The same token under an unknown key name."""
    return ".".join([b64(b'{"alg":"RS256","kid":"new","typ":"at+jwt"}'), *token.split(".")[1:]])


def test_a_change_of_keys_under_load_is_followed_and_ends_the_old_tokens(door: Door, provider: Provider):
    """Killed and started with other keys at the same address. New tokens are good within 5 s; old ones end then."""
    old = people(door, provider)
    with Crowd(door.ward.port, messages(door, old)) as crowd:
        time.sleep(5)
        provider.restart(keys_of("second"))
        changed = time.monotonic()
        new = people(door, provider)
        issued = time.monotonic()
        while not door.lets_in(new[0]):
            assert time.monotonic() - issued < FOLLOWS_S
            time.sleep(0.05)
        followed = time.monotonic()
        time.sleep(0.5)  # what was under way is over
        settled = time.monotonic()
        with Crowd(door.ward.port, messages(door, new)) as others:
            time.sleep(3)
        show(f"new keys were followed {followed - issued:.2f} s after the first token under them was shown")
        show(figures("old tokens before", crowd.seen(until=changed)))
        show(figures("old tokens meanwhile", crowd.seen(changed, followed)))
        show(figures("old tokens after", crowd.seen(since=settled)))
        require_calm(others.seen(), "new tokens")
        assert statuses(crowd.seen(until=changed)).keys() == {200}
        assert statuses(crowd.seen(changed, issued)).keys() <= {200}
        assert statuses(crowd.seen(since=settled)).keys() == {401}


def test_a_change_of_keys_is_followed_by_every_worker(tmp_path: Path, provider: Provider):
    """Each has its own memory; the kernel gives some of the connections to each."""
    servers, trusted = oauth_server("demo", "main"), issuers(main=provider.metadata)
    with guarded(tmp_path / "site", servers, trusted, start=False) as ward:
        config = ward.folder / "mcpward.toml"
        config.write_text(config.read_text().replace("[site]", "[site]\nworkers = 2"))
        ward.start()
        door = Door(ward)
        old = provider.machine_token(door.resource)
        assert {door.knock(old).status for _ in range(40)} == {200}
        time.sleep(4.2)
        provider.restart(keys_of("second"))
        new = provider.machine_token(door.resource)
        changed, row = time.monotonic(), 0
        while row < 40:
            assert time.monotonic() - changed < 2 * FOLLOWS_S
            row = row + 1 if door.lets_in(new) else 0
        show(f"all workers had followed after {time.monotonic() - changed:.2f} s")
        assert {door.knock(old).status for _ in range(40)} == {401}


def test_a_house_that_opens_before_its_provider_says_503_until_it_is_there(tmp_path: Path, node: Path):
    with providing() as provider:
        provider.kill()
        with guarded(tmp_path / "site", oauth_server("demo", "main"), issuers(main=provider.metadata)) as ward:
            door = Door(ward)
            tokens = [Mint(provider.issuer, door.resource, key).token() for key in provider.keys]
            with Crowd(ward.port, messages(door, tokens), per_s=20) as crowd:
                time.sleep(4)
                up = time.monotonic()
                provider.start()
                while door.knock(tokens[0]).status != 200:
                    assert time.monotonic() - up < 15
                    time.sleep(0.1)
                well = time.monotonic()
                time.sleep(1)
                show(figures("before it was there", crowd.seen(until=up)))
                show(f"everybody was let in {well - up:.2f} s after it came up")
                assert statuses(crowd.seen(until=up)).keys() == {503}
                assert statuses(crowd.seen(up, well)).keys() <= {200, 503}
                assert statuses(crowd.seen(since=well)).keys() == {200}
