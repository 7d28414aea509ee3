import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.identity.credential import plain, read
from support.arrivals import arrival
from support.facts import facts_of

AUTH, KEY = b"authorization", b"x-api-key"


def shown(headers: dict[bytes, bytes], repeated: frozenset[bytes] = frozenset()) -> str | Reason | None:
    try:
        secret = read(arrival(headers=headers, repeated=repeated))
    except Refusal as refusal:
        return refusal.reason
    return None if secret is None else secret.reveal()


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
def test_the_scheme_has_no_case(scheme: bytes) -> None:
    assert shown({AUTH: scheme + b" token-._~+/1="}) == "token-._~+/1="


@pytest.mark.parametrize("spaces", [1, 2, 3, 100])
def test_one_or_more_spaces_follow_the_scheme(spaces: int) -> None:
    """RFC 6750 §2.1, RFC 9110 §11.4."""
    assert shown({AUTH: b"Bearer" + b" " * spaces + b"a"}) == "a"


A_KEY = b"sk-mcpward-" + b"a" * 12 + b"_" + b"b" * 49


@pytest.mark.parametrize(
    "value",
    [
        A_KEY, b"'" + A_KEY + b"'", b'"' + A_KEY + b'"', b"Bearer " + A_KEY, b"Bearer '" + A_KEY + b"'",
        b'bearer  "' + A_KEY + b'"', b"Bearer Bearer " + A_KEY, b"Bearer  bearer  " + A_KEY,
    ],
)  # fmt: skip
@pytest.mark.parametrize("header", [AUTH, KEY])
def test_a_whole_key_is_read_however_it_was_pasted(header: bytes, value: bytes) -> None:
    assert shown({header: value}) == A_KEY.decode()


@pytest.mark.parametrize(
    "value",
    [
        A_KEY[:-1], A_KEY + b"c", A_KEY + b" ", b"'" + A_KEY, b"'" + A_KEY + b'"', b"Basic " + A_KEY, b"Token " + A_KEY,
        b"Bearer\t" + A_KEY, b"Bearer Bearer Bearer " + A_KEY, A_KEY + b" " + A_KEY, A_KEY + b"," + A_KEY,
        b"Bearer Bearer a", b'Bearer "a"', b"SK" + A_KEY[2:],
    ],
)  # fmt: skip
def test_what_is_no_whole_key_is_not_repaired(value: bytes) -> None:
    assert shown({AUTH: value}) is Reason.CREDENTIAL_INVALID


def test_the_other_header_does_as_well() -> None:
    assert shown({KEY: b"token"}) == "token"


def test_no_header_is_no_credential() -> None:
    assert shown({b"cookie": b"authorization=Bearer x"}) is None
    assert shown({}, frozenset({b"cookie"})) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"Bearer\ta",
        b" Bearer a",
        b"Bearer a ",
        b"Bearer a b",
        b"Bearer a\n",
        b"Bearer a\0",
        b"Bearer \x7f",
        b"Bearer a,Bearer b",
        b"Bearer =",
        b"Bearer \xc3\xa9",
        b"Basic YTpi",
        b"Bearera",
        b"a",
        b"Digest x",
        b"Bearer=a",
        b"Bearer " + b"a" * 506,
    ],
)
def test_one_rule_and_no_second_reading(value: bytes) -> None:
    """Attack 32: tabs, other schemes, control characters, lists, an empty or an overlong value."""
    assert shown({AUTH: value}) is Reason.CREDENTIAL_INVALID


@pytest.mark.parametrize("value", [b"", b" ", b"a b", b"a\n", b"\ta", b"a\0", b"\xc3\xa9", b"a" * 513])
def test_the_other_header_has_one_rule_too(value: bytes) -> None:
    assert shown({KEY: value}) is Reason.CREDENTIAL_INVALID


@pytest.mark.parametrize(
    "headers, repeated",
    [
        ({AUTH: b"Bearer a", KEY: b"a"}, frozenset()),
        ({AUTH: b"", KEY: b""}, frozenset()),
        ({AUTH: b"Bearer a"}, frozenset({AUTH})),
        ({KEY: b"a"}, frozenset({KEY, b"cookie"})),
    ],
)
def test_two_credentials_are_refused_even_when_they_are_equal(headers, repeated) -> None:
    assert shown(headers, repeated) is Reason.CREDENTIAL_AMBIGUOUS


def test_the_longest_credential_still_passes() -> None:
    assert shown({AUTH: b"Bearer " + b"a" * 505}) == "a" * 505
    assert shown({KEY: b"a" * 512}) == "a" * 512


def test_no_refusal_quotes_what_was_sent() -> None:
    with pytest.raises(Refusal) as refused:
        read(arrival(headers={AUTH: b"Basic canary-value"}))
    assert "canary" not in f"{refused.value!r} {refused.value.detail} {facts_of(refused.value)}"


@pytest.mark.parametrize("others", [set(), {b"accept"}, {b"x-forwarded-for", b"traceparent"}])
def test_a_credential_is_in_no_doubt_where_other_fields_came_twice(others: set[bytes]) -> None:
    """Else a known token would be verified anew with each request, which others at its address can use up."""
    headers = {AUTH: b"Bearer a"}
    assert plain(arrival(headers=headers, repeated=frozenset(others))) == b"Bearer a"
    assert plain(arrival(headers=headers, repeated=frozenset(others | {AUTH}))) is None
    assert plain(arrival(headers=headers | {KEY: b"a"}, repeated=frozenset(others))) is None
