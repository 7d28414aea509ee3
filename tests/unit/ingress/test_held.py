"""How much of unfinished bodies is held: for strangers, for one address, for all together (attack 46)."""

from typing import Any

from mcpward.core.values import Arrival, Reply, ResponseStream
from support.edge import Edge, Peer, patience
from support.waiting import soon

#: One address may hold an eighth of it: 128 KiB.
HELD = patience(max_held=1 << 20)
ANNOUNCED = 100_000
PART = 70_000


async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
    del arrival, wire
    return Reply(status=200, body=b"{}")


async def begun(edge: Edge, address: str, part: int, **more: str) -> Peer:
    """Send a part of a body and stop."""
    peer = await edge.peer(address)
    fields: dict[str, Any] = {"content_length": str(ANNOUNCED)} | more
    peer.ask(**fields)
    peer.writer.write(b" " * part)
    return peer


async def held(edge: Edge, address: str, part: int, **more: str) -> Peer:
    """Send a part of a body that is held, and stop."""
    wanted = edge.front.held + part
    peer = await begun(edge, address, part, **more)
    await soon(lambda: edge.front.held == wanted)
    return peer


async def refusal(peer: Peer) -> bytes:
    return (await peer.rest()).split(b"\r\n", 1)[0]


async def test_attack_46_one_address_holds_an_eighth_and_the_others_are_served(edge):
    house = await edge(serve, patience=HELD)
    first = await held(house, "127.0.0.2", PART, x_api_key="k")
    second = await begun(house, "127.0.0.2", PART, x_api_key="k")
    assert await refusal(second) == b"HTTP/1.1 503 Service Unavailable"
    other = await held(house, "127.0.0.3", PART, x_api_key="k")
    for peer in (first, other):
        peer.writer.write(b" " * (ANNOUNCED - PART))
        assert (await peer.answer()).startswith(b"HTTP/1.1 200 ")


async def test_a_share_is_free_again_when_its_bodies_are_gone(edge):
    house = await edge(serve, patience=HELD)
    for _ in range(5):
        (await held(house, "127.0.0.2", PART, x_api_key="k")).leave()
        await soon(lambda: house.front.held == 0)
        assert house.front.held_by == {}
    await held(house, "127.0.0.2", PART, x_api_key="k")
    assert house.front.held_by == {"127.0.0.2": PART}


async def test_attack_46_who_is_not_known_holds_little(edge):
    house = await edge(serve, patience=HELD)
    stranger = await begun(house, "127.0.0.2", PART)
    assert await refusal(stranger) == b"HTTP/1.1 401 Unauthorized"
    await soon(lambda: house.front.held == 0)


async def test_attack_46_small_bodies_of_many_fill_no_more_than_half(edge):
    """mcpward takes sixty thousand bytes from any caller until half is held: then a key is needed."""
    house = await edge(serve, patience=HELD)
    for at in range(8):
        await held(house, f"127.0.0.{10 + at}", 60_000)
    assert house.front.held == 480_000
    stranger = await begun(house, "127.0.0.40", 60_000)
    assert await refusal(stranger) == b"HTTP/1.1 401 Unauthorized"
    await held(house, "127.0.0.41", 60_000, x_api_key="k")
    assert house.front.held_by == {"127.0.0.41": 60_000}


async def test_attack_46_all_addresses_together_hold_no_more_than_there_is(edge):
    house = await edge(serve, patience=HELD)
    for at in range(8):
        await held(house, f"127.0.0.{10 + at}", 60_000)
    for at in range(4):
        await held(house, f"127.0.1.{10 + at}", 125_000, x_api_key="k", content_length="130000")
    assert house.front.held == 980_000
    one_more = await begun(house, "127.0.2.1", PART, x_api_key="k")
    assert await refusal(one_more) == b"HTTP/1.1 503 Service Unavailable"
