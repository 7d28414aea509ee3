"""Which verbs are let through to an MCP server, and the first answer to a caller without a credential."""

from typing import Any

import pytest

from mcpward.core.values import Arrival, Reply, ResponseStream
from support.edge import ORIGIN, Edge

ORIGINS = frozenset({ORIGIN})
HIDDEN = "/hidden/mcp/" + "s" * 48
EVENTS = "text/event-stream"


class Seeing:
    """Answers every caller and remembers what arrived."""

    def __init__(self) -> None:
        self.seen: list[Arrival] = []

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        del wire
        self.seen.append(arrival)
        return Reply(status=200, body=b"{}")


async def status(edge: Edge, verb: str, path: str = "/mcp", **more: Any) -> tuple[int, bytes]:
    """Return the status of an answer, and its head."""
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
async def test_a_get_is_asked_for_its_credential_before_its_accept(edge, more):
    """Clients find out by a GET without an Accept where to sign in: the way inside answers 401, then 405, then 406."""
    inside = Seeing()
    code, _ = await status(await edge(inside.serve), "GET", **more)
    assert code == 200
    (arrival,) = inside.seen
    assert arrival.verb == "GET"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", HIDDEN, HIDDEN + "/"])
async def test_one_slash_at_the_end_of_a_path_says_nothing(edge, path):
    inside = Seeing()
    house = await edge(inside.serve)
    assert (await status(house, "POST", path))[0] == 200
    assert (await status(house, "POST", path + "?a=/"))[0] == 200
    assert [arrival.server for arrival in inside.seen] == ["hidden" if "hidden" in path else "open"] * 2


@pytest.mark.parametrize(
    "verb, more, code",
    [
        ("PUT", {}, 405), ("HEAD", {}, 405), ("OPTIONS", {}, 405), ("TRACE", {}, 405),
        ("POST", {"content_type": "text/plain"}, 415), ("POST", {"content_encoding": "gzip"}, 415),
        ("POST", {"accept": "text/html"}, 406), ("POST", {"content_length": "999999999"}, 413),
    ],
)  # fmt: skip
async def test_a_stranger_learns_of_the_credential_first_and_of_the_shape_second(edge, verb, more, code):
    inside = Seeing()
    house = await edge(inside.serve)
    assert (await status(house, verb, **more))[0] == 401
    assert (await status(house, verb, x_api_key="any", **more))[0] == code
    assert inside.seen == []


@pytest.mark.parametrize(
    "path, more, code",
    [
        ("/mcp", {"origin": "https://evil.example"}, 403), (HIDDEN, {"origin": ORIGIN.decode()}, 403),
        (HIDDEN[:-1] + "x", {}, 404), (HIDDEN[:-1], {}, 404), ("/mcp//", {}, 404),
        (HIDDEN + "//", {}, 404), (HIDDEN[:-1] + "x/", {}, 404), ("/hidden/mcp/", {}, 404),
        ("/mcp", {"host": "evil"}, 400),
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
    code, head = await status(await edge(inside.serve, origins=origins), verb, path, accept=EVENTS, x_api_key="any")
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
