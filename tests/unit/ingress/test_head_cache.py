"""A head that came before is not read again. No caller may notice: the test compares with a fresh connection."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.values import Reply
from mcpward.ingress import head_cache
from support.one import HEAD, House, request

SECRET = "s" * 48


async def beside(packets: Iterable[bytes], before: int = 3, **rules: int) -> tuple[object, object]:
    """Return what a connection shows after a few good requests, and what a fresh one shows for only the packets."""
    known, fresh = House(**rules), House(**rules)
    await known.take([request()] * before)
    known.arrivals.clear()
    known.transport.written = b""
    packets = list(packets)
    await known.take(packets)
    await fresh.take(packets)
    return known.seen(), fresh.seen()


async def settled(house: House, requests: int) -> None:
    """Return when so many were answered, one after the other."""
    for _ in range(8 * requests):
        await asyncio.sleep(0)
    assert house.transport.written.count(b"HTTP/1.1 200") == requests


async def test_what_is_known_of_a_head_comes_along_when_it_comes_again():
    house = House()

    await house.take([request(b"1"), request(b"[22]"), request(b'"333"')])

    first, second, third = house.arrivals
    assert first.visit is None
    assert second.visit is not None
    assert third.visit is second.visit
    assert [one.body for one in house.arrivals] == [b"1", b"[22]", b'"333"']


async def test_four_heads_are_known_at_once_and_each_has_its_own():
    house = House()
    heads = [HEAD.replace(b"orders", b"tool-%d" % number) for number in range(4)]

    await house.take([request(head=head) for head in (*heads, *heads, *heads)])

    visits = [one.visit for one in house.arrivals]
    assert visits[4:8] == visits[8:]
    assert len({id(visit) for visit in visits[4:8]}) == 4
    assert [one.headers[b"mcp-name"] for one in house.arrivals[8:]] == [b"tool-%d" % number for number in range(4)]


async def test_a_head_that_comes_again_before_it_is_answered_is_kept_once():
    house = House()
    gate = asyncio.Event()
    house.pause = gate.wait
    other = HEAD.replace(b"orders", b"other")
    await house.take([request(head=other), *[request()] * 8])
    gate.set()
    await settled(house, 9)

    await house.take([request(head=other)])

    assert house.arrivals[-1].headers[b"mcp-name"] == b"other"
    assert house.arrivals[-1].visit is not None


async def test_many_at_once_do_not_lift_the_bound_on_lessons():
    house = House()
    gate = asyncio.Event()
    house.pause = gate.wait
    await house.take([request(head=HEAD.replace(b"orders", b"trace-%d" % number)) for number in range(20)])
    gate.set()
    await settled(house, 20)

    await house.take([request()] * 3)

    assert house.arrivals[-1].visit is None


async def test_a_head_that_was_not_let_in_is_not_kept():
    house = House()
    house.reply = Reply(status=401, body=b"{}", reason="credential-invalid")

    await house.take([request()] * 3)
    house.reply = None
    await house.take([request()] * 2)

    assert [one.visit is None for one in house.arrivals] == [True, True, True, True, False]


async def test_another_credential_is_another_head():
    house = House()
    await house.take([request(), request()])

    await house.take([request(head=HEAD.replace(b"key-1", b"key-2"))])

    assert house.arrivals[-1].visit is None
    assert house.arrivals[-1].headers[b"x-api-key"] == b"key-2"


async def test_a_client_whose_every_head_is_new_costs_no_more_lessons():
    house = House()
    await house.take([request(head=HEAD.replace(b"orders", b"trace-%d" % number)) for number in range(40)])
    await house.take([request(), request()])

    assert all(one.visit is None for one in house.arrivals)


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"/mcp", b"/hidden/mcp/" + SECRET.encode()),
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Mcp-Name", b"Connection: keep-alive\r\nMcp-Name"),
        HEAD.replace(b"Mcp-Name", b"Expect: 100-continue\r\nMcp-Name"),
    ],
    ids=["secret address", "older HTTP", "expectation"],
)
async def test_what_may_be_judged_otherwise_the_next_time_is_judged_each_time(head):
    house = House()

    await house.take([request(head=head)] * 3)

    assert [one.visit for one in house.arrivals] in ([None] * 3, [None])


def with_token(size: int, letter: bytes = b"t") -> bytes:
    return HEAD.replace(b"X-API-Key: key-1", b"Authorization: Bearer " + letter * size)


async def test_a_head_with_the_longest_token_is_known_again():
    house = House(max_head=32 * 1024)
    await house.take([request(head=with_token(16 * 1024))] * 3)
    assert [one.visit is None for one in house.arrivals] == [True, False, False]


async def test_what_one_connection_keeps_of_heads_is_bounded_in_bytes():
    house = House(max_head=32 * 1024)
    await house.take([request(head=with_token(21 * 1024))] * 3)
    assert all(one.visit is None for one in house.arrivals)
    for letter in (b"a", b"b", b"c"):
        await house.take([request(head=with_token(12 * 1024, letter))] * 2)
        assert sum(one.size for one in house.connection._link.heads.known) <= 20 * 1024
    assert len(house.connection._link.heads.known) == 1
    for number in range(4):
        await house.take([request(head=with_token(4 * 1024, b"%d" % number))] * 2)
    assert len(house.connection._link.heads.known) == 4


SMALL = request()
NOT_ALIKE = {
    "attack 43: a second request behind it": SMALL + SMALL,
    "attack 43: a refused one behind it": SMALL + SMALL.replace(b"/mcp", b"/no"),
    "in two pieces": None,
    "a length that is too short": SMALL.replace(b"Length: 7", b"Length: 6"),
    "a length that is too long": SMALL.replace(b"Length: 7", b"Length: 8"),
    "a length with a zero before it": SMALL.replace(b"Length: 7", b"Length: 007"),
    "a length with a sign": SMALL.replace(b"Length: 7", b"Length: +7"),
    "a length with a blank behind it": SMALL.replace(b"Length: 7", b"Length: 7 "),
    "a length with a blank in it": SMALL.replace(b"Length: 7", b"Length: 7 7"),
    "a list of lengths": SMALL.replace(b"Length: 7", b"Length: 7,7"),
    "no length": SMALL.replace(b"Length: 7", b"Length: "),
    "a length of nothing": HEAD % 0,
    "attack 42: a length given twice": SMALL.replace(b"Mcp-Name", b"Content-Length: 7\r\nMcp-Name"),
    "attack 42: a coding beside the length": SMALL.replace(b"Mcp-Name", b"Transfer-Encoding: chunked\r\nMcp-Name"),
    "attack 41: a host given twice": SMALL.replace(b"Mcp-Name", b"Host: other.test\r\nMcp-Name"),
    "another host": SMALL.replace(b"ward.test", b"evil.test"),
    "another case": SMALL.replace(b"Content-Length", b"content-length"),
    "a line that goes on": SMALL.replace(b"Mcp-Name", b" more\r\nMcp-Name"),
    "a bare line feed": SMALL.replace(b"orders\r\n", b"orders\n"),
    "an end of its connection": SMALL.replace(b"Mcp-Name: orders", b"Connection: close"),
    "an empty line before it": b"\r\n" + SMALL,
    "a body that is a request": request(SMALL),
    "a body that ends a head": request(b"\r\n\r\n" + SMALL),
}


@pytest.mark.parametrize("name", NOT_ALIKE)
async def test_a_connection_that_is_known_answers_as_a_fresh_one(name):
    packet = NOT_ALIKE[name]
    packets = [SMALL[:60], SMALL[60:]] if packet is None else [packet]

    known, fresh = await beside([*packets, SMALL, SMALL])

    assert known == fresh


async def test_a_head_that_has_grown_by_a_digit_is_measured_like_any_other():
    for max_head in range(len(SMALL) - 60, len(SMALL) + 20):  # somewhere here it becomes too large
        packets = [request(b"1"), request(b"1" * 10)]
        assert await alone(packets, max_head=max_head) == await alone(packets, learns=False, max_head=max_head)


async def test_a_body_that_is_too_large_is_refused_like_any_other():
    for size in (5, 39, 40, 41, 100):
        known, fresh = await beside([request(b"1" * size)], max_body=40)
        assert known == fresh


pieces = st.one_of(
    st.sampled_from(
        [b"\r\n", b"\n", b"0", b"7", b" ", b"\0", b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", SMALL]
    ),
    st.binary(min_size=1, max_size=4),
)
places = st.integers(0, len(SMALL)) | st.just(len(SMALL)) | st.just(0)
edits = st.lists(st.tuples(places, st.integers(0, 3), pieces | st.just(b"")), max_size=3)


@given(st.lists(edits, min_size=1, max_size=5), st.booleans())
def test_whatever_comes_a_connection_that_learns_answers_as_one_that_does_not(requests, together):
    packets = []
    for changes in requests:
        data = SMALL
        for at, removed, put in changes:
            data = data[:at] + put + data[at + removed :]
        packets.append(data)
    packets = [b"".join(packets)] if together else packets

    assert asyncio.run(alone(packets)) == asyncio.run(alone(packets, learns=False))


@pytest.mark.parametrize("end", [b"\r\n", b"\r\n\r\n", SMALL, b"GET /healthz HTTP/1.1\r\nHost: ward.test\r\n\r\n"])
@pytest.mark.parametrize("start", [b"", b"\r\n", b"GET /healthz HTTP/1.1\r\nHost: ward.test\r\n\r\n"])
async def test_what_stands_around_a_request_is_no_part_of_its_head(start, end):
    packets = [start + SMALL + end, SMALL, SMALL + end, start + SMALL]

    assert await alone(packets) == await alone(packets, learns=False)


async def alone(packets: Iterable[bytes], *, learns: bool = True, **rules: int) -> object:
    """Return what one connection shows, with or without a memory."""
    with pytest.MonkeyPatch.context() as patch:
        if not learns:
            patch.setattr(head_cache, "LESSONS", 0)
        house = House(**rules)
    await house.take(packets)
    return house.seen()
