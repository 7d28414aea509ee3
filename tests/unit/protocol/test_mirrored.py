"""Attack 59 for arguments: ``Mcp-Param-…`` says what the argument says, or nothing runs."""

import base64

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.protocol.mirrored import require_mirrored
from support.rpc import modern, modern_headers

MIRRORED = {b"mcp-param-region": ("region",)}


def wrapped(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def judge(house, arguments, said, mirrored=MIRRORED, **more) -> Reason | None:
    params = {"name": "add"} if arguments is None else {"name": "add", "arguments": arguments}
    headers = modern_headers("tools/call", "add") | ({} if said is None else {"Mcp-Param-Region": said})
    call = house.read(modern("tools/call", params), headers, **more)
    try:
        require_mirrored(call, mirrored)
    except Refusal as no:
        return no.reason
    return None


@pytest.mark.parametrize(
    "value, said",
    [
        ("eu", "eu"),
        ("eu", wrapped("eu")),
        ("größe", wrapped("größe")),
        (" eu ", wrapped(" eu ")),
        ("a\nb", wrapped("a\nb")),
        ("", ""),
        ("", wrapped("")),
        ("42", "42"),
        ("true", "true"),
        ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
        ("SGVsbG8=", "SGVsbG8="),
        ("=?base64?YQ==?=", wrapped("=?base64?YQ==?=")),
        (True, "true"),
        (False, "false"),
        (True, wrapped("true")),
        (42, "42"),
        (42, "42.0"),
        (42, wrapped("42")),
        (-7, "-7"),
        (0, "0"),
        (2**53 + 1, str(2**53 + 1)),
        (42.0, "42"),
        (None, None),
    ],
)
def test_a_header_that_says_the_same_agrees(house, value, said) -> None:
    assert judge(house, {"region": value}, said) is None


@pytest.mark.parametrize(
    "value, said",
    [
        ("eu", None),
        ("eu", ""),
        ("eu", "us"),
        ("eu", "EU"),
        ("eu", "eu "),
        ("eu", wrapped("us")),
        ("eu", "=?BASE64?ZXU=?="),
        ("Hello", "=?base64?SGVsbG8?="),
        ("Hello", "=?base64?SGVs!!!bG8=?="),
        ("a", "=?base64?YR==?="),
        ("größe", "größe"),
        ("a\x7fb", "a\x7fb"),
        ("", None),
        (None, "eu"),
        (None, ""),
        (True, "True"),
        (True, "1"),
        (True, None),
        (False, "0"),
        (1, "true"),
        (42, "43"),
        (42, "42.5"),
        (42, "4.2e1"),
        (42, "+42"),
        (42, " 42"),
        (42, "0x2a"),
        (42, "4_2"),
        (42, "٤٢"),
        (42, ""),
        (42, None),
        (42, "=?base64?!?="),
        (42, "42." + "0" * 41),
        (2**53, str(2**53 + 1)),
        (1.5, "1.5"),
        (["eu"], "eu"),
        ({"a": 1}, "eu"),
        ([], ""),
    ],
)
def test_59_a_header_that_says_something_else_is_refused(house, value, said) -> None:
    assert judge(house, {"region": value}, said) is Reason.HEADER_MISMATCH


def test_59_a_header_without_an_argument_is_refused(house) -> None:
    assert judge(house, {}, "eu") is Reason.HEADER_MISMATCH
    assert judge(house, None, "eu") is Reason.HEADER_MISMATCH
    assert judge(house, {}, None) is None
    assert judge(house, None, None) is None


def test_59_a_header_that_came_twice_is_refused(house) -> None:
    assert judge(house, {"region": "eu"}, "eu", repeated=("mcp-param-region",)) is Reason.HEADER_MISMATCH


def test_an_argument_may_lie_deep(house) -> None:
    deep = {b"mcp-param-region": ("where", "region")}
    assert judge(house, {"where": {"region": "eu"}}, "eu", deep) is None
    assert judge(house, {"where": {"region": "eu"}}, "us", deep) is Reason.HEADER_MISMATCH
    for other in ({"where": "eu"}, {"where": None}, {"where": ["region"]}, {"region": "eu"}):
        assert judge(house, other, None, deep) is None
        assert judge(house, other, "eu", deep) is Reason.HEADER_MISMATCH


def test_each_of_several_headers_is_looked_at(house) -> None:
    both = MIRRORED | {b"mcp-param-count": ("count",)}
    assert judge(house, {"region": "eu", "count": 3}, "eu", both) is Reason.HEADER_MISMATCH
    assert judge(house, {"region": "eu"}, "eu", both) is None


def test_headers_that_no_argument_is_mirrored_in_mean_nothing(house) -> None:
    assert judge(house, {"region": "eu"}, "us", {}) is None
