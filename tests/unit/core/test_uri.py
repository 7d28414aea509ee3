"""Spellings of a URI (RFC 3986 §6.2.2)."""

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.uri import canonical, is_same

PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%{}"), max_size=40)


@pytest.mark.parametrize(
    "uri, spelt",
    [
        ("docs://a/b?c=d&e#f", "docs://a/b?c=d&e#f"),
        ("docs://caf\u00e9", "docs://caf%C3%A9"),
        ("docs://caf%c3%a9", "docs://caf%C3%A9"),
        ("docs://%63af%C3%A9/%7Euser", "docs://caf%C3%A9/~user"),
        ("docs://a b", "docs://a%20b"),
        ("docs://a%2fb", "docs://a%2Fb"),
        ("docs://100%25", "docs://100%25"),
        ("docs://%2541", "docs://%2541"),
        ("Docs://Host", "Docs://Host"),
        ("docs://\U0001f600", "docs://%F0%9F%98%80"),
        ('docs://<a>"\\^`|', "docs://%3Ca%3E%22%5C%5E%60%7C"),
        ("", ""),
    ],
)
def test_a_uri_has_one_spelling(uri, spelt):
    assert canonical(uri) == spelt
    assert is_same(uri, spelt)


@pytest.mark.parametrize("uri", ["%", "a%", "a%2", "a%zz", "%%41", "a{b}", "a}", "\ud800"])
def test_what_is_no_uri_has_none(uri):
    assert canonical(uri) is None
    assert not is_same(uri, uri + "x")


@given(PLAIN)
def test_the_spelling_says_the_same_and_is_found_once(uri):
    spelt = canonical(uri)
    assert spelt is not None
    assert spelt.isascii()
    assert unquote_to_bytes(spelt) == uri.encode()
    assert canonical(spelt) == spelt


@given(PLAIN, st.booleans())
def test_escaping_what_need_not_be_changes_nothing(text, is_lower):
    every = "".join(f"%{byte:02x}" if is_lower else f"%{byte:02X}" for byte in text.encode())
    assert canonical(every) == quote(text, safe="")


@given(st.text(st.sampled_from("ab%2Ff/.{é 5"), max_size=30))
def test_nothing_is_decoded_twice(uri):
    spelt = canonical(uri)
    if spelt is not None:
        assert canonical(spelt) == spelt
        assert unquote_to_bytes(spelt) == unquote_to_bytes(uri)
