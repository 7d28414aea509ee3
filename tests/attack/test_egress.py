"""Attacks 80 and 81: URLs that lead home. A canary listens on loopback, and no request may reach it.

Sources: the URL forms of PayloadsAllTheThings (Server Side Request Forgery), CVE-2026-77822, -77267, -79747, -51994 and
-44430 (IPv6 forms, redirects, rebinding in comparable systems).
"""

import json
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from mcpward.egress.client import Client
from mcpward.egress.failures import EgressFailed, EgressRefused, Failure
from mcpward.egress.guard import Guard
from support.outside import Outside, http, naming, outside

BEFORE_SENDING = tuple(Failure)[: tuple(Failure).index(Failure.UNRESOLVED)]
#: Ways to write 127.0.0.1, ::1 or "this machine"; the canary's port comes behind.
LOOPBACK = [
    "127.0.0.1", "127.1", "127.0.1", "127.000.000.001", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "0x7f.1", "0", "0.0.0.0", "127.127.127.127", "localhost", "LOCALHOST", "localhost.", "127.0.0.1.",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[::1%25lo]", "[fe80::1]", "①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "127.0.0.1%00.example.com", "127.0.0.1%2f.example.com", "%6c%6f%63%61%6c%68%6f%73%74", "example.com@127.0.0.1",
    "127.0.0.1\\@example.com", "127.0.0.1\t", "127.0.0.1\r\nHost: example.com", "127.0.0.1#@example.com",
]  # fmt: skip


class _Watch:
    """Notes each ``connect`` of a TCP socket in this process, from the interpreter's own audit events."""

    def __init__(self) -> None:
        self.is_on = False
        self.connected: list[object] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_on and event == "socket.connect":
            sock, address = arguments
            if isinstance(sock, socket.socket) and sock.type == socket.SOCK_STREAM:
                self.connected.append(address)


@pytest.fixture(scope="session")
def _watch() -> _Watch:
    return _Watch()  # an audit hook cannot be taken away again


@pytest.fixture
def connected(_watch: _Watch) -> Iterator[list[object]]:
    """Every address that was connected to during the test."""
    _watch.connected.clear()
    _watch.is_on = True
    yield _watch.connected
    _watch.is_on = False


async def to_loopback(host: str, port: int) -> list[str]:
    """Answer as the DNS of an attacker: every name is this machine."""
    return ["127.0.0.1"]


@asynccontextmanager
async def calling(*allow: str, lookup=to_loopback) -> AsyncIterator[Client]:
    client = Client(Guard(list(map(ip_network, allow)), lookup), timeout_s=2.0)
    try:
        yield client
    finally:
        await client.close()


async def refused(client: Client, url: str) -> Failure:
    """Try a URL with both verbs."""
    with pytest.raises(EgressRefused) as caught:
        await client.post_form(url, {"token": "x"})
    with pytest.raises(EgressRefused) as again:
        await client.get_json(url)
    assert caught.value.why is again.value.why
    assert caught.value.why in BEFORE_SENDING
    return caught.value.why


async def test_attack_80_no_known_trick_opens_a_connection(corpora, connected) -> None:
    async with calling() as client:
        for url in json.loads((corpora / "ssrf_urls.json").read_text()):
            await refused(client, url)
    assert connected == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_attack_80_no_spelling_of_this_machine_reaches_it(scheme: str, connected) -> None:
    async with outside() as canary, calling() as client:
        for host in LOOPBACK:
            await refused(client, f"{scheme}://{host}:{canary.port}/")
    assert canary.connections == 0
    assert connected == []


async def test_attack_80_the_canary_is_alive_where_it_is_allowed(connected) -> None:
    async with outside() as canary, calling("127.0.0.0/8") as client:
        assert (await client.get_json(canary.url(host="id.example"))).status == 200
    assert connected == [("127.0.0.1", canary.port)]


async def test_attack_80_nothing_is_sent_without_tls_to_where_the_operator_did_not_say_so(connected) -> None:
    async def to_the_internet(host: str, port: int) -> list[str]:
        return ["1.1.1.1"]

    async with calling(lookup=to_the_internet) as client:
        assert await refused(client, "http://id.example:9/") is Failure.PLAIN_REFUSED
    assert connected == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_attack_80_no_redirect_leads_anywhere(status: int, connected) -> None:
    async with outside() as canary, outside() as there, calling("127.0.0.1/32") as client:
        for place in (canary.url(), "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "//127.0.0.2/"):
            there.answer = http(status=status, location=place)
            with pytest.raises(EgressFailed) as caught:
                await client.get_json(there.url())
            assert caught.value.why is Failure.REDIRECTED
    assert canary.connections == 0
    assert set(connected) == {("127.0.0.1", there.port)}


async def test_attack_80_a_name_that_moves_home_is_asked_once_and_then_refused() -> None:
    # The good place is at 127.0.0.1, which is allowed; the canary has the same port at 127.0.0.2, which is not.
    async with (
        naming({"moves.example": [["127.0.0.1"], ["127.0.0.2"]]}) as (names, look_up),
        outside() as there,
        outside(host="127.0.0.2", port=there.port) as canary,
        calling("127.0.0.1/32", lookup=look_up) as client,
    ):
        url = there.url(host="moves.example")
        assert (await client.get_json(url)).status == 200
        assert names.asked["moves.example"] == 1  # the one who connects does not ask again
        assert (await client.get_json(url)).status == 200  # nor who uses the connection once more
        assert names.asked["moves.example"] == 1
        there.hang_up()
        await there.gone()
        assert await refused(client, url) is Failure.ADDRESS_REFUSED
    assert (there.connections, canary.connections) == (1, 0)


@pytest.mark.parametrize("answers", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]])
async def test_attack_80_a_name_with_two_answers_is_as_bad_as_the_worse(answers: list[str]) -> None:
    async with (
        naming({"two.example": [answers]}) as (_, look_up),
        outside() as there,
        outside(host="127.0.0.2", port=there.port) as canary,
        calling("127.0.0.1/32", lookup=look_up) as client,
    ):
        assert await refused(client, there.url(host="two.example")) is Failure.ADDRESS_REFUSED
    assert (there.connections, canary.connections) == (0, 0)


def lures(canary: Outside) -> list[str]:
    place = f"127.0.0.1:{canary.port}"
    return [
        f"https://example.com@{place}/", f"https://example.com:pass@{place}/", f"https://@{place}/",
        f"https://{place}@example.com/", f"https://{place}%40example.com/", f"https://{place}/#", f"https://a#@{place}/",
        "file:///etc/passwd", f"file://{place}/etc/passwd", f"gopher://{place}/_GET%20/", f"dict://{place}/x",
        "data:application/json,{}", f"ftp://{place}/", f"ldap://{place}/", f"ws://{place}/", f"jar:http://{place}!/",
        f"unix://{place}", f"http+unix://{place}/", f"netdoc://{place}/", f"javascript://{place}/%0aalert(1)",
        f"//{place}/", f"{place}/", f" https://{place}/", f"https:{place}/", f"https:/{place}/", f"https:///{place}/",
        f"https:\\\\{place}/", f"h\nttps://{place}/", f"https://\x00{place}/",
    ]  # fmt: skip


async def test_attack_81_users_fragments_and_other_schemes_are_refused(connected) -> None:
    async with outside() as canary, calling("127.0.0.0/8") as client:  # allowed: only the form is refused
        for url in lures(canary):
            await refused(client, url)
    assert canary.connections == 0
    assert connected == []
