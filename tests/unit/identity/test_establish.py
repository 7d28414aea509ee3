import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, AuthMethod, Principal
from mcpward.crypto.digest import Pepper
from mcpward.identity.establish import Identity
from mcpward.identity.keys.api_key import checksum, issue
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.key_lookup import MOST_OF_ONE, MOST_WAITING, KeyLookup
from mcpward.identity.keys.records import KeyRecord
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.identity.mode import Mode
from support.arrivals import arrival
from support.clock import ManualClock
from support.facts import facts_of

PEPPER, CLOCK = Pepper(b"p" * 32), ManualClock()
MODES = {"orders": Mode.API_KEY, "people": Mode.API_KEY, "hidden": Mode.UNLISTED, "open": Mode.PUBLIC}
KEYS, URLS = KeyCache(PEPPER, CLOCK), UrlCache(PEPPER, CLOCK)
IDENTITY = Identity(MODES, KEYS, URLS)
_secret, _record = issue(PEPPER, CLOCK, name="ann", servers=["orders"])
_url, _url_record = URLS.issue("hidden")
KEY, URL = _secret.reveal(), _url.reveal()
KEYS.apply([_record])
URLS.apply([_url_record])
KEYS.mark_fresh(CLOCK.monotonic())
URLS.mark_fresh(CLOCK.monotonic())
BEARER = {b"authorization": b"Bearer " + KEY.encode()}


def known(identity: Identity, one: Arrival) -> Principal:
    """Return a caller who is known at once: no provider is asked."""
    found = identity.establish(one)
    assert isinstance(found, Principal)
    return found


def answer(one: Arrival) -> AuthMethod | Reason:
    try:
        return known(IDENTITY, one).way
    except Refusal as refusal:
        return refusal.reason


def test_each_server_has_its_own_way_in() -> None:
    assert answer(arrival("orders", headers=BEARER)) is AuthMethod.API_KEY
    assert answer(arrival("hidden", URL)) is AuthMethod.UNLISTED
    assert answer(arrival("open")) is AuthMethod.ANONYMOUS


def test_no_way_falls_back_to_another() -> None:
    assert answer(arrival("orders")) is Reason.CREDENTIAL_MISSING
    assert answer(arrival("orders", headers={b"authorization": b"Bearer "})) is Reason.CREDENTIAL_INVALID
    assert answer(arrival("orders", URL, headers=BEARER)) is Reason.ROUTE_UNKNOWN
    assert answer(arrival("open", URL)) is Reason.ROUTE_UNKNOWN
    assert answer(arrival("hidden", headers=BEARER)) is Reason.ROUTE_UNKNOWN
    assert answer(arrival("hidden", KEY)) is Reason.ROUTE_UNKNOWN
    assert answer(arrival("nobody", headers=BEARER)) is Reason.ROUTE_UNKNOWN


def test_a_key_of_another_server_is_refused_as_an_unknown_one_is() -> None:
    """Attack 37: the same reason and facts; only the record says which of them it was."""
    unknown = issue(PEPPER, CLOCK, name="ann", servers=["people"])[0].reveal().encode()
    said = []
    for headers in (BEARER, {b"authorization": b"Bearer " + unknown}):
        with pytest.raises(Refusal) as refused:
            IDENTITY.establish(arrival("people", headers=headers))
        said.append((refused.value.reason, facts_of(refused.value)))
    assert said[0] == said[1]
    assert said[0][0] is Reason.CREDENTIAL_INVALID


def test_headers_mean_nothing_where_they_are_not_the_credential() -> None:
    for headers in (BEARER, {b"authorization": b"nonsense"}, {b"authorization": b"", b"x-api-key": b""}):
        assert answer(arrival("open", headers=headers)) is AuthMethod.ANONYMOUS
        assert answer(arrival("hidden", URL, headers=headers)) is AuthMethod.UNLISTED


def test_a_web_page_with_the_secret_url_is_turned_away_and_without_it_learns_nothing() -> None:
    for origin in (b"https://evil.example", b"null", b"", b"http://127.0.0.1:8000"):
        assert answer(arrival("hidden", URL, headers={b"origin": origin})) is Reason.ORIGIN_REFUSED
        assert answer(arrival("hidden", "0" * 48, headers={b"origin": origin})) is Reason.ROUTE_UNKNOWN


def test_anonymous_callers_are_counted_under_their_network() -> None:
    """Attack 107: the bucket, never a header."""
    one = arrival("open", peer="2001:db8::1", bucket="2001:db8::/64", headers={b"x-forwarded-for": b"192.0.2.9"})
    assert known(IDENTITY, one).key == "anonymous:2001:db8::/64"


@pytest.mark.parametrize("given", [None, Access.READ, Access.WRITE, Access.DESTRUCTIVE])
def test_callers_without_a_key_have_the_class_of_their_server_and_keys_their_own(given) -> None:
    access = {} if given is None else dict.fromkeys(MODES, given)
    identity = Identity(MODES, KEYS, URLS, access)
    for one in (arrival("open"), arrival("hidden", URL)):
        assert known(identity, one).access is (given or Access.READ)
    assert known(identity, arrival("orders", headers=BEARER)).access is _record.access is Access.READ


def test_no_principal_holds_the_credential() -> None:
    for one in (arrival("orders", headers=BEARER), arrival("hidden", URL)):
        principal = known(IDENTITY, one)
        held = repr([getattr(principal, name) for name in principal.__struct_fields__])
        assert KEY[24:] not in held
        assert URL not in held


def test_a_mode_may_be_given_by_its_word_and_no_other_word_is_one() -> None:
    words: Any = {"orders": "api-key"}
    assert known(Identity(words, KEYS, URLS), arrival("orders", headers=BEARER)).way is AuthMethod.API_KEY
    for word in ("basic", "API-KEY", "", "oauth"):  # the last one without a provider
        with pytest.raises(ValueError):
            Identity({"orders": word}, KEYS, URLS)  # type: ignore[dict-item]  # that is the mistake
    with pytest.raises(KeyError):
        Identity({"orders": ["api-key", "public"]}, KEYS, URLS)  # type: ignore[list-item]  # one of two modes


def test_only_the_right_url_of_an_unlisted_server_is_known() -> None:
    assert IDENTITY.knows_url("hidden", URL)
    assert not IDENTITY.knows_url("hidden", "0" * 48)
    assert not IDENTITY.knows_url("orders", URL)
    assert not IDENTITY.knows_url("orders", KEY)
    assert not IDENTITY.knows_url("nobody", URL)


def test_36_a_key_that_was_let_in_before_is_looked_at_anew_each_time() -> None:
    """Revoked, expired, for elsewhere, or in a doubtful request: only the proof is remembered."""
    clock = ManualClock()
    keys = KeyCache(PEPPER, clock)
    secret, record = issue(PEPPER, clock, name="ann", servers=["orders"], expires_at=clock.now() + 60)
    identity = Identity({"orders": Mode.API_KEY, "people": Mode.API_KEY}, keys, UrlCache(PEPPER, clock))
    bearer = {b"authorization": b"Bearer " + secret.reveal().encode()}

    def reason(server: str = "orders", **request: Any) -> Reason | None:
        keys.mark_fresh(clock.monotonic())
        try:
            identity.establish(arrival(server, headers=bearer, **request))
        except Refusal as refusal:
            return refusal.reason
        return None

    keys.apply([record])
    assert [reason(), reason()] == [None, None]
    assert reason("people") is Reason.CREDENTIAL_INVALID
    assert reason(repeated=frozenset({b"authorization"})) is Reason.CREDENTIAL_AMBIGUOUS
    clock.advance(61)
    assert reason() is Reason.CREDENTIAL_INVALID
    keys.apply([replace(record, expires_at=None)])
    assert reason() is None
    keys.apply([replace(record, expires_at=None, revoked_at=clock.now())])
    assert reason() is Reason.CREDENTIAL_INVALID


def test_34_what_is_remembered_of_a_proven_key_does_not_show_it() -> None:
    keys = KeyCache(PEPPER, CLOCK)
    keys.apply([_record])
    keys.mark_fresh(CLOCK.monotonic())
    identity = Identity(MODES, keys, URLS)
    identity.establish(arrival("orders", headers=BEARER))
    assert KEY not in repr(vars(keys))
    assert KEY[-20:] not in repr(vars(keys))


# ---- keys that are not at hand --------------------------------------------------------------------------------------


class Made:
    """A cache without its newest key until a request looks; ``looks`` counts how often."""

    def __init__(self, *, is_read: bool = True) -> None:
        self.keys, self.looks, self.is_read = KeyCache(PEPPER, CLOCK), 0, is_read
        secret, self.record = issue(PEPPER, CLOCK, name="ben", servers=["orders"])
        self.key = secret.reveal()
        self.keys.mark_fresh(CLOCK.monotonic())
        self.identity = Identity(MODES, self.keys, URLS, look=self.look)

    async def look(self) -> bool:
        self.looks += 1
        if self.is_read:
            self.keys.apply([self.record])
        return self.is_read

    async def told(self, key: str, server: str = "orders") -> AuthMethod | Reason:
        try:
            found = self.identity.recall(arrival(server, headers={b"authorization": b"Bearer " + key.encode()}))
            assert found is not None
            return (found if isinstance(found, Principal) else await found).way
        except Refusal as refusal:
            return refusal.reason


async def test_a_key_that_is_not_at_hand_is_looked_for_before_it_is_refused() -> None:
    made = Made()
    assert [await made.told(made.key) for _ in range(3)] == [AuthMethod.API_KEY] * 3
    assert made.looks == 1


class TakenIn(KeyCache):
    """The thread that follows the store takes a key in after the request has looked for it here."""

    record: KeyRecord

    def unknown(self, text: str) -> bytes | None:
        self.apply([self.record])
        return super().unknown(text)


async def test_a_key_that_comes_in_while_it_is_looked_for_is_served() -> None:
    made, keys = Made(), TakenIn(PEPPER, CLOCK)
    keys.record = made.record
    keys.mark_fresh(CLOCK.monotonic())
    made.identity = Identity(MODES, keys, URLS, look=made.look)
    assert await made.told(made.key) is AuthMethod.API_KEY


async def test_a_text_that_is_no_key_is_looked_for_once_whether_its_id_is_known_or_not() -> None:
    """Attack 33: a wrong secret under a known id takes as long as an unknown id."""
    made = Made()
    made.keys.apply([made.record])
    known = made.record.id
    for number, key_id in enumerate((known, "zZzZzZzZzZzZ"), 1):
        body = f"sk-mcpward-{key_id}_{'B' * 43}"
        assert [await made.told(body + checksum(body)) for _ in range(3)] == [Reason.CREDENTIAL_INVALID] * 3
        assert made.looks == number


async def test_a_wrong_checksum_and_a_key_that_is_known_and_opens_nothing_here_are_not_looked_for() -> None:
    made = Made()
    made.keys.apply([replace(made.record, revoked_at=CLOCK.now())])
    assert await made.told(made.key) is Reason.CREDENTIAL_INVALID
    assert await made.told(made.key[:-1] + "!") is Reason.CREDENTIAL_INVALID
    made.keys.apply([made.record])
    assert await made.told(made.key, "people") is Reason.CREDENTIAL_INVALID
    assert made.looks == 0


async def test_a_store_that_cannot_be_read_says_nothing_of_a_key() -> None:
    made = Made(is_read=False)
    assert [await made.told(made.key) for _ in range(2)] == [Reason.IDENTITY_UNAVAILABLE] * 2
    assert made.looks == 2  # and it is looked for again


async def test_what_is_remembered_of_refused_texts_is_bounded() -> None:
    lookup = KeyLookup(Made().look)
    for number in range(30_000):
        lookup.refuse(number.to_bytes(4, "big"))
    assert sum(lookup.was_refused(number.to_bytes(4, "big")) for number in range(30_000)) == 10_000


async def test_no_more_than_a_thousand_wait_for_the_store_at_once() -> None:
    gate = asyncio.Event()

    async def look() -> bool:
        return await gate.wait()

    lookup = KeyLookup(look)
    waiting = [asyncio.create_task(lookup.look()) for _ in range(MOST_WAITING + 10)]
    await asyncio.sleep(0)
    gate.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in told] == [type(None)] * MOST_WAITING + [Refusal] * 10


# ---- a snapshot that was not confirmed for a second ------------------------------------------------------------------


class Paused:
    """A worker that has stood still for ``seconds``. A look makes its caches fresh again, if the store answers."""

    def __init__(self, seconds: float, *, answers: bool = True) -> None:
        self.clock, self.answers, self.looks = ManualClock(), answers, 0
        self.gate: asyncio.Event | None = None
        self.given_up = 0
        self.keys, self.urls = KeyCache(PEPPER, self.clock), UrlCache(PEPPER, self.clock)
        self.key, self.record = issue(PEPPER, self.clock, name="ben", servers=["orders"])
        self.url, url_record = self.urls.issue("hidden")
        self.keys.apply([self.record])
        self.urls.apply([url_record])
        self.news: list[KeyRecord] = []
        for book in (self.keys, self.urls):
            book.mark_fresh(self.clock.monotonic())
        self.identity = Identity(MODES, self.keys, self.urls, look=self.look)
        self.clock.advance(seconds)

    async def look(self) -> bool:
        self.looks += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.looks <= self.given_up:
            return False
        if self.answers:
            self.keys.apply(self.news)
            for book in (self.keys, self.urls):
                book.mark_fresh(self.clock.monotonic())
        return self.answers

    def arrivals(self) -> tuple[Arrival, Arrival]:
        with_key = arrival("orders", headers={b"authorization": b"Bearer " + self.key.reveal().encode()})
        return with_key, arrival("hidden", self.url.reveal())

    async def told(self, one: Arrival) -> AuthMethod | Reason:
        try:
            found = self.identity.establish(one)
            return (found if isinstance(found, Principal) else await found).way
        except Refusal as refusal:
            return refusal.reason


@pytest.mark.parametrize("seconds", [1.1, 3.1, 3600.0])
async def test_attack_123_a_good_credential_is_confirmed_after_a_pause_of_our_own_and_not_refused(seconds) -> None:
    for at, way in ((0, AuthMethod.API_KEY), (1, AuthMethod.UNLISTED)):
        paused = Paused(seconds)
        one = paused.arrivals()[at]
        strict: Any = Strict()
        assert paused.identity.vouch(one, strict) is None  # its body is read, whatever its address has done
        assert [await paused.told(one) for _ in range(3)] == [way] * 3
        assert paused.looks == 1


async def test_attack_36_what_was_revoked_during_a_pause_is_not_served_after_it() -> None:
    paused = Paused(1.1)
    paused.news.append(replace(paused.record, revoked_at=paused.clock.now()))
    assert await paused.told(paused.arrivals()[0]) is Reason.CREDENTIAL_INVALID


@pytest.mark.parametrize("seconds", [1.1, 2.9, 3.1])
async def test_attack_36_a_store_that_does_not_answer_may_hide_a_revocation(seconds) -> None:
    paused = Paused(seconds, answers=False)
    assert [await paused.told(one) for one in paused.arrivals()] == [Reason.IDENTITY_UNAVAILABLE] * 2
    paused.answers = True
    assert [await paused.told(one) for one in paused.arrivals()] == [AuthMethod.API_KEY, AuthMethod.UNLISTED]


async def test_for_a_second_nobody_has_to_ask_a_store_that_does_not_answer() -> None:
    paused = Paused(0.9, answers=False)
    assert [await paused.told(one) for one in paused.arrivals()] == [AuthMethod.API_KEY, AuthMethod.UNLISTED]
    assert paused.looks == 0


async def test_attack_123_an_answer_that_our_own_loop_takes_late_is_waited_for() -> None:
    for at, way in ((0, AuthMethod.API_KEY), (1, AuthMethod.UNLISTED)):
        paused = Paused(1.1)
        paused.gate = asyncio.Event()
        told = asyncio.create_task(paused.told(paused.arrivals()[at]))
        await asyncio.sleep(0)
        paused.clock.advance(60.0)
        paused.gate.set()
        assert await told is way


async def test_attack_123_a_look_that_was_given_up_in_a_pause_refuses_nobody_whom_the_store_confirms() -> None:
    """By the next look, or by a poll meanwhile."""
    for looks in (1, 2):
        for at, way in ((0, AuthMethod.API_KEY), (1, AuthMethod.UNLISTED)):
            paused = Paused(1.1)
            paused.gate, paused.given_up = asyncio.Event(), 1
            told = asyncio.create_task(paused.told(paused.arrivals()[at]))
            await asyncio.sleep(0)
            if looks == 1:
                for book in (paused.keys, paused.urls):
                    book.mark_fresh(paused.clock.monotonic())
            paused.gate.set()
            assert await told is way
            assert paused.looks == looks


async def test_a_key_that_is_over_is_refused_without_a_look_and_takes_nobodys_place() -> None:
    for over in ({"revoked_at": 1.0}, {"expires_at": 1.0}, {"grace_until": 1.0}):
        paused = Paused(1.1)
        paused.keys.apply([replace(paused.record, **over)])
        assert await paused.told(paused.arrivals()[0]) is Reason.CREDENTIAL_INVALID
        strict: Any = Strict()
        refused = paused.identity.vouch(paused.arrivals()[0], strict)
        assert refused is not None
        assert refused.reason is Reason.CREDENTIAL_INVALID
        assert paused.looks == 0


async def test_who_waits_with_one_key_keeps_nobody_else_from_being_confirmed() -> None:
    """A good key at a server that it does not open, and made-up keys: each stays in a line of its own."""
    paused = Paused(1.1)
    other, record = issue(PEPPER, paused.clock, name="eve", servers=["people"])
    paused.keys.apply([record])
    paused.gate = asyncio.Event()
    body = "sk-mcpward-zZzZzZzZzZzZ_" + "B" * 43
    crowds = [
        [asyncio.create_task(paused.told(bearing(key))) for _ in range(MOST_WAITING + 10)]
        for key in (other.reveal(), body + checksum(body))
    ]
    await asyncio.sleep(0)
    good = [asyncio.create_task(paused.told(one)) for one in paused.arrivals() * 100]
    await asyncio.sleep(0)
    paused.gate.set()
    assert set(await asyncio.gather(*good)) == {AuthMethod.API_KEY, AuthMethod.UNLISTED}
    for crowd, most in zip(crowds, (MOST_OF_ONE, MOST_WAITING), strict=True):
        told = await asyncio.gather(*crowd)
        assert told[:most] == [Reason.CREDENTIAL_INVALID] * most
        assert set(told[most:]) == {Reason.IDENTITY_UNAVAILABLE}
    assert await paused.told(bearing(other.reveal())) is Reason.CREDENTIAL_INVALID  # the line is empty again


def bearing(key: str) -> Arrival:
    return arrival("orders", headers={b"authorization": b"Bearer " + key.encode()})


class Strict:
    """An address that has failed too often."""

    def require_failure(self, bucket: str) -> None:
        raise Refusal(Reason.ADDRESS_RATE_EXCEEDED, bucket)
