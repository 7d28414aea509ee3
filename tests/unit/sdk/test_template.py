"""Which URIs a template stands for, and that a value names nothing but itself (attack 78)."""

import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.template import read_template

ONE = read_template("orders://{order_id}/lines")
MANY = read_template("files://{drive}/{path*}")
QUERY = read_template("search://all?term={term}&page={page}")


@pytest.mark.parametrize(
    "uri,values",
    [
        ("orders://17/lines", {"order_id": "17"}),
        ("orders://a%20b/lines", {"order_id": "a b"}),
        ("orders://M%C3%BCnchen/lines", {"order_id": "München"}),
        ("orders://a:b@c;d=e/lines", {"order_id": "a:b@c;d=e"}),
        ("orders://100%25/lines", {"order_id": "100%"}),
        ("orders://v1.2..3/lines", {"order_id": "v1.2..3"}),
    ],
)
def test_one_segment_is_decoded_once(uri, values):
    assert ONE.match(uri) == values


def test_several_segments_keep_their_slashes():
    assert MANY.match("files://c/a/b%20c/d.txt") == {"drive": "c", "path": "a/b c/d.txt"}
    assert MANY.match("files://c/a%2Fb") == {"drive": "c", "path": "a/b"}  # as RFC 6570 expands such a value


def test_variables_stand_in_a_query_too():
    assert QUERY.match("search://all?term=a%26b&page=2") == {"term": "a&b", "page": "2"}
    assert QUERY.match("search://all?term=a&b&page=2") is None


@pytest.mark.parametrize(
    "uri",
    [
        "orders:///lines",
        "orders://17/lines/",
        "orders://17/lines\n",
        "ORDERS://17/lines",
        "orders://17/LINES",
        "orders://17/lines?x=1",
        "orders://17/lines#x",
        "orders://1/7/lines",
        " orders://17/lines",
        "orders://17 /lines",
        "orders://ü/lines",
        "orders://17",
        "",
        "x",
    ],
)
def test_a_uri_of_another_shape_is_none_of_the_template(uri):
    assert ONE.match(uri) is None


CLIMBING = [
    ".", "..", "...", "%2e", "%2E%2e", ".%2e", "%2e%2e%2f", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "..%5c",
    "%5c", "a%5cb", "%252e%252e", "%252e%252e%252f", "%25252e", "%c0%ae%c0%ae", "%c0%af", "%e0%80%ae", "%f0%80%80%ae",
    "%u002e", "%uff0e%uff0e", "%ef%bc%8e%ef%bc%8e", "a%ef%bc%8fb", "a%ef%bc%bcb", "%e2%84%80", "%00", "a%00",
    "%00.txt", "%0a",
    "a%0d%0aX", "%7f", "%c2%85", "%e2%80%a8", "%20", ".%20", "%20..", "..%20.", "%", "%2", "%zz", "%ff", "%ed%a0%80",
    "\\", "..\\", "a\0", "[", "{", "|", "^", "`", '"', "<",
]  # fmt: skip


@pytest.mark.parametrize("value", CLIMBING)
def test_a_value_that_may_name_another_place_matches_nothing(value):
    assert ONE.match(f"orders://{value}/lines") is None
    for path in (value, f"a/{value}", f"{value}/a", f"a/{value}/b"):
        assert MANY.match(f"files://c/{path}") is None or value == "%2fetc%2fpasswd", path


@pytest.mark.parametrize(
    "path", ["", "/", "a//b", "a/", "/a", "a/../b", "a/./b", "a%2F%2Fb", "a%2F..%2Fb", "%2Fa", "a%2F"]
)
def test_no_segment_among_several_is_empty_or_dots(path):
    assert MANY.match(f"files://c/{path}") is None


def test_what_is_too_long_matches_nothing():
    assert ONE.match(f"orders://{'a' * 1024}/lines") is not None
    assert ONE.match(f"orders://{'a' * 1025}/lines") is None
    assert MANY.match("files://c/" + "/".join("a" * 64)) is not None
    assert MANY.match("files://c/" + "/".join("a" * 65)) is None
    assert MANY.match("files://c/" + "/".join(["a" * 500] * 5)) is None


@given(st.text(min_size=1, max_size=60))
def test_a_value_that_was_expanded_comes_back_or_is_refused(value):
    found = ONE.match(f"orders://{quote(value, safe='')}/lines")
    assert found is None or found == {"order_id": value}


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_~ äöü漢", min_size=1).filter(str.strip))
def test_plain_values_are_never_refused(value):
    assert ONE.match(f"orders://{quote(value, safe='')}/lines") == ({"order_id": value} if len(value) <= 1024 else None)


@given(st.text(alphabet="./\\%25eEfFcC0a~{}?#&", max_size=40))
def test_no_value_is_a_way_up(value):
    for found in (ONE.match(f"orders://{value}/lines"), MANY.match(f"files://c/{value}")):
        for text in (found or {}).values():
            assert "\\" not in text
            assert not any(part.strip(". ") == "" for part in text.split("/"))


@pytest.mark.parametrize(
    "text,said",
    [
        ("orders://{a}{b}", "one segment"),
        ("orders://{a}-{b}", "one segment"),
        ("orders://{a}/{a}", "twice"),
        ("orders://{a*}/{b*}", r"only one variable"),
        ("orders://{}", "are written"),
        ("orders://{+a}", "are written"),
        ("orders://{?a}", "are written"),
        ("orders://{a,b}", "are written"),
        ("orders://{a:3}", "are written"),
        ("orders://{_a}", "are written"),
        ("orders://{a", "partner"),
        ("orders://a}", "partner"),
        ("orders://" + "/".join(f"{{a{n}}}" for n in range(17)), "more than 16"),
    ],
)
def test_a_template_that_could_be_read_in_two_ways_is_refused(text, said):
    with pytest.raises(AuthoringError, match=said):
        read_template(text)


def test_no_uri_takes_long_to_refuse():
    template = read_template("x://" + "/".join(f"{{a{n}}}" for n in range(15)) + "/{rest*}/end")
    began = time.perf_counter()
    for uri in ("x://" + "a/" * 1000, "x://" + "a" * 2000, "x://" + "/".join("a" * 900) + "/en"):
        assert template.match(uri) is None
    assert time.perf_counter() - began < 0.5
