"""Which verbs are let through to an MCP server, and GET only for who reads streams."""

import pytest

from mcpward.core.values import Arrival, Reply, Wire
from support.edge import ORIGIN, Edge

ORIGINS = frozenset({ORIGIN})
HIDDEN = "/hidden/mcp/" + "s" * 48
EVENTS = "text/event-stream"


class Seeing:
    """Answers everybody and remembers what arrived."""

    def __init__(self) -> None:
        self.seen: list[Arrival] = []

    async def serve(self, arrival: Arrival, wire: Wire) -> Reply:
        del wire
        self.seen.append(arrival)
        return Reply(status=200, body=b"{}")


async def status(edge: Edge, verb: str, path: str = "/mcp", **more: str) -> tuple[int, bytes]:
    """Give the status of an answer, and its head."""
    peer = await edge.peer()
    peer.ask(verb, path, connection="close", **more)
    answer = await peer.rest()
    return int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[0].lower()


@pytest.mark.parametrize("path", ["/mcp", HIDDEN])
async def test_a_get_arrives_as_what_it_is(edge, path):
    inside = Seeing()
    code, _ = await status(await edge(inside.serve), "GET", path, accept=EVENTS, last_event_id="e7")
    assert code == 200
    (arrival,) = inside.seen
    assert (arrival.verb, arrival.body, arrival.headers[b"last-event-id"]) == ("GET", b"", b"e7")
    assert (arrival.path_secret is not None) is (path == HIDDEN)


@pytest.mark.parametrize(
    "more",
    [
        {"accept": "application/json"}, {"accept": "*/*"}, {"accept": f"{EVENTS};q=0"}, {"accept": ""},
        {"accept": f"{EVENTS}," + "a" * 600}, {"accept": EVENTS, "http": "1.0"},
    ],
    ids="-".join,
)  # fmt: skip
async def test_a_get_of_who_reads_no_streams_is_refused_at_the_gate(edge, more):
    inside = Seeing()
    code, _ = await status(await edge(inside.serve), "GET", **more)
    assert code == 406
    assert inside.seen == []


@pytest.mark.parametrize(
    "path, more, code",
    [
        ("/mcp", {"origin": "https://evil.example"}, 403), (HIDDEN, {"origin": ORIGIN.decode()}, 403),
        (HIDDEN[:-1] + "x", {}, 404), (HIDDEN[:-1], {}, 404), ("/mcp/", {}, 404), ("/mcp", {"host": "evil"}, 400),
    ],
)  # fmt: skip
async def test_attacks_38_41_42_a_get_passes_the_same_gates_as_a_post(edge, path, more, code):
    inside = Seeing()
    house = await edge(inside.serve, origins=ORIGINS)
    for verb in ("GET", "POST"):
        assert (await status(house, verb, path, accept=EVENTS, **more))[0] == code
    assert inside.seen == []


@pytest.mark.parametrize("verb", ["HEAD", "PUT", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "path, origins, allow",
    [
        ("/mcp", frozenset(), b"delete, get, post"), ("/mcp", ORIGINS, b"delete, get, options, post"),
        (HIDDEN, ORIGINS, b"delete, get, post"),
    ],
)  # fmt: skip
async def test_attack_52_other_verbs_are_told_what_is_allowed(edge, verb, path, origins, allow):
    inside = Seeing()
    code, head = await status(await edge(inside.serve, origins=origins), verb, path, accept=EVENTS)
    assert code == 405
    assert b"\r\nallow: " + allow + b"\r\n" in head
    assert inside.seen == []


async def test_an_allowed_origin_may_listen_and_resume(edge):
    house = await edge(Seeing().serve, origins=ORIGINS)
    code, head = await status(house, "OPTIONS", origin=ORIGIN.decode(), access_control_request_method="GET")
    assert code == 204
    allowed = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert b"get" in allowed[b"access-control-allow-methods"].split(b", ")
    assert b"last-event-id" in allowed[b"access-control-allow-headers"].split(b", ")
    assert b"mcp-session-id" in allowed[b"access-control-expose-headers"].split(b", ")


@pytest.mark.parametrize(
    "asked, named",
    [
        ("content-type,mcp-param-region,Mcp-Param-Tenant", [b"mcp-param-region", b"mcp-param-tenant"]),
        ("mcp-param-a , mcp-param-b", [b"mcp-param-a", b"mcp-param-b"]),
        ("x-other,mcp-param-,mcp-param-a b,xmcp-param-c,mcp-param-d:e", []),
    ],
)
async def test_headers_that_repeat_an_argument_are_allowed_by_name_and_no_others(edge, asked, named):
    house = await edge(Seeing().serve, origins=ORIGINS)
    _, head = await status(house, "OPTIONS", origin=ORIGIN.decode(), access_control_request_headers=asked)
    (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"access-control-allow-headers: ")]
    names = line.partition(b": ")[2].split(b", ")
    assert [name for name in names if b"param" in name or name == b"x-other"] == named
